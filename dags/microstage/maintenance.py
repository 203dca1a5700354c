"""Tasks that remove what is old: of a pipeline's data, and of the logs.

A task has neither Airflow's database nor the engine, so what is in these is left to
scripts/maintain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowSkipException

from microstage.alone import alone
from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.keeping import SETTING, days_of, going
from microstage.needed import Graph, clear, plan
from microstage.old_logs import LOGS
from microstage.old_logs import clear as clear_logs
from microstage.pipelines import DEFAULT, load_pipeline, pipeline_names
from microstage.schedule import RETRIES, is_true, task_failure

if TYPE_CHECKING:
    from airflow.sdk import Context

UNENDED = ["queued", "running"]  # states of runs: one that waits for a person is running


def kept_days() -> dict[str, int]:
    """Return how many days what is kept. Raises StageError (64)."""
    return days_of(os.environ.get(SETTING, ""), map(load_pipeline, pipeline_names()))


class _Clear(BaseOperator):
    """What both share: the parameter, and one sentence for a failure."""

    template_fields = ("pretend",)

    def __init__(
        self,
        *,
        pretend: bool | str = "{{ params.dry_run }}",
        retries: int = RETRIES,
        retry_delay: timedelta = timedelta(minutes=10),  # a backup may be on its way
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.pretend = pretend

    def execute(self, context: Context) -> None:
        try:
            self.clear(context["ti"], kept_days(), dry_run=is_true(self.pretend))
        except StageError as error:
            raise task_failure(error) from None

    def clear(self, ti: Any, days: dict[str, int], *, dry_run: bool) -> None:
        """Remove what is old. Raises StageError."""
        raise NotImplementedError


class ClearData(_Clear):
    """Remove what is old of a pipeline's data, and needed by nothing that is kept.

    :param pipeline: name of the pipeline
    :param pretend: say it alone
    """

    def __init__(self, *, pipeline: str = DEFAULT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline

    def clear(self, ti: Any, days: dict[str, int], *, dry_run: bool) -> None:
        pipeline, root = load_pipeline(self.pipeline), DataFolder.from_environment()
        data = root.below(pipeline.folder)
        if not data.root.is_dir():
            raise AirflowSkipException(f"There is no data of {pipeline.name} yet.")
        with alone(root):
            graph = Graph(pipeline, data)
            dags = {(each.get("run") or {}).get("dag") for each in graph.manifests.values()}
            runs = [
                going(pipeline, f"{dag} {run.run_id}", run.logical_date or run.run_after, run.conf)
                for dag in sorted(filter(None, dags))
                for run in unended(ti, dag)
            ]
            variable = pipeline.prefixed("model_path")
            path = Variable.get(variable, default=None)
            in_use = {path: f"the Variable {variable} names it"} if path else {}
            found = plan(graph, days, datetime.now(UTC).date(), runs, in_use)
            for line in found.lines():
                self.log.info("%s", line)
            if not dry_run:
                clear(data, found.goes)
        said = "would go" if dry_run else "removed"
        size = sum(unit.size for unit in found.goes) / 1e6
        self.log.info("%d directories %s, %.1f MB.", len(found.goes), said, size)


class ClearLogs(_Clear):
    """Remove the logs that are old.

    :param pretend: say it alone
    """

    def clear(self, ti: Any, days: dict[str, int], *, dry_run: bool) -> None:  # noqa: ARG002
        if "logs" not in days:
            raise AirflowSkipException(f"{SETTING} in .env names no days for logs.")
        said = clear_logs(LOGS, days["logs"], dry_run=dry_run)
        self.log.info("%s%s", said, " would go" if dry_run else " removed")


def unended(ti: Any, dag: str) -> Iterator[Any]:
    """Yield the runs of a DAG that have not ended, as Airflow describes them to a task."""
    # Not at the top: it is there within a task alone.
    from airflow.sdk.execution_time.comms import GetDagRun  # noqa: PLC0415
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS  # noqa: PLC0415

    if not ti.get_dr_count(dag_id=dag, states=UNENDED):
        return
    for run in ti.get_task_states(dag_id=dag):
        if ti.get_dagrun_state(dag_id=dag, run_id=run) in UNENDED:
            yield SUPERVISOR_COMMS.send(GetDagRun(dag_id=dag, run_id=run))
