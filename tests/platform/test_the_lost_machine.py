"""A lost machine: what scripts/backup has taken is all that is left of it, and is enough.

The first of the tests of the stack, which all go on with what is restored here: a model that waits
for its approval, for one.
"""

import datetime as dt
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from images import VERSION
from stack import Stack
from story import Story

from microstage.data_folder import STAGING, digest

DAY = dt.date(2013, 1, 23)


def key_pair(folder: Path) -> tuple[Path, str]:
    """Make a pair of keys as the usage says it; return the private one's file, and the public."""
    command = ["docker", "run", "--rm", "--entrypoint", "age-keygen"]
    made = subprocess.run(
        [*command, f"microstage/postgres:{VERSION}"], capture_output=True, text=True, check=True
    )
    file = folder / "key.txt"
    file.write_text(made.stdout)
    return file, made.stderr.split()[-1]


def files(data: Path) -> dict[str, Any]:
    """What a data folder holds: the digest, mode and owner of each file."""
    found = {}
    for path in sorted(data.rglob("*")):
        if STAGING not in path.parts:
            status, held = path.lstat(), digest(path) if path.is_file() else {}
            found[str(path.relative_to(data))] = (held, status.st_mode, status.st_uid)
    return found


def recorded(story: Story) -> dict[str, Any]:
    """What both databases say: runs, questions, users; versions with their metrics, aliases."""
    ask = story.airflow.call
    runs = ask("GET", "/api/v2/dags/~/dagRuns?limit=100&order_by=id")["dag_runs"]
    tasks = ask("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails")["hitl_details"]
    versions = story.mlflow("GET", "model-versions/search", max_results="100")["model_versions"]
    ids = [version["run_id"] for version in versions]
    return {
        "runs": [(run["dag_id"], run["dag_run_id"], run["state"]) for run in runs],
        "questions": [(task["subject"], task["response_received"]) for task in tasks],
        "users": ask("GET", "/auth/fab/v1/users")["users"][0]["username"],
        "versions": [(each["name"], each["version"], each["source"]) for each in versions],
        "metrics": [story.mlflow("GET", "runs/get", run_id=id_)["run"]["data"] for id_ in ids],
        "aliases": story.aliases(),
    }


def lose(stack: Stack) -> None:
    """Let all of an installation be gone, and a fresh checkout be there under the same name."""
    machine = ["COMPOSE_PROJECT_NAME", "AIRFLOW_PORT", "MLFLOW_PORT", "REPORTS_PORT", "MAIL_PORT"]
    kept = {name: stack.setting(name) for name in machine}
    stack.run("docker", "compose", "kill")
    stack.run("docker", "compose", "down", "--volumes")
    shutil.rmtree(stack.data)
    shutil.rmtree(stack.root / ".secrets")
    (stack.root / ".env").unlink()
    stack.run("scripts/make_env")
    stack.change(**kept)


def test_an_installation_comes_back_from_its_encrypted_backup_on_another_data_folder(
    stack: Stack, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    story = Story(stack)
    key, public = key_pair(tmp_path)
    before, held = recorded(story), files(stack.data)
    predicted = (story.data / f"predictions/{DAY}/predictions.csv").read_bytes()
    password = stack.setting("AIRFLOW_ADMIN_PASSWORD")
    told = stack.run("scripts/backup", tmp_path, "--recipient", public).stdout
    [backup] = tmp_path.glob("*.age")
    restore: list[str | Path] = ["scripts/restore", backup, "--identity", key]
    refused = stack.run(*restore, check=False)
    cut = tmp_path / "cut"
    cut.write_bytes(backup.read_bytes()[:-1000])
    broken = stack.run("scripts/restore", cut, "--identity", key, "--replace", check=False)
    untouched = recorded(story)

    lose(stack)
    # Not in the clone, of which git tells what is there; and there for all tests of the stack.
    elsewhere = tmp_path_factory.mktemp("restored") / "data"
    stack.run(*restore, "--data", elsewhere)
    stack.run("docker", "compose", "up", "--wait")
    story = Story(stack)

    assert f"Backed up to {backup}" in told
    assert backup.read_bytes().startswith(b"age-encryption.org/v1")
    assert (64, 65, before) == (refused.returncode, broken.returncode, untouched)
    assert "services that run" in refused.stderr
    assert (elsewhere, password) == (stack.data, stack.setting("AIRFLOW_ADMIN_PASSWORD"))
    assert held == files(elsewhere)
    assert before == recorded(story)
    # The model is fetched from MLflow, and says what it said.
    shutil.rmtree(story.data / f"predictions/{DAY}")
    story.airflow.run("predict", [DAY], {})
    assert "registry" == story.json(f"production/{DAY}/summary.json")["served_from"]
    assert predicted == (story.data / f"predictions/{DAY}/predictions.csv").read_bytes()


def test_an_interrupted_backup_leaves_no_file(stack: Stack, tmp_path: Path) -> None:
    command = [stack.root / "scripts/backup", tmp_path]
    with subprocess.Popen(command, cwd=stack.root, stderr=subprocess.DEVNULL) as running:
        while not list(tmp_path.iterdir()):
            assert running.poll() is None
        running.terminate()

    assert (143, []) == (running.returncode, list(tmp_path.iterdir()))
