"""What a task tells OpenLineage of the directories that it has read and published."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dags_harness import DAY

from microstage.each_day import EachDay
from microstage.operator import StageOperator


def facets_of(task: Any, name: str = "complete") -> Any:
    """Return what a task that has been run tells, as Airflow's provider asks it."""
    told = getattr(task, f"get_openlineage_facets_on_{name}")(None)
    return told, {one.name: one for one in told.outputs}, {one.name: one for one in told.inputs}


def test_of_many_days_each_is_told_and_columns_of_the_last_alone(
    table: Callable[..., None], test_image: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microstage.lineage_events.MOST", 1)
    writes = {"to": "ok/{ds}", "files": ["data.csv"]}
    table(stage={"verb": "table", "reads": {"raw": "raw/{day}"}, "writes": writes})
    days = [DAY, "2013-01-07", "2013-01-08"]
    for day in days[:2]:  # the third is left out
        (data / "raw" / day).mkdir(parents=True)
        (data / "raw" / day / "data.csv").write_text("carrier\nAA\n")
    task = EachDay(task_id="stage", first=days[0], last=days[-1], force=False)
    ti: Any = SimpleNamespace(dag_id="d", run_id="r", task_id="stage", map_index=-1, try_number=1)
    ti.xcom_push = lambda *_: None
    task.execute({"ti": ti})
    _, outputs, inputs = facets_of(task)

    assert [f"default/ok/{day}" for day in days[:2]] == list(outputs)
    assert [f"default/raw/{day}" for day in days[:2]] == list(inputs)
    assert [False, True] == ["schema" in one.facets for one in outputs.values()]
    assert {2} == {one.outputFacets["outputStatistics"].rowCount for one in outputs.values()}
    planned = task.get_openlineage_facets_on_start()
    assert planned is not None
    assert [f"default/ok/{day}" for day in days] == [one.name for one in planned.outputs]


def test_a_promotion_and_a_fetch_meet_in_what_is_in_production(
    run_stage: Callable[..., Any], data: Path
) -> None:
    task = StageOperator(task_id="stage", ds=DAY, force=False)
    run_stage("promotion", operator=task, work="promote-model")
    _, outputs, _ = facets_of(task)
    files = {"to": "production/{ds}", "files": ["version.json"]}
    run_stage("version", operator=task, work="fetch-model", writes=files)
    _, _, inputs = facets_of(task)

    assert "7" == outputs["default/production"].facets["version"].datasetVersion
    assert "3" == inputs["default/production"].facets["version"].datasetVersion


def test_predictions_are_told_with_the_verdict_of_their_report(
    run_stage: Callable[..., Any], data: Path
) -> None:
    (data / "predictions" / DAY).mkdir(parents=True)
    (data / "predictions" / DAY / "predictions.csv").write_text("p_1\n0.5\n")
    task = StageOperator(task_id="stage", ds=DAY, force=False)
    writes = {"to": "reports/{ds}", "files": ["quality.json"]}
    run_stage("report", operator=task, reads={"predictions": "predictions/{day}"}, writes=writes)
    told, _, inputs = facets_of(task)

    [assertion] = (
        inputs[f"default/predictions/{DAY}"].inputFacets["dataQualityAssertions"].assertions
    )
    assert (False, "The AUC is low.") == (assertion.success, assertion.actual)
    assert task.row_image.id == told.run_facets["microstage_image"].imageId


def test_what_cannot_be_told_is_a_line_in_the_log(
    run_stage: Callable[..., Any],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is gone")

    task = StageOperator(task_id="stage", ds=DAY, force=False)
    run_stage("ok", operator=task)
    monkeypatch.setattr("microstage.lineage_events.facts_of", broken)

    assert task.get_openlineage_facets_on_complete(None) is None
    assert "the disk is gone" in caplog.text
