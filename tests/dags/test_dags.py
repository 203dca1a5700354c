"""The DAGs of this repository: they load, and they are the chains that their docs tell of."""

import ast
import itertools
import json
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction
from dags_harness import DAY, read_xcom, schedule, states

from microstage.alerts import DEFAULT_ARGS
from microstage.jobs import resolve, writer_of
from microstage.operator import StageOperator
from microstage.pipelines import load_pipeline

DAGS = Path(__file__).resolve().parents[2] / "dags"
# The DAG files that every pipeline has; a team's own may be beside them.
STORIES = sorted(file.stem for file in DAGS.glob("*.py") if " in pipelines():" in file.read_text())
PIPELINES = {"default": "", "flights": "flights."}
DAG_IDS = [f"{prefix}{dag}" for prefix in PIPELINES.values() for dag in STORIES]


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(DAGS)


def test_every_pipeline_has_every_dag_and_no_other_module_is_taken_for_one(bag: DagBag) -> None:
    read = {Path(stat.file).stem for stat in bag.dagbag_stats}

    assert {} == bag.import_errors
    assert set(DAG_IDS) <= set(bag.dags)
    assert read <= {file.stem for file in DAGS.glob("*.py")} - {"stage_sensors"}


def pipeline_of(dag_id: str) -> str:
    return dag_id.rpartition(".")[0] or "default"


def chain(file: Path) -> list[list[str]]:
    """Return the tasks of the chain that a DAG file ends in; those that go side by side are one."""
    [story] = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.With)]
    drawn: list[list[str]] = []
    for line in story.body:
        links = ast.unparse(line).split(" >> ")
        assert drawn == [] or len(links) > 1, "the chain is what a file ends in"
        if len(links) > 1:
            groups = [link.strip("[]").split(", ") for link in links]
            assert not drawn or drawn[-1] == groups[0], "a line begins where the last one ended"
            drawn = [*drawn[:-1], *groups]
    return drawn


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_file_ends_in_one_chain_that_has_every_task_in_its_place(
    bag: DagBag, dag_id: str
) -> None:
    dag = bag.dags[dag_id]
    drawn = chain(Path(dag.fileloc))
    order = [name for group in drawn for name in group] or dag.task_ids

    assert sorted(order) == sorted(dag.task_ids)
    for before, after in itertools.pairwise(drawn):
        assert all(set(before) <= dag.task_dict[name].upstream_task_ids for name in after)
    # What a task takes from an earlier one may be an arrow of its own, which goes the same way.
    for task in dag.tasks:
        assert all(order.index(u) < order.index(task.task_id) for u in task.upstream_task_ids)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_waits_decides_or_is_a_row_of_its_pipeline(bag: DagBag, dag_id: str) -> None:
    rows = load_pipeline(pipeline_of(dag_id)).rows
    tasks: list[Any] = bag.dags[dag_id].tasks
    stages = [task for task in tasks if isinstance(task, StageOperator)]

    assert stages
    assert all(task.stage == task.task_id in rows for task in stages)
    assert {pipeline_of(dag_id)} == {task.pipeline for task in tasks}


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_rows_that_a_task_goes_by_are_rows_of_its_pipeline(bag: DagBag, dag_id: str) -> None:
    rows = load_pipeline(pipeline_of(dag_id)).rows
    roles = ("stage", "trainer", "version", "comparison", "report", "predictions")

    for task in bag.dags[dag_id].tasks:
        assert {getattr(task, role, "") for role in roles} - {""} <= set(rows)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_stage_comes_after_those_that_write_what_it_reads(bag: DagBag, dag_id: str) -> None:
    pipeline, dag = load_pipeline(pipeline_of(dag_id)), bag.dags[dag_id]

    for task in dag.tasks:
        if isinstance(task, StageOperator):
            sources = resolve(pipeline, task.stage, DAY, model="-").sources.values()
            found = [writer_of(pipeline, source) for source in sources]
            writers = {row.stage for row, _ in filter(None, found)}
            assert writers & set(dag.task_ids) <= task.get_flat_relative_ids(upstream=True)


@pytest.mark.parametrize(("name", "prefix"), PIPELINES.items())
def test_every_row_of_a_pipeline_is_a_task_of_a_dag(bag: DagBag, name: str, prefix: str) -> None:
    tasks = {task.task_id for dag in STORIES for task in bag.dags[prefix + dag].tasks}

    assert set(load_pipeline(name).rows) <= tasks


@pytest.mark.parametrize(("name", "prefix"), PIPELINES.items())
def test_the_assets_of_the_tasks_lead_from_data_to_reports(
    bag: DagBag, name: str, prefix: str
) -> None:
    tasks: list[Any] = [task for dag in STORIES for task in bag.dags[prefix + dag].tasks]
    stages = [task for task in tasks if isinstance(task, StageOperator)]
    drawn = {(i.name, o.name) for task in stages for i in task.inlets for o in task.outlets}
    way = ["raw", "processed", "models", "models/version", "production", "predictions", "reports"]

    assert set(itertools.pairwise(f"{name}/{kind}" for kind in way)) <= drawn
    assert all(task.outlets for task in stages)
    assert {"promote", "rollback"} == {
        task.task_id
        for task in stages
        if f"{name}/production" in [outlet.name for outlet in task.outlets]
    }


@pytest.mark.parametrize(("name", "prefix"), PIPELINES.items())
def test_the_days_of_a_dag_are_those_of_its_pipeline(bag: DagBag, name: str, prefix: str) -> None:
    pipeline = load_pipeline(name)
    reports: list[Any] = [
        bag.dags[prefix + dag].get_task("monitor") for dag in ("monitor", "backfill")
    ]
    windows = {task.window for task in reports}

    params = bag.dags[f"{prefix}train_model"].params

    assert pipeline.window == params["window"]
    assert params["train.rounds"] is None
    assert {pipeline.history} == windows


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_alerts_when_it_has_failed(bag: DagBag, dag_id: str) -> None:
    alerts = DEFAULT_ARGS["on_failure_callback"]

    assert alerts
    assert all(task.on_failure_callback == alerts for task in bag.dags[dag_id].tasks)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_says_when_it_runs_and_what_ds_means(bag: DagBag, dag_id: str) -> None:
    doc = bag.dags[dag_id].doc_md or ""
    topics = ("Schedule", "caught up", "`ds`", "manual run", "backfill", "re-run", "`force`")

    for topic in ("`ds`", "by hand alone") if "by hand" in bag.dags[dag_id].tags else topics:
        assert topic in doc


def next_run(dag: Any, after: Any = None, **restriction: Any) -> Any:
    """Ask a DAG's timetable, as the scheduler does, for the run that follows another one."""
    limits = {"earliest": dag.start_date, "latest": None, "catchup": dag.catchup}
    return coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=after and after.data_interval,
        restriction=TimeRestriction(**limits | restriction),
    )


def test_what_is_started_by_hand_waits_for_nobody_to_switch_it_on_first(bag: DagBag) -> None:
    by_hand = [dag for dag in bag.dags.values() if "by hand" in dag.tags]

    assert {"rollback", "backfill"} <= {dag.dag_id for dag in by_hand}
    assert {False} == {dag.is_paused_upon_creation for dag in by_hand}


def test_what_removes_data_is_for_every_pipeline_and_waits_to_be_switched_on(bag: DagBag) -> None:
    dag = bag.dags["maintain"]
    tasks: list[Any] = [task for task in dag.tasks if hasattr(task, "pipeline")]

    assert set(PIPELINES) <= {task.pipeline for task in tasks}
    alerts = DEFAULT_ARGS["on_failure_callback"]
    assert all(task.on_failure_callback == alerts for task in dag.tasks)
    assert dag.is_paused_upon_creation is not False
    assert "0 0 * * 0" == schedule(dag)


def test_switching_a_dag_on_starts_nothing_before_its_next_time(bag: DagBag) -> None:
    scheduled = [dag for dag in bag.dags.values() if schedule(dag) != "None"]

    assert scheduled
    for dag in scheduled:
        assert next_run(dag).run_after > pendulum.now("UTC")


def test_a_run_is_of_the_day_it_is_started_on(bag: DagBag) -> None:
    for dag in bag.dags.values():
        if schedule(dag) != "None":
            run = None
            for _ in range(14):
                run = next_run(dag, run, earliest=pendulum.datetime(2013, 1, 1), catchup=True)
                assert run.logical_date == run.run_after


def test_the_dags_make_predictions_and_a_report_with_the_real_images(
    bag: DagBag, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the registry, which the end-to-end tests have: model_path is set instead."""
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", "models/2013-01-06")
    sunday, monday = pendulum.datetime(2013, 1, 6), pendulum.datetime(2013, 1, 7)
    registry = "track|champion|compare|approve|promote|standby"
    runs = [
        bag.dags[dag_id].test(
            logical_date=day,
            mark_success_pattern=skipped,
            run_conf={"window": 1} if dag_id == "train_model" else None,
        )
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
