"""What is old goes on the running stack, and what waits for a person keeps what it needs.

The demo's second model waits for its approval.
"""

import datetime as dt
import json
import re
import shutil
import subprocess
import urllib.error
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stack import Stack, docker, wait_until
from story import Story

from support import upkeep
from support.swaps import present

from microstage.data_folder import MANIFEST
from microstage.images import Image

WAITING = dt.date(2013, 1, 20)
OLD = "2012-12-01"  # of this day nothing else was made


@contextmanager
def as_of_its_day(folder: Path) -> Iterator[None]:
    """Let what is in a folder have been made on the days that it is of, for a while."""
    texts = {path: path.read_text() for path in folder.glob(f"*/{MANIFEST}")}
    try:
        for path, text in texts.items():
            manifest = {**json.loads(text), "started": f"{path.parent.name}T00:00:00+00:00"}
            path.write_text(json.dumps(manifest))
        yield
    finally:
        for path, text in texts.items():
            if path.exists():
                path.write_text(text)


BEGAN = """
UPDATE dag_run SET start_date = start_date + make_interval(days => :days)
WHERE dag_id = :'dag' AND run_id = :'run'
"""


@contextmanager
def begun(stack: Stack, days: dict[str, int]) -> Iterator[None]:
    """Let runs have begun so many days earlier, for a while; `days`: by the end of their names."""

    def move(sign: str) -> None:
        for run, number in days.items():
            dag, _, date = run.partition(" ")
            variables = {
                "dag": f"flights.{dag}",
                "run": f"dates__{date}",
                "days": f"{sign}{number}",
            }
            psql = ["psql", "--username=airflow", "--dbname=airflow"]
            psql += [f"--set={name}={value}" for name, value in variables.items()]
            subprocess.run(
                ["docker", "compose", "exec", "-T", "postgres", *psql],
                cwd=stack.root,
                input=BEGAN,
                text=True,
                check=True,
                capture_output=True,
            )

    move("-")
    try:
        yield
    finally:
        move("+")


def image(label: str, name: str) -> Image:
    """Make an image that has lost its name."""
    text = f"FROM scratch\nLABEL {label}\nLABEL of={uuid.uuid4()}\n"
    tag = f"{name}:{uuid.uuid4()}" if name else ""
    command = ["docker", "build", "--quiet", *([f"--tag={tag}"] if tag else []), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return present(tag or done.stdout.strip())


@pytest.mark.parametrize("name", ["", upkeep.BEFORE])
def test_images_without_a_name_go_but_those_in_use_and_those_that_made_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By another label than that of the project, whose nameless images are not the test's."""
    if not name and "containerd" in docker("info", "--format={{.DriverStatus}}"):
        pytest.skip("where images are in containerd, one without a name is gone at once")
    label = f"org.example.{uuid.uuid4().hex}=1"
    monkeypatch.setattr(upkeep, "VENDOR", f"label={label}")
    free, made, used = (image(label, name) for _ in range(3))
    container = docker("create", used.store_id, "nothing")
    try:
        dry = upkeep.clean_images({made.id}, dry_run=True)
        before = docker("image", "ls", "--quiet", "--no-trunc", f"--filter=label={label}").split()
        said = upkeep.clean_images({made.id}, dry_run=False)
        after = docker("image", "ls", "--quiet", "--no-trunc", f"--filter=label={label}").split()
    finally:
        docker("rm", container)
        docker("image", "rm", "--force", made.store_id, used.store_id)

    assert {free.store_id, made.store_id, used.store_id} == set(before)
    assert {made.store_id, used.store_id} == set(after)
    assert "images: 2 without a name" in dry
    assert "images: 1 without a name" in said
    assert "; 2 kept" in said


def test_old_data_go_but_what_production_and_a_waiting_approval_need(stack: Stack) -> None:
    story, raw = Story(stack), stack.flights / "raw"
    stack.run("cp", "-a", raw / "2013-01-01", raw / OLD)  # with its owner
    # The demo's: what else is there, nothing may need.
    before = {path.name for path in raw.iterdir() if path.name < "2013-02"}
    airflow = stack.airflow("default")
    with as_of_its_day(raw):
        airflow.switch_on("maintain")
        run = airflow.trigger("maintain", WAITING, {})
        wait_until(lambda: airflow.call("GET", run)["state"] in ("success", "failed"))
        dry = stack.run("scripts/maintain", "--dry-run", "--only", "data").stdout
    log = airflow.call("GET", f"{run}/taskInstances/data_of_flights/logs/1?full_content=true")
    said = " ".join(line["event"] for line in log["content"])

    assert "success" == airflow.call("GET", run)["state"]
    left = {path.name for path in raw.iterdir()}
    assert OLD not in left
    assert before - {OLD} <= left
    assert re.search(r"flights/raw: \d+ old, \d\.\d MB", said)
    assert "production needs it" in said
    assert f"flights.train_model dates__{WAITING} has not ended" in said
    assert "Nothing was changed" in dry
    assert "flights/raw: 13 old, kept" in dry
    assert story.airflow.question("train_model", WAITING)


def test_airflows_records_go_but_those_of_a_run_that_waits_and_all_after_it(
    stack: Stack,
) -> None:
    story = Story(stack)
    first, second = dt.date(2012, 12, 2), dt.date(2012, 12, 3)
    story.airflow.run("generate_data", [first, second], {})
    days = {f"generate_data {first}": 1000, f"train_model {WAITING}": 900}
    with begun(stack, {**days, f"generate_data {second}": 800}):
        dry = stack.run("scripts/maintain", "--dry-run", "--only", "runs").stdout
        there = story.airflow.find("generate_data", first)
        done = stack.run("scripts/maintain", "--only", "runs").stdout

    assert there
    assert not story.airflow.find("generate_data", first)
    assert story.airflow.find("generate_data", second)
    assert story.airflow.question("train_model", WAITING)
    for said in (dry, done):
        assert f"no later, as flights.train_model dates__{WAITING} has not ended" in said
        assert "runs: 0 records" not in said
    for date in (first, second):
        shutil.rmtree(stack.flights / f"raw/{date}")


def test_of_mlflow_go_the_runs_that_stages_recorded_and_no_version_was_made_of(
    stack: Stack,
) -> None:
    story = Story(stack)
    versions = story.mlflow("GET", "model-versions/search")["model_versions"]
    experiment = story.mlflow("GET", "experiments/get-by-name", experiment_name="flights")
    number = experiment["experiment"]["experiment_id"]
    runs, models = {}, {}
    for who, tags in {"stage": [{"key": "microstage.key", "value": "x"}], "person": []}.items():
        fields = {"experiment_id": number, "start_time": 1_300_000_000_000, "tags": tags}
        run = story.mlflow("POST", "runs/create", **fields)["run"]
        runs[who] = run["info"]["run_id"]
        fields = {"experiment_id": number, "name": "left", "source_run_id": runs[who]}
        model = story.mlflow("POST", "logged-models", **fields)["model"]
        models[who] = model["info"]["model_id"]
    said = stack.run("scripts/maintain", "--only", "mlflow").stdout

    assert "mlflow: 1 old runs without a version" in said
    with pytest.raises(urllib.error.HTTPError) as gone:
        story.mlflow("GET", "runs/get", run_id=runs["stage"])
    assert 404 == gone.value.code
    with pytest.raises(urllib.error.HTTPError) as gone:
        story.mlflow("GET", f"logged-models/{models['stage']}")
    assert 404 == gone.value.code
    assert story.mlflow("GET", f"logged-models/{models['person']}")["model"]
    for run_id in (runs["person"], *(version["run_id"] for version in versions)):
        assert (
            "active"
            == story.mlflow("GET", "runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"]
        )
    story.mlflow("POST", "runs/delete", run_id=runs["person"])
