"""Which day a run is for: the one that whoever started it meant, in whatever time zone.

A form of Airflow's UI has the time zone of the browser, and sends the moment in UTC: midnight in
Berlin is 23:00 of the day before. So a form has a field for the day, which counts; and without it
a moment that a person chose is read in the time zone of this installation. Schedules are in UTC.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from microstage.errors import USAGE, StageError

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

BY_A_PERSON = "manual"  # the type of a run that was started in the UI, by the API or a command


@dataclass(frozen=True)
class Day:
    """The day of a run, and why it is that one."""

    ds: str  # YYYY-MM-DD
    why: str


def day_param() -> Param:
    """Return the field of a DAG's form in which a person says the day."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="day",
        description="The day of the run, ds. Without it, it is that of the logical date, read in "
        "the time zone of this installation (TIME_ZONE in .env), which may be another than this "
        "form's.",
    )


def day_of(context: Any) -> Day:
    """Return the day of a run from the context of a task or of a callback of Airflow.

    Raises StageError (64) where the time zone of this installation is none.
    """
    run = context["dag_run"]
    params = context.get("params") or run.conf or {}
    for name in ("day", "last"):  # of a run of many days it is the last one
        if given := params.get(name):
            return Day(str(given), f"the parameter {name}")
    called = "the logical date" if run.logical_date else "the time of its start"
    moment: datetime = (run.logical_date or run.run_after).astimezone(UTC)
    zone, name, hint = UTC, "UTC", ""
    # Midnight UTC is how schedules and programs write a day.
    if run.run_type == BY_A_PERSON and moment.time() != time():
        zone, name = _time_zone()
        hint = "; if another day is meant, start a run with the parameter day"
    why = f"{called}, {moment.isoformat(timespec='seconds')}, in {name}{hint}"
    return Day(f"{moment.astimezone(zone):%Y-%m-%d}", why)


def _time_zone() -> tuple[Any, str]:
    """Return the time zone of this installation and its name; None is the machine's own."""
    name = os.environ.get("MICROSTAGE_TIME_ZONE") or conf.get("core", "default_timezone")
    if name.lower() in {"utc", "system"}:
        return (UTC, "UTC") if name.lower() == "utc" else (None, "the time zone of the machine")
    try:
        return ZoneInfo(name), name
    except (LookupError, ValueError, OSError):
        raise StageError(
            USAGE,
            f"TIME_ZONE in .env is {name!r}, no time zone; write one such as Europe/Berlin or UTC.",
        ) from None


def day_of_run(context: Context, jinja_env: Any = None) -> str:  # noqa: ARG001 - Airflow's
    """Return the day of a task's run, and tell its log."""
    try:
        day = day_of(context)
    except StageError as error:
        raise AirflowFailException(str(error)) from None
    log.info("The day of this run is %s: %s.", day.ds, day.why)
    return day.ds
