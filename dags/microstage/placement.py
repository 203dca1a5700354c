"""Where Airflow runs the task of a row: in which queue, and how much of its workers' room it takes.

Airflow fixes that when it creates the tasks of a run, from the DAG as it was last read: a changed
`queue` counts from the next run on, where the rest of a row counts from the next task.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.sdk import get_parsing_context
from airflow.sdk.configuration import conf

from microstage.digests import stamp
from microstage.errors import StageError
from microstage.pipelines import DEFAULT, Pipeline, load_pipeline, pipeline_path
from microstage.table import Row

EDGE = "EdgeExecutor"  # hands tasks to workers
SLOT = 2**30  # bytes of memory: what a slot of a worker is


def placement(name: str, stage: str) -> dict[str, Any]:
    """Return the arguments of Airflow's operator by which a row's task is run where its row says.

    Nothing for a row without a queue, where there are no workers, and for one that cannot be read:
    whoever runs such a task says so.
    """
    if get_parsing_context().dag_id:
        return {}  # a task is being run: it is where it is
    if (executor := workers()) is None:
        return {}
    row = row_of(name, stage)
    if row is None or not row.queue:
        return {}
    slots = -(-max(row.limits.memory, row.limits.memory_max) // SLOT)
    return {"executor": executor, "queue": row.queue, "pool_slots": slots}


def row_of(name: str, stage: str) -> Row | None:
    """Return a row as its files are now; None for one that cannot be read."""
    try:
        files = {pipeline_path(each) for each in (DEFAULT, name)}
        return _load(name, *(tuple(stamp(file)) for file in sorted(files))).row(stage)
    except (StageError, OSError):
        return None


def workers() -> str | None:
    """Return Airflow's name for what hands tasks to workers; None where there are none.

    https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/executor/index.html
    """
    configured = [name.strip() for name in conf.get("core", "executor").split(",")]
    for name in configured:
        alias, _, path = name.rpartition(":")
        if path.rpartition(".")[2] == EDGE:
            return alias or EDGE
    return None


def unplaced(pipeline: Pipeline) -> str | None:
    """Return a sentence for a pipeline whose rows have queues that nobody works on, if it is so."""
    queued = [row for row in pipeline.rows.values() if row.queue]
    if not queued or workers():
        return None
    names = ", ".join(row.stage for row in queued)
    return (
        f"{pipeline.file}: nobody works on the queue of {names}, as AIRFLOW_EXECUTOR of .env names "
        "no workers; it runs here (docs/scale.md)."
    )


@cache
def _load(name: str, *_: tuple[int, ...]) -> Pipeline:
    """Read a pipeline once for each state of its files."""
    return load_pipeline(name)
