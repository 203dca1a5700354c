"""The operator and the sensors through Airflow: templates, retries, XCom, deferral."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dags_harness import DAY, read_xcom, states

Table = Callable[..., None]
SUNDAY = datetime(2013, 1, 6, tzinfo=UTC)  # DAY


def raw(data: Path, *days: str) -> None:
    for day in days:
        (data / "raw" / day).mkdir(parents=True)
        for name in ("data.csv", "target.csv", "manifest.json"):
            (data / "raw" / day / name).write_text("{}")


@pytest.mark.usefixtures("test_image")
def test_a_run_takes_its_day_and_its_window_to_every_stage(
    tiny: dict[str, Any], table: Table, data: Path
) -> None:
    table(ok={"params": {"date": "{ds}"}}, count={"reads": {"raw": "raw/{day}", "ok": "ok/{ds}"}})
    raw(data, "2013-01-05", DAY)

    run = tiny["chain"].test(logical_date=SUNDAY, run_conf={"window": 2})

    assert {"wait": ("success", 1), "ok": ("success", 1), "count": ("success", 1)} == states(run)
    assert f"--date {DAY}" == read_xcom(run, "ok")["arguments"]
    assert [f"./ok/{name}" for name in ("manifest.json", "result.txt", "summary.json")] == [
        file for file in read_xcom(run, "count")["files"].split() if file.startswith("./ok/")
    ]
    assert {"2013-01-05", DAY} == {
        file.split("/")[2] for file in read_xcom(run, "count")["files"].split() if "/raw/" in file
    }
    manifest = json.loads((data / "count" / DAY / "manifest.json").read_text())
    assert ("chain", run.run_id, "count") == tuple(
        manifest["run"][key] for key in ("dag", "run", "task")
    )


@pytest.mark.usefixtures("test_image")
def test_a_manual_run_without_a_logical_date_takes_the_day_it_was_triggered(
    tiny: dict[str, Any], table: Table, data: Path
) -> None:
    table(stage={"verb": "ok"})
    now = datetime(2013, 5, 17, 13, 30, tzinfo=UTC)

    run = tiny["alone"].test(logical_date=None, run_after=now)

    assert {"stage": ("success", 1)} == states(run)
    assert (data / "stage" / "2013-05-17" / "manifest.json").is_file()


@pytest.mark.usefixtures("test_image")
def test_a_field_of_the_form_is_told_to_the_stage_and_an_empty_one_leaves_the_table_alone(
    tiny: dict[str, Any], table: Table, data: Path
) -> None:
    table(stage={"verb": "ok", "params": {"rounds": 5}})
    said = [
        read_xcom(
            tiny["formed"].test(logical_date=SUNDAY + timedelta(hours=hour), run_conf=conf), "stage"
        )
        for hour, conf in enumerate([None, {"stage.rounds": 7}, {"stage.rounds": None}])
    ]

    assert ["--rounds 5", "--rounds 7", "--rounds 5"] == [each["arguments"] for each in said]


@pytest.mark.usefixtures("test_image")
def test_a_second_run_of_a_day_succeeds_without_work_and_force_works_again(
    tiny: dict[str, Any], table: Table, data: Path
) -> None:
    table(stage={"verb": "random"})
    runs = [
        tiny["alone"].test(logical_date=SUNDAY + timedelta(hours=hour), run_conf=conf)
        for hour, conf in enumerate([None, None, {"force": True}])
    ]

    assert [{"stage": ("success", 1)}] * 3 == [states(run) for run in runs]
    first, second, forced = (read_xcom(run, "stage") for run in runs)
    assert first == second
    assert first != forced


@pytest.mark.usefixtures("test_image")
@pytest.mark.parametrize(("code", "tries"), [(65, 1), (75, 3)])
def test_bad_data_is_tried_once_and_a_passing_trouble_until_the_retries_are_used_up(
    tiny: dict[str, Any], table: Table, data: Path, code: int, tries: int
) -> None:
    table(stage={"verb": "fail", "params": {"code": code}})

    run = tiny["alone"].test(logical_date=SUNDAY + timedelta(days=code))

    assert {"stage": ("failed", tries)} == states(run)


@pytest.mark.usefixtures("test_image")
def test_a_changed_row_counts_from_the_next_task_on(
    tiny: dict[str, Any], table: Table, data: Path
) -> None:
    table(stage={"verb": "fail", "params": {"code": 65}})
    before = tiny["alone"].test(logical_date=datetime(2013, 3, 1, tzinfo=UTC))
    table(stage={"verb": "ok"})
    after = tiny["alone"].test(logical_date=datetime(2013, 3, 2, tzinfo=UTC))

    assert ["failed", "success"] == [states(run)["stage"][0] for run in (before, after)]
