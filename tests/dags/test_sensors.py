"""The sensors: what counts as complete data, which model is taken, how waiting ends."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pendulum
import pytest
import stage_sensors
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout
from dags_harness import DAY, read_xcom, states
from stage_sensors import LookTrigger, WaitForModel, check_model, look_for_data, look_for_model
from stage_table import StageError


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("{}")


def model(data: Path, *days: str) -> None:
    for day in days:
        write(data / "models" / day / "validation", "manifest.json")


def test_a_day_that_a_stage_published_is_complete(data: Path) -> None:
    write(data / "raw" / DAY, "data.csv", "target.csv", "manifest.json")

    assert ([DAY], "") == look_for_data([DAY])


def test_a_day_from_outside_is_complete_when_both_files_have_settled(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_sensors, "SETTLED_SECONDS", 0.3)
    write(data / "raw" / DAY, "data.csv")
    alone = look_for_data([DAY])
    write(data / "raw" / DAY, "target.csv")
    os.utime(data / "raw" / DAY / "target.csv", (0, 0))  # as a copy that keeps times leaves it
    fresh = look_for_data([DAY])
    time.sleep(0.4)
    settled = look_for_data([DAY])

    assert (None, f"raw/{DAY} lacks manifest.json, or data.csv and target.csv") == alone
    assert (None, f"the files in raw/{DAY} are still changing") == fresh
    assert ([DAY], "") == settled


def test_every_day_of_the_window_is_waited_for(data: Path) -> None:
    write(data / "raw" / DAY, "manifest.json")

    result, missing = look_for_data(["2013-01-05", DAY])

    assert result is None
    assert "raw/2013-01-05" in missing


@pytest.mark.parametrize(
    ("days", "ds", "expected"),
    [
        (["2013-01-06", "2013-01-13"], "2013-01-10", "models/2013-01-06"),  # as it was then
        (["2013-01-06", "2013-01-13"], "2013-01-14", "models/2013-01-13"),
        (["2013-01-06", "2013-01-13"], "2013-01-13", "models/2013-01-06"),  # not what it learned
        (["2013-01-06"], "2013-01-06", "models/2013-01-06"),  # the very first day
        (["2013-01-13"], "2013-01-10", None),
        ([], "2013-01-10", None),
    ],
)
def test_the_newest_model_of_a_day_before_is_taken(
    data: Path, days: list[str], ds: str, expected: str | None
) -> None:
    model(data, *days)
    write(data / "models" / "2013-01-08")  # not validated
    write(data / "models" / "latest" / "validation", "manifest.json")  # not a day

    result, _ = look_for_model(ds)

    assert expected == result


def test_the_variable_names_the_model(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(data / "models" / "mine", "model.txt", "model.json", "preprocess.json")
    model(data, "2013-01-01")
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", "models/mine")

    assert "models/mine" == WaitForModel(task_id="wait", ds=DAY).execute({})


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("models/mine", r"lacks model\.json, preprocess\.json"),
        ("../models", "not a path below the data folder"),
        ("/data/models", "not a path below the data folder"),
    ],
)
def test_a_wrong_variable_fails_at_once(
    data: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str
) -> None:
    write(data / "models" / "mine", "model.txt")
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", path)

    with pytest.raises(AirflowFailException, match=sentence):
        WaitForModel(task_id="wait", ds=DAY).execute({})
    with pytest.raises(StageError):
        check_model(path)


def test_a_trigger_survives_being_stored() -> None:
    """The triggerer makes it anew from what the database holds."""
    path, fields = LookTrigger("data", {"days": [DAY]}, 12.5, 0.5).serialize()

    assert "stage_sensors.LookTrigger" == path
    assert fields == LookTrigger(**json.loads(json.dumps(fields))).serialize()[1]


def test_a_deferred_task_goes_on_when_the_data_is_there(tiny: dict[str, Any], data: Path) -> None:
    write(data / "raw" / "2013-02-01", "manifest.json")
    later = threading.Timer(1, write, (data / "raw" / "2013-02-02", "manifest.json"))
    later.start()
    run = tiny["data"].test(logical_date=pendulum.parse("2013-02-02"))

    assert {"wait": ("success", 1)} == states(run)
    assert ["2013-02-01", "2013-02-02"] == read_xcom(run, "wait")


@pytest.mark.parametrize("dag_id", ["data", "model"])
def test_waiting_in_vain_ends_without_a_retry(
    tiny: dict[str, Any], data: Path, dag_id: str
) -> None:
    run = tiny[dag_id].test(logical_date=pendulum.parse("2013-02-03"))

    assert {"wait": ("failed", 1)} == states(run)


def test_waiting_in_vain_says_what_was_missing(data: Path) -> None:
    sensor = WaitForModel(task_id="wait", ds=DAY, timeout=7200)
    event: dict[str, Any] = {"result": None, "missing": look_for_model(DAY)[1]}

    with pytest.raises(AirflowSensorTimeout, match=f"2 hours in vain: .*no .* model of {DAY}"):
        sensor.found({}, event)
