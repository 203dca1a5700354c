"""The DAGs of this repository: they load, and they are the chains that their docs tell of."""

import json
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction
from dags_harness import read_xcom, states

from microstage.alerts import DEFAULT_ARGS
from microstage.operator import StageOperator
from microstage.pipelines import load_pipeline

DAGS = Path(__file__).resolve().parents[2] / "dags"
# What the story of each DAG is; its tasks are rows of the table, which wait or decide otherwise.
STORIES = {
    "generate_data": "generate",
    "train_model": "wait_for_data preprocess split train validate track champion compare approve"
    " promote standby",
    "predict": "wait_for_data fetch transform predict",
    "monitor": "wait_for_predictions monitor check_quality,retrain",
    "rollback": "outgoing rollback standby",
}
PIPELINES = {"default": "", "flights": "flights."}
DAG_IDS = [f"{prefix}{dag}" for prefix in PIPELINES.values() for dag in STORIES]
SCHEDULED = [dag_id for dag_id in DAG_IDS if not dag_id.endswith("rollback")]


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(DAGS)


def test_every_pipeline_has_every_dag_and_no_other_module_is_taken_for_one(bag: DagBag) -> None:
    assert {} == bag.import_errors
    assert set(DAG_IDS) == set(bag.dags)
    assert {*STORIES, "check_pipelines"} == {Path(stat.file).stem for stat in bag.dagbag_stats}


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_ends_in_its_one_chain(bag: DagBag, dag_id: str) -> None:
    dag, before = bag.dags[dag_id], set[str]()
    dag.check_cycle()

    for names in STORIES[dag_id.rpartition(".")[2]].split():
        for name in names.split(","):
            # What a task takes from an earlier one may be an arrow of its own.
            assert before <= dag.task_dict[name].upstream_task_ids, name
        before = set(names.split(","))
    assert before == {task.task_id for task in dag.leaves}


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_waits_decides_or_is_a_row_of_its_pipeline(bag: DagBag, dag_id: str) -> None:
    pipeline = "flights" if dag_id.startswith("flights.") else "default"
    rows = load_pipeline(pipeline).rows
    tasks: list[Any] = bag.dags[dag_id].tasks
    stages = [task for task in tasks if isinstance(task, StageOperator)]

    assert stages
    assert all(task.stage in rows for task in stages)
    assert {pipeline} == {task.pipeline for task in tasks}


def test_every_row_of_the_table_is_a_task_of_the_same_name(bag: DagBag) -> None:
    names = {task.task_id for dag_id in STORIES for task in bag.dags[dag_id].tasks}

    assert set(load_pipeline().rows) <= names


def test_the_window_of_a_pipeline_is_what_its_training_asks_for(bag: DagBag) -> None:
    windows = {
        dag: bag.dags[dag].params["window"] for dag in ("train_model", "flights.train_model")
    }

    assert {"train_model": 1, "flights.train_model": 13} == windows


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_alerts_when_it_has_failed(bag: DagBag, dag_id: str) -> None:
    alerts = DEFAULT_ARGS["on_failure_callback"]

    assert alerts
    assert all(task.on_failure_callback == alerts for task in bag.dags[dag_id].tasks)


@pytest.mark.parametrize("dag_id", SCHEDULED)
def test_a_dag_says_when_it_runs_and_what_ds_means(bag: DagBag, dag_id: str) -> None:
    doc = bag.dags[dag_id].doc_md or ""

    for topic in ("Schedule", "caught up", "`ds`", "manual run", "backfill", "re-run", "`force`"):
        assert topic in doc


def next_run(dag: Any, after: Any = None, **restriction: Any) -> Any:
    """Ask a DAG's timetable, as the scheduler does, for the run that follows another one."""
    limits = {"earliest": dag.start_date, "latest": None, "catchup": dag.catchup}
    return coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=after and after.data_interval,
        restriction=TimeRestriction(**limits | restriction),
    )


def test_going_back_waits_for_nobody_to_switch_it_on_first(bag: DagBag) -> None:
    assert bag.dags["rollback"].is_paused_upon_creation is False


@pytest.mark.parametrize("dag_id", SCHEDULED)
def test_switching_a_dag_on_starts_nothing_before_its_next_time(bag: DagBag, dag_id: str) -> None:
    assert next_run(bag.dags[dag_id]).run_after > pendulum.now("UTC")


@pytest.mark.parametrize(
    ("dag_id", "weekdays"),
    [
        ("generate_data", set(pendulum.WeekDay)),
        ("train_model", {pendulum.SUNDAY}),
        ("predict", set(pendulum.WeekDay)),
        ("monitor", set(pendulum.WeekDay)),
    ],
)
def test_a_run_is_of_the_day_it_is_started_on(
    bag: DagBag, dag_id: str, weekdays: set[pendulum.WeekDay]
) -> None:
    dag, run, runs = bag.dags[dag_id], None, []
    for _ in range(14):
        run = next_run(dag, run, earliest=pendulum.datetime(2013, 1, 1), catchup=True)
        runs.append(run)

    assert all(run.logical_date == run.run_after for run in runs)
    assert weekdays == {run.logical_date.day_of_week for run in runs}


def test_the_dags_make_predictions_and_a_report_with_the_real_images(
    bag: DagBag, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the registry, which the end-to-end tests have: model_path is set instead."""
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", "models/2013-01-06")
    sunday, monday = pendulum.datetime(2013, 1, 6), pendulum.datetime(2013, 1, 7)
    registry = "track|champion|compare|approve|promote|standby"
    runs = [
        bag.dags[dag_id].test(logical_date=day, mark_success_pattern=skipped)
        for dag_id, day, skipped in [
            ("generate_data", sunday, None),
            ("generate_data", monday, None),
            ("train_model", sunday, registry),
            ("predict", monday, None),
            ("monitor", monday, None),
        ]
    ]

    for run in runs[:-1]:
        assert {"success"} == {state for state, _ in states(run).values()}
    assert ("success", 1) == states(runs[4])["check_quality"]
    assert "skipped" == states(runs[4])["retrain"][0]
    assert 0.5 < read_xcom(runs[2], "validate")["roc_auc"] < 1
    assert {"path": "models/2013-01-06"} == read_xcom(runs[3], "fetch")
    predictions = (data / "predictions/2013-01-07/predictions.csv").read_text().splitlines()
    assert read_xcom(runs[1], "generate")["rows"] == len(predictions) - 1
    manifest = json.loads((data / "predictions/2013-01-07/manifest.json").read_text())
    assert {"path": "models/2013-01-06"} == manifest["model"]
    assert read_xcom(runs[4], "monitor")["rows"] == len(predictions) - 1
