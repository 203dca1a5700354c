"""The sensors: what counts as complete data, which predictions, how waiting ends."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout
from dags_harness import DAY, read_xcom, states

from microstage import sensors
from microstage.errors import StageError
from microstage.pipelines import load_pipeline
from microstage.sensors import (
    LookTrigger,
    WaitForData,
    WaitForPredictions,
    look_for_data,
    look_for_model,
)

FILES = ["data.csv", "target.csv"]


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("{}")


def test_a_day_that_a_stage_published_is_complete(data: Path) -> None:
    write(data / "raw" / DAY, "data.csv", "target.csv", "manifest.json")

    assert ([f"raw/{DAY}"], "") == look_for_data("default", [f"raw/{DAY}"], FILES)


def test_a_day_from_outside_is_complete_when_both_files_have_settled(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "SETTLED_SECONDS", 0.3)
    write(data / "raw" / DAY, "data.csv")
    alone = look_for_data("default", [f"raw/{DAY}"], FILES)
    write(data / "raw" / DAY, "target.csv")
    os.utime(data / "raw" / DAY / "target.csv", (0, 0))  # as a copy that keeps times leaves it
    fresh = look_for_data("default", [f"raw/{DAY}"], FILES)
    time.sleep(0.4)
    settled = look_for_data("default", [f"raw/{DAY}"], FILES)

    assert (None, f"raw/{DAY} lacks data.csv or target.csv") == alone
    assert (None, f"the files in raw/{DAY} are still changing") == fresh
    assert ([f"raw/{DAY}"], "") == settled


def test_labels_may_come_later_where_only_the_data_is_needed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "SETTLED_SECONDS", 0)
    write(data / "raw" / DAY, "data.csv")

    assert ([f"raw/{DAY}"], "") == look_for_data("default", [f"raw/{DAY}"], ["data.csv"])


def test_every_day_of_the_window_is_waited_for(data: Path) -> None:
    write(data / "raw" / DAY, "manifest.json")

    result, missing = look_for_data("default", ["raw/2013-01-05", f"raw/{DAY}"], FILES)

    assert result is None
    assert "raw/2013-01-05" in missing


def test_what_is_missing_is_told_as_it_is_below_the_data_folder(data: Path) -> None:
    folder = f"raw/{DAY}"
    nothing = look_for_data("flights", [folder], FILES)
    write(data / "flights" / folder, *FILES)
    fresh = look_for_data("flights", [folder], FILES)

    assert (None, f"flights/{folder} lacks data.csv or target.csv") == nothing
    assert (None, f"the files in flights/{folder} are still changing") == fresh
    assert "there is no flights/predictions/x;" in look_for_model("flights", "predictions/x")[1]


def test_what_must_be_there_of_a_day_is_what_the_row_that_writes_it_declares(
    table: Callable[..., None],
) -> None:
    table(
        make={"writes": {"to": "raw/{ds}", "files": ["rows.csv", "labels.csv"]}},
        fit={"reads": {"raw": "raw/{day}", "model": "{model}"}},
        odd={"reads": {"raw": "raw/{ds}"}},
    )
    pipeline = load_pipeline()
    fit = WaitForData(task_id="wait", stage="fit", ds=DAY, window=2)
    some = WaitForData(task_id="some", stage="fit", ds=DAY, files=["rows.csv"])

    assert {
        "folders": ["raw/2013-01-05", f"raw/{DAY}"],
        "files": ["rows.csv", "labels.csv"],
    } == fit.arguments(pipeline)
    assert {"folders": [f"raw/{DAY}"], "files": ["rows.csv"]} == some.arguments(pipeline)
    with pytest.raises(StageError, match=r"stage odd: it reads no \{day\} that a stage writes"):
        WaitForData(task_id="odd", stage="odd", ds=DAY).arguments(pipeline)


def test_predictions_tell_which_model_made_them(data: Path) -> None:
    nothing = look_for_model("default", f"predictions/{DAY}")
    write(data / "predictions" / DAY)
    (data / "predictions" / DAY / "manifest.json").write_text(
        json.dumps({"sources": {"model": f"production/{DAY}", "features": f"features/{DAY}"}})
    )

    assert (f"production/{DAY}", "") == look_for_model("default", f"predictions/{DAY}")
    assert nothing[0] is None
    assert f"there is no predictions/{DAY}" in nothing[1]
    for odd in ("{}", '{"sources": []}', '{"sources": {"raw": "raw"}}', "[" * 100_000):
        (data / "predictions" / DAY / "manifest.json").write_text(odd)

        assert look_for_model("default", f"predictions/{DAY}")[0] is None


def test_a_trigger_survives_being_stored() -> None:
    """The triggerer makes it anew from what the database holds."""
    arguments = {"pipeline": "default", "folders": [f"raw/{DAY}"], "files": FILES}
    path, fields = LookTrigger("data", arguments, 12.5, 0.5).serialize()

    assert "microstage.sensors.LookTrigger" == path
    assert (path, fields) == resolve_name(path)(**json.loads(json.dumps(fields))).serialize()


@pytest.mark.parametrize(
    ("look", "arguments", "result"),
    [
        ("data", {"days": [DAY], "files": FILES}, [f"raw/{DAY}"]),
        ("predictions", {"ds": DAY}, f"production/{DAY}"),
    ],
)
def test_a_task_that_the_release_before_left_waiting_wakes_up(
    data: Path, look: str, arguments: dict[str, Any], result: Any
) -> None:
    write(data / "raw" / DAY, "manifest.json")
    write(data / "predictions" / DAY)
    (data / "predictions" / DAY / "manifest.json").write_text(
        json.dumps({"sources": {"model": f"production/{DAY}"}})
    )
    fields = {"look": look, "arguments": arguments, "deadline": time.time() + 9, "every": 0.1}
    trigger = resolve_name("stage_sensors.LookTrigger")(**fields)
    path, stored = trigger.serialize()

    assert {"result": result, "missing": ""} == event(trigger)
    # Should the triggerer be restarted meanwhile, it is stored again as it is now.
    assert event(trigger) == event(resolve_name(path)(**stored))


@pytest.mark.parametrize(
    ("look", "arguments", "missing"),
    [
        ("data", {"days": [DAY], "files": FILES}, f"raw/{DAY} lacks data.csv or target.csv"),
        ("predictions", {"ds": DAY}, f"there is no predictions/{DAY}"),
    ],
)
def test_a_task_that_the_release_before_left_waiting_waits_no_longer_than_it_was_told_to(
    data: Path, look: str, arguments: dict[str, Any], missing: str
) -> None:
    fields = {"look": look, "arguments": arguments, "deadline": time.time(), "every": 0.1}
    found = event(resolve_name("stage_sensors.LookTrigger")(**fields))

    assert found["result"] is None
    assert missing in found["missing"]


def event(trigger: Any) -> Any:
    """Return what a trigger tells, as the triggerer waits for it."""

    async def first() -> Any:
        return (await anext(trigger.run())).payload

    return asyncio.run(first())


def test_a_deferred_task_goes_on_when_the_data_is_there(tiny: dict[str, Any], data: Path) -> None:
    write(data / "raw" / "2013-02-01", "manifest.json")
    later = threading.Timer(1, write, (data / "raw" / "2013-02-02", "manifest.json"))
    later.start()
    run = tiny["data"].test(logical_date=pendulum.parse("2013-02-02"))

    assert {"wait": ("success", 1)} == states(run)
    assert ["raw/2013-02-01", "raw/2013-02-02"] == read_xcom(run, "wait")


@pytest.mark.parametrize("dag_id", ["data", "predictions"])
def test_waiting_in_vain_ends_without_a_retry(
    tiny: dict[str, Any], data: Path, dag_id: str
) -> None:
    run = tiny[dag_id].test(logical_date=pendulum.parse("2013-02-03"))

    assert {"wait": ("failed", 1)} == states(run)


def test_waiting_in_vain_says_what_was_missing(data: Path) -> None:
    sensor = WaitForPredictions(task_id="wait", stage="predict", ds=DAY, hours="2")
    event: dict[str, Any] = {
        "result": None,
        "missing": look_for_model("default", f"predictions/{DAY}")[1],
    }

    with pytest.raises(AirflowSensorTimeout, match=f"2 hours in vain: .*no predictions/{DAY}"):
        sensor.found({}, event)
