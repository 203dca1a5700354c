"""Whether Airflow still counts on a try: asked before it publishes, and when it is told to end."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from airflow.sdk.exceptions import AirflowRuntimeError

from microstage.errors import TRY_AGAIN, LeftRunningError, StageError

if TYPE_CHECKING:
    from airflow.sdk import Context

API_SERVER = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
SECONDS = 1.5  # for an answer: a task that is told to end has five in all
# States of a task whose end somebody wants. One that is cleared while it runs is "restarting".
ENDED = ("failed", "success", "skipped", "removed", "upstream_failed", "restarting")
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT)


class Current:
    """Knows whether a try is the current one; asks again when its last answer is too old."""

    def __init__(self, context: Context, every: float = 0.0) -> None:
        """`every`: seconds for which an answer is good."""
        self._context = context
        self._every = every
        self._asked = -every
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise StageError unless it is: see check_current."""
        with self._lock:
            if time.monotonic() - self._asked < self._every:
                return
            check_current(self._context)
            self._asked = time.monotonic()

    def was_asked_to_end(self) -> bool:
        """Tell whether somebody wants the task to end: see was_asked_to_end."""
        return was_asked_to_end(self._context)


def check_current(context: Context) -> None:
    """Raise StageError if this try was given up: cleared, marked, or followed by another.

    Airflow gives each try an id of its own, and lets a stale one keep nothing:
    https://airflow.apache.org/docs/apache-airflow/3.3.0/core-concepts/tasks.html
    Raises LeftRunningError if it cannot be asked.
    """
    store = context.get("task_state_store")
    if store is None:
        return  # not run by Airflow
    try:
        store.set("publishing", context["ti"].try_number)
        state = _state(context)
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") not in GONE:
            raise LeftRunningError(f"Airflow does not say whether to publish: {error}") from None
        state = "given up"
    except (OSError, EOFError) as error:
        raise LeftRunningError(f"Airflow cannot be asked whether to publish: {error!r}") from None
    if state != "running":
        raise StageError(TRY_AGAIN, f"Nothing is published, as this try of the task is {state}.")


def _state(context: Context) -> str:
    """Return the state of the task, whichever try of it that is of."""
    ti = context["ti"]
    states = ti.get_task_states(
        dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=ti.map_index
    )
    found = {str(state) for of_run in states.values() for state in of_run.values()}
    return "running" if "running" in found else ", ".join(sorted(found)) or "not known"


def was_asked_to_end(context: Context) -> bool:
    """Tell whether somebody wants a task to end, where whoever runs it has told it to.

    That is told to a task as well when the API server has not heard of it, or it of the server, for
    some heartbeats. Then another try is on its way, or the server is away.
    """
    if not os.environ.get(API_SERVER):
        return True  # not run by Airflow's scheduler
    if _api_is_away():
        return False
    try:
        return _state(context) in ENDED
    except (AirflowRuntimeError, OSError, EOFError):
        return False


def _api_is_away() -> bool:
    url = os.environ[API_SERVER]
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=SECONDS)  # noqa: S310 - ours
    except HTTPError:
        return False
    except OSError:
        return True
    return False
