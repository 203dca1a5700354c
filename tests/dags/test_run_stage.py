"""scripts/run_stage: the same contract without Airflow, in a container or as a process."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dags_harness import DAY, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_STAGE = str(REPOSITORY / "scripts" / "run_stage")
Table = Callable[..., None]


def run_stage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RUN_STAGE, *arguments], capture_output=True, text=True, check=False, timeout=300
    )


def reason(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("test_image")
def test_it_publishes_and_prints_the_summary(table: Table, data: Path) -> None:
    table(ok={"params": {"seed": 17}})
    done = run_stage("ok", "--ds", DAY, "--param", "seed=3", "--param", "quick=true")
    manifest = json.loads((data / "ok" / DAY / "manifest.json").read_text())

    assert 0 == done.returncode
    assert {"rows": 3, "arguments": "--seed 3 --quick"} == json.loads(done.stdout)
    assert {"seed": 3, "quick": True} == manifest["parameters"]
    assert "a line on stdout" in done.stderr


@pytest.mark.usefixtures("test_image", "data")
@pytest.mark.parametrize("code", [64, 65, 66, 75])
def test_its_exit_code_is_that_of_the_stage(table: Table, code: int) -> None:
    table(fail={"params": {"code": code}})
    done = run_stage("fail", "--ds", DAY)

    assert code == done.returncode
    assert "the reason, on row 7" in reason(done)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 64, "required: stage"),
        (["ok"], 64, "required: --ds"),
        (["ok", "--ds", "tomorrow"], 64, "'tomorrow' is not a day"),
        (["ok", "--ds", DAY, "--param", "seed"], 64, "'seed' is not KEY=VALUE"),
        (["nope", "--ds", DAY], 64, "no stage 'nope'"),
        (["ok", "--ds", DAY, "--window", "0"], 64, "1 or more"),
        (["absent", "--ds", DAY], 66, "./build_images.sh absent"),
        (["model", "--ds", DAY], 64, "needs a model"),
        (["model", "--ds", DAY, "--model", "../x"], 64, "not a path below the data folder"),
    ],
)
def test_a_mistake_is_one_sentence(
    table: Table, test_image: str, arguments: list[str], code: int, sentence: str
) -> None:
    table(ok={}, absent={"image": "microstage/absent:1.0.0"}, model={"reads": {"model": "{model}"}})
    done = run_stage(*arguments)

    assert code == done.returncode
    assert sentence in reason(done)
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("test_image")
def test_ended_from_outside_it_leaves_no_container_and_no_staging(
    table: Table, data: Path, containers: Callable[[], list[Any]]
) -> None:
    table(sleep={"params": {"seconds": 60}})
    process = subprocess.Popen([RUN_STAGE, "sleep", "--ds", DAY], stderr=subprocess.DEVNULL)
    wait_for(lambda: [c for c in containers() if c.status == "running"])
    process.send_signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == process.wait(10)
    assert [] == containers()
    assert [] == list((data / ".staging").iterdir())


@pytest.mark.usefixtures("test_image")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_what_root_publishes_belongs_to_the_owner_of_the_data_folder(
    table: Table, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")  # the guard is of one owner's data
    os.chown(data, 4321, 4321)
    table(look={})
    done = run_stage("look", "--ds", DAY)
    owners = {path.stat().st_uid for path in data.rglob("*")}

    assert 4321 == json.loads(done.stdout)["uid"]
    assert {4321} == owners


@pytest.mark.usefixtures("test_image", "data")
@pytest.mark.parametrize("of", ["default", "unix:///var/run/docker.sock"])
def test_a_proxy_of_the_docker_command_stays_outside(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    address = "http://user:password@proxy.example.org:3128"
    proxies = {f"{kind}Proxy": address for kind in ("http", "https", "ftp", "no", "all")}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {of: proxies}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    table(look={})
    seen = json.loads(run_stage("look", "--ds", DAY).stdout)["environment"]

    assert [] == [name for name in seen.split() if "proxy" in name.lower()]


@pytest.mark.usefixtures("test_image", "data")
def test_it_follows_the_docker_context(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(ok={})
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "away")
    absent = run_stage("ok", "--ds", DAY)
    host = "host=unix:///nowhere.sock"
    command = ["docker", "context", "create", "away", "--docker", host]
    subprocess.run(command, check=True, capture_output=True)
    away = run_stage("ok", "--ds", DAY)

    assert (64, 75) == (absent.returncode, away.returncode)
    assert "The docker context away is not to be read" in reason(absent)
    assert "The Docker Engine at unix:///nowhere.sock does not answer" in reason(away)


def test_without_an_engine_it_says_so(
    table: Table, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    table(ok={})
    done = run_stage("ok", "--ds", DAY)

    assert 75 == done.returncode
    assert "The Docker Engine at unix:///nowhere.sock does not answer" in reason(done)


def test_a_stage_does_not_know_whether_it_is_a_container_or_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MICROSTAGE_STAGES", raising=False)
    for engine in ("container", "venv"):
        if engine == "venv":
            monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
        done = run_stage(
            *["generate", "--ds", DAY, "--engine", engine, "--data", str(tmp_path / engine)]
        )
        assert 0 == done.returncode, done.stderr

    outputs = [
        json.loads((tmp_path / engine / "raw" / DAY / "manifest.json").read_text())["outputs"]
        for engine in ("container", "venv")
    ]

    assert outputs[0] == outputs[1]
