"""When DAGs run, and for which pipelines: as their tables say, never for a time that is past."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, get_parsing_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from croniter import croniter

from microstage.day import day_of_run
from microstage.errors import USAGE, StageError
from microstage.forms import declared
from microstage.last_good import last_whole
from microstage.pipelines import NAME, Pipeline, check_name, load_pipeline, pipeline_names
from microstage.placement import unplaced

# The day of a run, as a value of `ds`: a function, which Airflow calls where it renders templates.
DS: Any = day_of_run

# What passes by itself, such as a scheduler that is busy, does so within these tries.
RETRIES = 2
RETRY_DELAY = timedelta(seconds=10)

MOST_HOURS = 8784  # a year

# Not run_immediately=False: Airflow 3.3.2 takes that for "a run that was due in the last tenth of
# the interval is made up for", against its documentation.
NOT_LATER = timedelta(0)


def hours_of(text: float | str) -> float:
    """Return how long a task is to wait, as a parameter says. Raises AirflowFailException."""
    with suppress(ValueError):
        if 0 <= (hours := float(text)) <= MOST_HOURS:
            return hours
    raise AirflowFailException(
        f"The hours to wait are {text!r}; they must be a number from 0 to {MOST_HOURS}."
    )


def is_true(value: object) -> bool:
    """Return what a parameter says that a template may have made a text of."""
    return str(value).lower() == "true"


def task_failure(error: StageError) -> AirflowException:
    """Return what a task is to raise: it is tried again if that can help."""
    kind = AirflowFailException if error.final else AirflowException
    return kind(str(error))


def pipelines() -> Iterator[Pipeline]:
    """Yield every pipeline, for a DAG file to make a DAG of each.

    One that is broken has no schedule until it is mended: its DAGs stay, so that its runs go on,
    and no run is started. dags/check_pipelines.py tells the UI. While Airflow runs a task, for
    which it parses the file too, it is the pipeline of that task's DAG alone.
    """
    names = dict.fromkeys(pipeline_names())
    of_task, dot, _ = (get_parsing_context().dag_id or "").partition(".")
    for name in [of_task] if dot and of_task in names else names:
        if NAME.fullmatch(name):
            yield checked_pipeline(name)


def faults() -> list[str]:
    """Return what is wrong with the files of pipelines and of forms, one sentence each."""
    names = pipeline_names()
    checked = [checked_pipeline(name) for name in names]
    found = {said for one in checked for said in (one.fault, one.notice, unplaced(one)) if said}
    try:
        declared()
    except StageError as error:
        found.add(str(error))
    for name in names[1:]:
        try:
            check_name(name, {})  # pipelines/default.toml is nobody's
        except StageError as error:
            found.add(str(error))
    return sorted(found)


def checked_pipeline(name: str) -> Pipeline:
    """Return a pipeline whose schedules Airflow takes; or, with its `fault`, what is left of it.

    Its window and history are then those that it had, as a run that has begun goes by them.
    """
    try:
        pipeline = load_pipeline(name)
        for dag in pipeline.schedules:
            timetable(pipeline, dag)
    except StageError as error:
        left = last_whole(name) or Pipeline(name, model=name)
        return replace(left, rows={}, schedules={}, fault=str(error))
    return pipeline


def timetable(pipeline: Pipeline, dag: str) -> CronTriggerTimetable | None:
    """Return when a DAG of a pipeline runs, in UTC; None: by hand alone. Raises StageError (64)."""
    cron = pipeline.schedules.get(dag)
    if cron is None:
        return None
    try:
        if not cron.startswith("@"):
            croniter(cron).get_next()  # there is no 30 February
    except ValueError:
        raise StageError(
            USAGE, f"{pipeline.file}, pipeline: {cron!r} of {dag} is no time to run."
        ) from None
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=NOT_LATER)
