"""The doctor's checks of what Airflow's scheduler has in hand, and of its workers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError

from support.airflow_api import Airflow
from support.findings import Finding, Installation, UnseenError

from microstage.errors import StageError
from microstage.pipelines import load_pipeline, pipeline_names
from microstage.sharing import MOST
from microstage.table import Row

EDGE = "EdgeExecutor"  # in AIRFLOW_EXECUTOR, where there are workers
SILENT = ("unknown", "offline")
SINCE = {"scheduled": "scheduled_when", "queued": "queued_when", "running": "start_date"}


def stuck(installation: Installation) -> Iterator[Finding]:
    """Find tasks that wait to be run for long, or run for longer than any may."""
    most = _longest(installation)
    states = "&".join(f"state={state}" for state in SINCE)
    path = f"/api/v2/dags/~/dagRuns/~/taskInstances?{states}&limit=100&order_by=start_date"
    for task in _asked(installation, path)["task_instances"]:
        minutes = _minutes(task)
        if minutes < (most if task["state"] == "running" else installation.minutes):
            continue
        what = f"{task['dag_id']}.{task['task_id']} of {task['dag_run_id']} is {task['state']}"
        if task["state"] == "running":
            mend = "mark it failed in Airflow, or restart the scheduler"
        else:
            mend = "see docker compose logs scheduler, Airflow's pools, and AIRFLOW_PARALLELISM"
        yield Finding(f"{what} for {minutes:.0f} minutes", mend)


def workers(installation: Installation) -> Iterator[Finding]:
    """Find workers that are not heard of any more, and queues that no worker has."""
    if EDGE not in installation.settings.get("AIRFLOW_EXECUTOR", ""):
        return
    known = _asked(installation, "/edge_worker/ui/worker")["workers"]
    silent = [each for each in known if each["state"] in SILENT]
    for worker in silent:
        what = f"the worker {worker['worker_name']} is {worker['state']}"
        yield Finding(what, "on its host: docker compose up --wait; or remove it in the UI")
    served = {queue for each in known if each not in silent for queue in each["queues"] or []}
    for row in _rows():
        if row.queue and row.queue not in served:
            what = f"{row.where}: no worker that is up has its queue, {row.queue}"
            yield Finding(what, "put it into WORKER_QUEUES of a worker host (docs/scale.md)")


def _asked(installation: Installation, path: str) -> Any:
    """Return what Airflow answers. Raises UnseenError."""
    installation.setting("AIRFLOW_PORT")
    try:
        return Airflow(root=installation.root).call("GET", path)
    except HTTPError as error:
        raise UnseenError(f"Airflow answers {error.code}: docker compose logs api-server") from None
    except StageError as error:
        raise UnseenError(str(error).rstrip(".")) from None


def _minutes(task: dict[str, Any]) -> float:
    since = task[SINCE[task["state"]]] or task["queued_when"] or task["scheduled_when"]
    if not since:
        return 0
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(since)).total_seconds() / 60


def _longest(installation: Installation) -> float:
    """Return the minutes that a container of several days may run, whichever row it is of."""
    seconds = max((row.limits.timeout for row in _rows()), default=0)
    return seconds * MOST / 60 + installation.minutes


def _rows() -> Iterator[Row]:
    """Yield the rows of every pipeline; that one is broken is the finding of another check."""
    for pipeline in pipeline_names():
        with suppress(StageError):
            yield from load_pipeline(pipeline).rows.values()
