"""The guard's own containers: those that it has made, which its label says after a restart, too."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

from guard.compose import OURS
from guard.engine import Engine
from guard.refusals import RefusedError


class Owned:
    """The containers of this installation's guard, and how many there may be.

    unattended: seconds for which one may be without anybody who listens to it; 0: its deadline
    counts alone.
    """

    def __init__(self, engine: Engine, install: str, most: int, unattended: int = 0) -> None:
        self._engine = engine
        self._mark = f"{OURS}={install}"
        self._install = install
        self._most = most
        self._coming = 0
        self.unattended = unattended
        self._seen: set[str] = set()
        self._listening: Counter[str] = Counter()
        self._alone: dict[str, float] = {}  # since when nobody has listened

    async def check(self, container: str) -> None:
        """Raise RefusedError, as if it were not there, for a container that is not ours."""
        if container in self._seen:
            return
        answer = await self._engine.call("GET", f"/containers/{container}/json")
        found = {} if answer.failed else answer.json["Config"].get("Labels") or {}
        if found.get(OURS) != self._install:
            raise RefusedError("No such container, of those that the guard has made.", 404)
        self._seen.add(container)

    def forget(self, container: str) -> None:
        """Let go of one that has been removed."""
        self._seen.discard(container)

    @contextmanager
    def heard(self, container: str) -> Iterator[None]:
        """Know that somebody listens to it, or waits for its end."""
        self._listening[container] += 1
        try:
            yield
        finally:
            self._listening[container] -= 1
            if not self._listening[container]:
                del self._listening[container]
            self._alone[container] = time.monotonic()

    async def list(self, *labels: str) -> list[dict[str, Any]]:
        """Return our containers that have these labels, whether they run or not."""
        filters = json.dumps({"label": [self._mark, *labels]})
        answer = await self._engine.call("GET", "/containers/json", all="1", filters=filters)
        if answer.failed:
            raise RefusedError("The Docker Engine lists no containers.", HTTPStatus.BAD_GATEWAY)
        return list(answer.json)

    async def sweep(self) -> Sequence[str]:
        """Remove our containers that are past their deadline, or alone; return their ids.

        Nobody waits for them any more: whoever did has been gone for longer than they may take. On
        a host of several, another one may have begun anew what one that is alone does.
        """
        overdue, there = [], await self.list("microstage.deadline")
        known = {each["Id"] for each in there}
        self._alone = {id_: since for id_, since in self._alone.items() if id_ in known}
        for each in there:
            until = each["Labels"]["microstage.deadline"]
            if (until.isdecimal() and int(until) < time.time()) or self._is_left(each["Id"]):
                path = f"/containers/{each['Id']}"
                await self._engine.call("POST", f"{path}/stop", t="2")
                await self._engine.call("DELETE", path, v="1", force="1")
                self.forget(each["Id"])
                overdue.append(each["Id"])
        return overdue

    def _is_left(self, container: str) -> bool:
        """Tell whether nobody has listened for too long; of one that is new here: since now."""
        if not self.unattended or self._listening[container]:
            return False
        since = self._alone.setdefault(container, time.monotonic())
        return time.monotonic() - since > self.unattended

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Hold a place for one more container. Raises RefusedError where there is none."""
        self._coming += 1  # before the list is asked for: of two at once, both count
        try:
            there = len(await self.list())
            if there + self._coming > self._most:
                raise RefusedError(
                    f"There are {there} containers of stages, and {self._most} is the most that "
                    "AIRFLOW_PARALLELISM of .env allows here; it is tried again.",
                    HTTPStatus.TOO_MANY_REQUESTS,
                )
            yield
        finally:
            self._coming -= 1

    def made(self, container: str) -> None:
        """Remember one that has just been made."""
        self._seen.add(container)
