"""Remove containers: of a job that has ended, of a task that was killed, and of nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import docker
from docker.errors import APIError, NotFound

from microstage.contract import Run
from microstage.walls import install

STOP_SECONDS = 2  # the contract: SIGTERM ends a stage within two seconds


def remove(
    client: docker.APIClient, container: str, seconds: int = STOP_SECONDS, *, running: bool = True
) -> None:
    """Stop (SIGTERM, some seconds, SIGKILL) and remove a container; one that is gone is fine.

    `running`: it may be; the engine is asked.
    """
    try:
        if running and client.inspect_container(container)["State"]["Running"]:
            client.stop(container, timeout=seconds)
        try:
            client.remove_container(container, force=True, v=True)
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise
            client.wait(container, condition="removed")  # somebody else is removing it right now
    except NotFound:
        pass


def containers_of(
    client: docker.APIClient, run: Run, *, day: str | None = None
) -> list[dict[str, Any]]:
    """Return the containers of a task instance, of any try; of one day, or of all."""
    wanted = {"install": install(), "key": run.instance}
    if day is not None:
        wanted["day"] = day
    labels = [f"microstage.{name}={value}" for name, value in wanted.items()]
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": labels})
    return found


def remove_all(
    connect: Callable[[], docker.APIClient],
    run: Run,
    seconds: int = STOP_SECONDS,
    *,
    client: docker.APIClient | None = None,
    lost_alone: bool = False,
) -> list[str]:
    """Remove every container of a task instance, of any try and day; return their ids.

    client: one that is idle, to list them by; lost_alone: only those that no other try can take
    over.
    """
    there = containers_of(client or connect(), run)
    found = [c["Id"] for c in there if not (lost_alone and c["Labels"].get("microstage.work"))]
    errors: list[Exception] = []

    def one(container: str) -> None:
        try:
            remove(connect(), container, seconds)
        except Exception as error:
            errors.append(error)

    # At the same time: those that do not listen to SIGTERM take some seconds each. Not an executor:
    # its locks may be held by what a signal has interrupted for this.
    threads = [threading.Thread(target=one, args=[container]) for container in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def sweep(client: docker.APIClient) -> list[str]:
    """Remove this installation's containers that are past their deadline; return their ids.

    The last try of a task that was killed with SIGKILL has no later try to clean up after it. Who
    has given a container a deadline that is no time is not us.
    """
    labels = [f"microstage.install={install()}", "microstage.deadline"]
    mine = client.containers(all=True, filters={"label": labels})
    now = time.time()
    deadlines = {c["Id"]: c["Labels"]["microstage.deadline"] for c in mine}
    overdue = [id_ for id_, text in deadlines.items() if text.isdecimal() and int(text) < now]
    for container in overdue:
        remove(client, container)
    return overdue
