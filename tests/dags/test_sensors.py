"""The sensors: what counts as complete data, which predictions, how waiting ends."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pendulum
import pytest
import stage_sensors
from airflow.sdk.exceptions import AirflowSensorTimeout
from dags_harness import DAY, read_xcom, states
from stage_sensors import LookTrigger, WaitForPredictions, look_for_data, look_for_predictions

FILES = ["data.csv", "target.csv"]


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("{}")


def test_a_day_that_a_stage_published_is_complete(data: Path) -> None:
    write(data / "raw" / DAY, "data.csv", "target.csv", "manifest.json")

    assert ([DAY], "") == look_for_data([DAY], FILES)


def test_a_day_from_outside_is_complete_when_both_files_have_settled(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_sensors, "SETTLED_SECONDS", 0.3)
    write(data / "raw" / DAY, "data.csv")
    alone = look_for_data([DAY], FILES)
    write(data / "raw" / DAY, "target.csv")
    os.utime(data / "raw" / DAY / "target.csv", (0, 0))  # as a copy that keeps times leaves it
    fresh = look_for_data([DAY], FILES)
    time.sleep(0.4)
    settled = look_for_data([DAY], FILES)

    assert (None, f"raw/{DAY} lacks data.csv or target.csv") == alone
    assert (None, f"the files in raw/{DAY} are still changing") == fresh
    assert ([DAY], "") == settled


def test_labels_may_come_later_where_only_the_data_is_needed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_sensors, "SETTLED_SECONDS", 0)
    write(data / "raw" / DAY, "data.csv")

    assert ([DAY], "") == look_for_data([DAY], ["data.csv"])


def test_every_day_of_the_window_is_waited_for(data: Path) -> None:
    write(data / "raw" / DAY, "manifest.json")

    result, missing = look_for_data(["2013-01-05", DAY], FILES)

    assert result is None
    assert "raw/2013-01-05" in missing


def test_predictions_tell_which_model_made_them(data: Path) -> None:
    nothing = look_for_predictions(DAY)
    write(data / "predictions" / DAY)
    (data / "predictions" / DAY / "manifest.json").write_text(
        json.dumps({"sources": {"model": f"production/{DAY}", "features": f"features/{DAY}"}})
    )

    assert (f"production/{DAY}", "") == look_for_predictions(DAY)
    assert nothing[0] is None
    assert f"there are no predictions for {DAY}" in nothing[1]


def test_a_trigger_survives_being_stored() -> None:
    """The triggerer makes it anew from what the database holds."""
    path, fields = LookTrigger("data", {"days": [DAY], "files": FILES}, 12.5, 0.5).serialize()

    assert "stage_sensors.LookTrigger" == path
    assert fields == LookTrigger(**json.loads(json.dumps(fields))).serialize()[1]


def test_a_deferred_task_goes_on_when_the_data_is_there(tiny: dict[str, Any], data: Path) -> None:
    write(data / "raw" / "2013-02-01", "manifest.json")
    later = threading.Timer(1, write, (data / "raw" / "2013-02-02", "manifest.json"))
    later.start()
    run = tiny["data"].test(logical_date=pendulum.parse("2013-02-02"))

    assert {"wait": ("success", 1)} == states(run)
    assert ["2013-02-01", "2013-02-02"] == read_xcom(run, "wait")


@pytest.mark.parametrize("dag_id", ["data", "predictions"])
def test_waiting_in_vain_ends_without_a_retry(
    tiny: dict[str, Any], data: Path, dag_id: str
) -> None:
    run = tiny[dag_id].test(logical_date=pendulum.parse("2013-02-03"))

    assert {"wait": ("failed", 1)} == states(run)


def test_waiting_in_vain_says_what_was_missing(data: Path) -> None:
    sensor = WaitForPredictions(task_id="wait", ds=DAY, hours="2")
    event: dict[str, Any] = {"result": None, "missing": look_for_predictions(DAY)[1]}

    with pytest.raises(AirflowSensorTimeout, match=f"2 hours in vain: .*no predictions for {DAY}"):
        sensor.found({}, event)
