"""Two pipelines on one running stack: flights, and flowers of three kinds from another image.

Real scheduler, PostgreSQL, MLflow and mail catcher. The tests follow each other, and leave flights
as they found it but for one more day.
"""

import datetime as dt
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack import Stack, wait_until
from story import Story

HERE = Path(__file__).parent
FLIGHTS_DAY = dt.date(2013, 2, 5)
FILE = """
[pipeline]
window = 3
history = 5

[stages.generate]
image = "{image}"

[stages.train]
params = {{ leaf-rows = 20, rounds = 30 }}
"""


def day(number: int) -> dt.date:
    return dt.date(2020, 5, number)


@pytest.fixture(scope="module")
def flights(stack: Stack) -> Story:
    return Story(stack, "flights")


@pytest.fixture(scope="module")
def species(stack: Stack) -> Iterator[Story]:
    """A third pipeline, made as its user would: an image, and one file."""
    image = f"microstage-test/species:{stack.project}"
    subprocess.run(["docker", "build", "-qt", image, HERE / "species"], check=True)
    stack.run("scripts/new_pipeline", "species")
    file = stack.root / "dags/pipelines/species.toml"
    file.write_text(FILE.format(image=image))
    found = Story(stack, "species")
    wait_until(lambda: found.is_known("train_model"))
    yield found
    file.unlink()
    subprocess.run(["docker", "rmi", "--force", image], check=True, capture_output=True)


def test_two_pipelines_run_at_once_each_with_its_own_table_window_and_classes(
    flights: Story, species: Story
) -> None:
    before = flights.stack.manifests("flights")
    species.airflow.run("generate_data", [day(n) for n in range(1, 5)], {})
    training = species.start("train_model", day(3))
    flights.airflow.run("generate_data", [FLIGHTS_DAY], {})
    predicting = flights.start("predict", FLIGHTS_DAY)
    wait_until(lambda: species.airflow.question("train_model", day(3)))
    wait_until(lambda: flights.state_of(predicting) == "success")
    species.airflow.answer("train_model", day(3), "Approve")
    wait_until(lambda: species.state_of(training) == "success")
    fitted = species.json(f"models/{day(3)}/preprocess.json")
    after = flights.stack.manifests("flights")

    assert len(fitted["days"]) == 3
    assert fitted["classes"] == ["setosa", "versicolor", "virginica"]
    assert species.aliases() == {"production": "1"}
    assert flights.json("models/2013-01-13/preprocess.json")["classes"] == ["0", "1"]
    # What was there is as it was; what is new is of the one day that was asked for.
    assert before == {path: text for path, text in after.items() if path in before}
    assert {path.split("/")[1] for path in after.keys() - before.keys()} == {str(FLIGHTS_DAY)}


def test_each_predicts_and_reports_with_its_own_model(flights: Story, species: Story) -> None:
    assert set(species.run("predict", day(4)).values()) == {"success"}
    assert species.run("monitor", day(4))["monitor"] == "success"
    header = (species.data / f"predictions/{day(4)}/predictions.csv").read_text().split("\n")[0]
    model = species.manifest(f"predictions/{day(4)}")["model"]
    address = (
        f"http://localhost:{species.stack.setting('REPORTS_PORT')}/species/{day(4)}/report.html"
    )

    assert header == "class,probability_setosa,probability_versicolor,probability_virginica"
    assert model == {"path": f"production/{day(4)}", "name": "species", "version": "1"}
    assert flights.manifest(f"predictions/{FLIGHTS_DAY}")["model"]["name"] == "flights"
    with urllib.request.urlopen(address, timeout=10) as report:
        assert b"virginica" in report.read()


def test_each_is_rolled_back_on_its_own(flights: Story, species: Story) -> None:
    before = flights.aliases()
    species.start("train_model", day(4))
    wait_until(lambda: species.airflow.question("train_model", day(4)))
    species.airflow.answer("train_model", day(4), "Approve")
    approved = species.aliases()
    assert set(species.run("rollback", day(4)).values()) == {"success"}

    assert approved == {"production": "2", "previous": "1"}
    assert species.aliases() == {"production": "1", "previous": "2"}
    assert flights.aliases() == before


def test_nothing_of_one_is_in_the_others_folder(flights: Story, species: Story) -> None:
    default = flights.stack.manifests("")
    texts = "\n".join(species.stack.manifests("species").values())

    assert {path for path in default if path.split("/")[0] not in ("flights", "species")} == set()
    assert "flights" not in texts
    assert "species" not in "\n".join(flights.stack.manifests("flights").values())


def test_an_alert_names_the_pipeline_that_it_is_of(species: Story) -> None:
    file = species.stack.root / "dags/pipelines/species.toml"
    text = file.read_text()
    try:
        file.write_text(f"{text}\n[stages.monitor]\nparams = {{ min-auc = 1.0 }}\n")
        states = species.run("monitor", day(4))
    finally:
        file.write_text(text)
    mails = species.stack.mails("check_quality failed for 2020-05-04")

    assert states["check_quality"] == "failed"
    assert [mail["subject"].split("] ")[1] for mail in mails] == [
        "species.monitor.check_quality failed for 2020-05-04"
    ]
    assert f"/species/{day(4)}/report.html" in mails[0]["text"]


def test_commands_know_the_pipeline(species: Story) -> None:
    shown = species.stack.run("scripts/lineage", "--pipeline", "species", f"predictions/{day(4)}")

    assert "species version 1" in shown.stdout
    assert f"raw/{day(1)}" in shown.stdout


def test_a_broken_file_is_one_import_error_and_its_own_runs_go_on(
    flights: Story, species: Story
) -> None:
    file = species.stack.root / "dags/pipelines/species.toml"
    text = file.read_text()
    run = species.start("predict", day(5))
    wait_until(lambda: species.states("predict", day(5)).get("wait_for_data") == "deferred")
    try:
        file.write_text(text.replace("window = 3", 'window = "three"'))
        wait_until(lambda: import_errors(species))
        errors = import_errors(species)
        put_data(species.data / f"raw/{day(4)}", species.data / f"raw/{day(5)}")
        wait_until(lambda: species.state_of(run) in ("success", "failed"))
        others = set(flights.run("monitor", FLIGHTS_DAY).values())
        still_there = species.is_known("train_model")
    finally:
        file.write_text(text)

    assert len(errors) == 1
    assert "pipelines/species.toml, pipeline: window must be a number." in errors[0]
    assert species.state_of(run) == "success"
    assert "failed" not in others
    assert still_there
    wait_until(lambda: not import_errors(species))


def import_errors(story: Story) -> list[str]:
    found: dict[str, Any] = story.airflow.call("GET", "/api/v2/importErrors")
    return [re.sub(r"\s+", " ", error["stack_trace"]) for error in found["import_errors"]]


def put_data(source: Path, target: Path) -> None:
    """As a person would: the files alone."""
    target.mkdir()
    for name in ("data.csv", "target.csv"):
        (target / name).write_bytes((source / name).read_bytes())


def test_the_story_of_each_is_told_by_its_own_files(species: Story) -> None:
    manifest = json.loads((species.data / f"models/{day(3)}/manifest.json").read_text())

    assert manifest["run"]["dag"] == "species.train_model"
    assert manifest["parameters"] == {"seed": 17, "leaf-rows": 20, "rounds": 30}
