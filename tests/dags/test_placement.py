"""Where the task of a row is run: by whom Airflow is told to hand it to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microstage.operator import StageOperator
from microstage.schedule import faults

Table = Callable[..., None]
WORKERS = "LocalExecutor,EdgeExecutor"
QUEUED = {"queue": "gpu", "limits": {"memory": "3g"}}


def placed(**arguments: Any) -> tuple[Any, str, int]:
    """Return what Airflow is told of a task's place."""
    task = StageOperator(task_id="train", **arguments)
    return task.executor, task.queue, task.pool_slots


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", name)


@pytest.mark.parametrize(
    ("configured", "name"),
    [
        (WORKERS, "EdgeExecutor"),
        ("EdgeExecutor", "EdgeExecutor"),
        ("LocalExecutor, far:airflow.providers.edge3.executors.EdgeExecutor", "far"),
    ],
)
def test_a_row_with_a_queue_is_run_by_a_worker_of_it_that_has_the_memory(
    table: Table, executor: Callable[[str], None], configured: str, name: str
) -> None:
    executor(configured)
    table(train=QUEUED)

    assert (name, "gpu", 3) == placed()
    table(train={**QUEUED, "limits": {"memory": "100m", "memory_max": "5g"}})
    assert (name, "gpu", 5) == placed()


def test_a_row_without_a_queue_is_run_where_all_tasks_are(
    table: Table, executor: Callable[[str], None]
) -> None:
    table(train={})
    before = placed()
    executor(WORKERS)

    assert before == placed() == (None, "default", 1)


def test_who_writes_a_dag_has_the_last_word(table: Table, executor: Callable[[str], None]) -> None:
    executor(WORKERS)
    table(train=QUEUED)

    assert ("EdgeExecutor", "other", 1) == placed(queue="other", pool_slots=1)


def test_where_there_are_no_workers_it_runs_here_and_the_ui_says_so(
    pipeline_files: Path, executor: Callable[[str], None]
) -> None:
    (pipeline_files / "far.toml").write_text('[stages.train]\nqueue = "gpu"')
    executor("LocalExecutor")

    sentence = (
        "pipelines/far.toml: nobody works on the queue of train, as AIRFLOW_EXECUTOR of .env names "
        "no workers; it runs here (docs/scale.md)."
    )
    assert [sentence] == faults()
    assert (None, "default", 1) == placed(pipeline="far")
    executor(WORKERS)
    assert [] == faults()
    assert "gpu" == placed(pipeline="far")[1]


def test_a_table_that_cannot_be_read_keeps_no_dag_from_being_there(
    table: Table, executor: Callable[[str], None]
) -> None:
    executor(WORKERS)
    table(train=QUEUED)
    Path(os.environ["MICROSTAGE_STAGES"]).write_text("stages = 1")

    assert (None, "default", 1) == placed()
    Path(os.environ["MICROSTAGE_STAGES"]).unlink()
    assert (None, "default", 1) == placed()


def test_a_task_that_is_being_run_is_where_it_is(
    table: Table, executor: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor(WORKERS)
    table(train=QUEUED)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "train_model")

    assert (None, "default", 1) == placed()
