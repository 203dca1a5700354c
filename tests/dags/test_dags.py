"""The DAGs of this repository: they load, and they are the chains that their docs tell of."""

from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction
from dags_harness import read_xcom, states
from stage_operator import StageOperator
from stage_table import load_table

DAGS = Path(__file__).resolve().parents[2] / "dags"
CHAINS = {
    "generate_data": {"generate": set()},
    "train_model": {
        "wait_for_data": set(),
        "preprocess": {"wait_for_data"},
        "split": {"preprocess"},
        "train": {"split"},
        "validate": {"train"},
    },
    "predict": {
        "wait_for_data": set(),
        "wait_for_model": set(),
        "transform": {"wait_for_data", "wait_for_model"},
        "predict": {"transform", "wait_for_model"},
    },
}


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(DAGS)


def test_every_dag_loads_and_no_other_module_is_taken_for_one(bag: DagBag) -> None:
    assert {} == bag.import_errors
    assert set(CHAINS) == set(bag.dags)
    assert set(CHAINS) == {Path(stat.file).stem for stat in bag.dagbag_stats}


@pytest.mark.parametrize("dag_id", CHAINS)
def test_a_dag_is_the_chain_that_it_should_be(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    dag.check_cycle()

    assert CHAINS[dag_id] == {task.task_id: task.upstream_task_ids for task in dag.tasks}


@pytest.mark.parametrize("dag_id", CHAINS)
def test_every_task_is_a_sensor_or_a_row_of_the_table_in_a_container(
    bag: DagBag, dag_id: str
) -> None:
    table = load_table(DAGS / "stages.toml")
    stages = [task for task in bag.dags[dag_id].tasks if not task.task_id.startswith("wait_")]

    assert stages
    assert all(isinstance(task, StageOperator | DockerOperator) for task in stages)
    assert {task.task_id for task in stages} <= set(table)


@pytest.mark.parametrize("dag_id", CHAINS)
def test_a_dag_says_when_it_runs_and_what_ds_means(bag: DagBag, dag_id: str) -> None:
    doc = bag.dags[dag_id].doc_md or ""

    for topic in ("Schedule", "catch-up", "`ds`", "manual run", "backfill", "re-run", "`force`"):
        assert topic in doc


def next_run(dag: Any, after: Any = None, **restriction: Any) -> Any:
    """Ask a DAG's timetable, as the scheduler does, for the run that follows another one."""
    limits = {"earliest": dag.start_date, "latest": None, "catchup": dag.catchup}
    return coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=after and after.data_interval,
        restriction=TimeRestriction(**limits | restriction),
    )


@pytest.mark.parametrize("dag_id", CHAINS)
def test_switching_a_dag_on_starts_nothing_before_its_next_time(bag: DagBag, dag_id: str) -> None:
    assert next_run(bag.dags[dag_id]).run_after > pendulum.now("UTC")


@pytest.mark.parametrize(
    ("dag_id", "weekdays"),
    [
        ("generate_data", set(pendulum.WeekDay)),
        ("train_model", {pendulum.SUNDAY}),
        ("predict", set(pendulum.WeekDay)),
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


def test_the_three_dags_make_predictions_with_the_real_images(
    bag: DagBag, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_STAGES", str(DAGS / "stages.toml"))
    sunday, monday = pendulum.datetime(2013, 1, 6), pendulum.datetime(2013, 1, 7)
    runs = []
    for dag_id, day in [
        ("generate_data", sunday),
        ("generate_data", monday),
        ("train_model", sunday),
        ("predict", monday),
    ]:
        run = bag.dags[dag_id].test(logical_date=day)
        assert {"success"} == {state for state, _ in states(run).values()}
        runs.append(run)

    assert 0.5 < read_xcom(runs[2], "validate")["roc_auc"] < 1
    assert "models/2013-01-06" == read_xcom(runs[3], "wait_for_model")
    predictions = (data / "predictions/2013-01-07/predictions.csv").read_text().splitlines()
    assert read_xcom(runs[1], "generate")["rows"] == len(predictions) - 1
