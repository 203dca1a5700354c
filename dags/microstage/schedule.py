"""When DAGs run, and for which pipelines: as their tables say, never for a time that is past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, get_parsing_context
from croniter import croniter

from microstage.errors import USAGE, StageError
from microstage.pipelines import NAME, Pipeline, load_pipeline, pipeline_names

# The day of a run. A run that was triggered without a logical date has no `ds`: then it is the
# day on which it was triggered.
DS = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"

# Not run_immediately=False: Airflow 3.3.2 takes that for "a run that was due in the last tenth of
# the interval is made up for", against its documentation.
NOT_LATER = timedelta(0)


def pipelines() -> Iterator[Pipeline]:
    """Yield every pipeline, for a DAG file to make a DAG of each.

    One that is broken has no schedule until it is mended: its DAGs stay, so that its runs go on,
    and no run is started. dags/check_pipelines.py tells the UI. While Airflow runs a task, for
    which it parses the file too, it is the pipeline of that task's DAG alone.
    """
    names = pipeline_names()
    of_task = (get_parsing_context().dag_id or "").partition(".")[0]
    for name in [of_task] if of_task in names[1:] else names:
        if NAME.fullmatch(name):
            yield checked_pipeline(name)


def checked_pipeline(name: str) -> Pipeline:
    """Return a pipeline whose schedules Airflow takes; or, with its `fault`, what is left of it."""
    try:
        pipeline = load_pipeline(name)
        for dag in pipeline.schedules:
            timetable(pipeline, dag)
    except StageError as error:
        return Pipeline(name, model=name, fault=str(error))
    return pipeline


def timetable(pipeline: Pipeline, dag: str) -> CronTriggerTimetable | None:
    """Return when a DAG of a pipeline runs, in UTC; None: by hand alone. Raises StageError (64)."""
    cron = pipeline.schedules.get(dag)
    if cron is None:
        return None
    if not cron.startswith("@") and not croniter.is_valid(cron):
        raise StageError(USAGE, f"{pipeline.file}, pipeline: {cron!r} of {dag} is no time to run.")
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=NOT_LATER)
