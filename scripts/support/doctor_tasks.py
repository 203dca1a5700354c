"""The doctor's check of what Airflow's scheduler has in hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

from support.airflow_api import Airflow
from support.findings import Finding, Installation, UnseenError

from microstage.errors import StageError
from microstage.pipelines import load_pipeline, pipeline_names
from microstage.sharing import MOST

SINCE = {"scheduled": "scheduled_when", "queued": "queued_when", "running": "start_date"}


def stuck(installation: Installation) -> Iterator[Finding]:
    """Find tasks that wait to be run for long, or run for longer than any may."""
    installation.setting("AIRFLOW_PORT")
    most = _longest(installation)
    states = "&".join(f"state={state}" for state in SINCE)
    path = f"/api/v2/dags/~/dagRuns/~/taskInstances?{states}&limit=100&order_by=start_date"
    try:
        tasks = Airflow(root=installation.root).call("GET", path)["task_instances"]
    except HTTPError as error:
        raise UnseenError(f"Airflow answers {error.code}: docker compose logs api-server") from None
    except StageError as error:
        raise UnseenError(str(error).rstrip(".")) from None
    for task in tasks:
        minutes = _minutes(task)
        if minutes < (most if task["state"] == "running" else installation.minutes):
            continue
        what = f"{task['dag_id']}.{task['task_id']} of {task['dag_run_id']} is {task['state']}"
        if task["state"] == "running":
            mend = "mark it failed in Airflow, or restart the scheduler"
        else:
            mend = "see docker compose logs scheduler, Airflow's pools, and AIRFLOW_PARALLELISM"
        yield Finding(f"{what} for {minutes:.0f} minutes", mend)


def _minutes(task: dict[str, Any]) -> float:
    since = task[SINCE[task["state"]]] or task["queued_when"] or task["scheduled_when"]
    if not since:
        return 0
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(since)).total_seconds() / 60


def _longest(installation: Installation) -> float:
    """Return the minutes that a container of several days may run, whichever row it is of."""
    seconds = [0]
    for pipeline in pipeline_names():
        try:
            rows = load_pipeline(pipeline).rows.values()
        except StageError:
            continue  # the finding of another check
        seconds += [row.limits.timeout for row in rows]
    return max(seconds) * MOST / 60 + installation.minutes
