"""When the DAGs of a pipeline run, and what is left of one whose file is broken."""

from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction

from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.last_good import load_for_run
from microstage.pipelines import Pipeline, table_path
from microstage.schedule import checked_pipeline, faults, pipelines, timetable

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture
def task_of(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Be Airflow when it runs a task of a DAG: task_of.setenv(IN_TASK, dag_id)."""
    return monkeypatch


IN_TASK = "_AIRFLOW_PARSING_CONTEXT_DAG_ID"


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("@hourly", ["2013-01-01T00", "2013-01-01T01"]),
        ("@daily", ["2013-01-01T00", "2013-01-02T00"]),
        ("@weekly", ["2013-01-06T00", "2013-01-13T00"]),
        ("@monthly", ["2013-01-01T00", "2013-02-01T00"]),
        ("@quarterly", ["2013-01-01T00", "2013-04-01T00"]),
        ("@yearly", ["2013-01-01T00", "2014-01-01T00"]),
        ("0 6 * * 1", ["2013-01-07T06", "2013-01-14T06"]),
    ],
)
def test_a_schedule_is_a_word_or_a_cron_expression_in_utc(cron: str, expected: list[str]) -> None:
    schedule = timetable(Pipeline("flights", schedules={"predict": cron}), "predict")
    limits = TimeRestriction(pendulum.datetime(2013, 1, 1), None, True)
    core: Any = coerce_to_core_timetable(schedule)
    runs: list[Any] = []
    for _ in expected:
        before = runs[-1].data_interval if runs else None
        runs.append(core.next_dagrun_info(last_automated_data_interval=before, restriction=limits))

    assert expected == [f"{run.run_after:%Y-%m-%dT%H}" for run in runs]


def test_a_dag_without_a_schedule_is_started_by_hand_alone() -> None:
    assert timetable(Pipeline("flights"), "predict") is None


@pytest.mark.parametrize("cron", ["61 * * * *", "0 0 30 2 *", "a b c d e"])
def test_what_is_no_time_is_one_sentence(cron: str) -> None:
    pipeline = Pipeline("flights", schedules={"predict": cron})
    sentence = f"pipelines/flights.toml, pipeline: '{cron}' of predict is no time to run."

    with pytest.raises(StageError) as refused:
        timetable(pipeline, "predict")
    assert sentence == str(refused.value)


def test_a_broken_pipeline_is_what_its_runs_need_and_no_more(
    data: Path, pipeline_files: Path
) -> None:
    file = pipeline_files / "churn.toml"
    file.write_text('[pipeline]\nwindow = 13\nhistory = 7\nschedule = { predict = "@hourly" }')
    load_for_run("churn", DataFolder.at(data).below("churn"), print)
    file.write_text("[pipeline]\nwindow = 'x'")
    broken = checked_pipeline("churn")

    assert "pipelines/churn.toml, pipeline: window must be a number." == broken.fault
    assert ({}, {}) == (broken.rows, broken.schedules)
    assert (13, 7) == (broken.window, broken.history)  # a run that has begun goes by them
    with pytest.raises(StageError, match="window must be a number"):
        broken.row("train")


def test_a_task_of_a_broken_pipeline_asks_for_the_days_that_it_did(
    data: Path, pipeline_files: Path, task_of: pytest.MonkeyPatch
) -> None:
    file = pipeline_files / "churn.toml"
    file.write_text("[pipeline]\nwindow = 13")
    load_for_run("churn", DataFolder.at(data).below("churn"), print)
    file.write_text("[pipeline")
    task_of.setenv(IN_TASK, "churn.train_model")
    [dag] = DagBag(DAGS / "train_model.py").dags.values()

    assert ("churn.train_model", 13) == (dag.dag_id, dag.params["window"])


@pytest.mark.parametrize(
    ("dag_id", "names"),
    [
        ("churn.train_model", ["churn"]),
        ("train_model", ["default", "churn", "train_model"]),
        ("train_model.train_model", ["train_model"]),
        ("mine.train_model", ["default", "churn", "train_model"]),  # of a file of the user's own
    ],
)
def test_a_task_needs_the_pipeline_of_its_dag(
    pipeline_files: Path, task_of: pytest.MonkeyPatch, dag_id: str, names: list[str]
) -> None:
    for name in ("churn", "train_model"):
        (pipeline_files / f"{name}.toml").write_text("")
    task_of.setenv(IN_TASK, dag_id)

    assert names == [pipeline.name for pipeline in pipelines()]


def test_every_fault_is_told_once(pipeline_files: Path) -> None:
    for name, text in {"a": "", "b": "[pipeline", "c": "[pipelines]"}.items():
        (pipeline_files / f"{name}.toml").write_text(text)
    of_files = faults()
    table_path().write_text("[stages")

    assert ["b", "c"] == [fault.removeprefix("pipelines/")[0] for fault in of_files]
    assert ["stages.toml"] == [fault.split(" ")[0] for fault in faults()]


def test_a_file_that_is_named_as_the_default_pipeline_is_told_of_and_changes_nothing(
    pipeline_files: Path,
) -> None:
    (pipeline_files / "default.toml").write_text("[pipeline]\nwindow = 13")

    assert ["default"] == [pipeline.name for pipeline in pipelines()]
    assert 1 == checked_pipeline("default").window
    [fault] = faults()
    assert fault.startswith("pipelines/default.toml: 'default' is no name for a pipeline")
