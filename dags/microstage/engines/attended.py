"""A container that runs, attended to its end: its log, its time limit, its exit code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from microstage.clearing import STOP_SECONDS
from microstage.engines.output import Output, last_line, lines, logged
from microstage.engines.usage import Usage
from microstage.errors import TRY_AGAIN, USAGE, LeftRunningError, StageError
from microstage.exits import Exit
from microstage.table import Row

ENGINE_ERRORS = (DockerException, RequestException)
NO_DEVICE = "could not select device driver"  # what the engine says where it has no GPU
# What a connection that breaks comes as: docker-py reads some streams by itself.
BROKEN = (RequestException, HTTPError, OSError)
SEEN_SECONDS = 1.0
PATIENCE = 10  # seconds
AWAY_SECONDS = 60  # that an engine may be away in the middle of a stage, for an upgrade or so


@dataclass(eq=False)
class Attendant:
    """Attends to one container.

    stopped: what ends it before its time; seen: a file whose time is that of the last line that was
    passed on, for who attends to the container after us.
    """

    connect: Callable[[], docker.APIClient]
    write: Callable[[str], None]
    stopped: Callable[[], StageError | None]
    row: Row
    container: str
    seen: Path | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _timed_out: threading.Event = field(default_factory=threading.Event)
    _at: float = 0  # when the last line was passed on
    _touched: float = 0  # when `seen` was

    def start(self, client: docker.APIClient, goes_on: Callable[[], bool] = lambda: False) -> Exit:
        """Start it, just created by this client, and return how it ended. Raises StageError."""
        self._check()
        # Before the start, so that nothing is missed.
        stream = client.attach(self.container, stdout=True, stderr=True, stream=True, demux=True)
        client.start(self.container)
        return self._to_the_end(client, stream, 0, goes_on)

    def go_on(self, began: datetime) -> Exit:
        """Return how it ended, which another has started. Raises StageError."""
        client = self.connect()
        passed = (datetime.now(UTC) - began).total_seconds()
        if self.seen and self.seen.exists():
            self._at = self.seen.stat().st_mtime
        return self._to_the_end(client, self._log(client), passed, lambda: False)

    def _to_the_end(
        self,
        client: docker.APIClient,
        stream: Iterator[Output],
        passed: float,
        goes_on: Callable[[], bool],
    ) -> Exit:
        threading.Thread(target=self._watch, args=[passed, goes_on], daemon=True).start()
        usage = Usage(self.connect, self.container)
        try:
            last = self._read(stream)
            while (code := self._code(client)) is None:
                client = self._again()
                last = self._read(self._log(client))
            self._check()
            if code == 0:
                return Exit(0, last, used=usage.end())
            state = client.inspect_container(self.container)["State"]
            line = last_line(client, self.container) or last
            return Exit(code, line, bool(state["OOMKilled"]), self._timed_out.is_set())
        finally:
            usage.end()
            self._over.set()

    def _check(self) -> None:
        if error := self.stopped():
            raise error

    def _read(self, stream: Iterator[Output]) -> str:
        """Pass a stream on; return its last line of stderr. One that breaks has ended."""
        try:
            return lines(stream, self._pass_on)
        except BROKEN:
            return ""

    def _pass_on(self, line: str) -> None:
        self.write(line)
        self._at = time.time()
        if self.seen and self._at - self._touched > SEEN_SECONDS:
            self._touched = self._at
            with suppress(OSError):  # on a disk that is full a log may have a line twice
                self.seen.touch()

    def _log(self, client: docker.APIClient) -> Iterator[Output]:
        """Return what has not been passed on; the lines of a second or two may have been."""
        return logged(client, self.container, max(self._at - 2 * SEEN_SECONDS, 0.0))

    def _code(self, client: docker.APIClient) -> int | None:
        """Return the exit code; None when the engine does not tell."""
        try:
            # At once, after its outputs have ended: otherwise they have not, but broken off.
            return int(client.wait(self.container, timeout=PATIENCE)["StatusCode"])
        except NotFound:
            self._check()
            raise
        except (*BROKEN, APIError) as error:
            self._check()
            if isinstance(error, APIError) and not error.is_server_error():
                raise
            return None

    def _again(self) -> docker.APIClient:
        """Return a client when the engine is back. Raises LeftRunningError when it stays away."""
        self.write("The connection to the Docker Engine broke; trying again.")
        until = time.monotonic() + AWAY_SECONDS
        while True:
            time.sleep(1)
            self._check()
            try:
                client = self.connect()
                client.inspect_container(self.container)
                return client
            except NotFound:
                raise
            except (StageError, *BROKEN, DockerException) as error:
                if time.monotonic() > until:
                    raise LeftRunningError(
                        f"The Docker Engine was away for {AWAY_SECONDS} s while {self.row.stage} "
                        f"ran; the next try goes on with its container ({error})"
                    ) from None

    def _watch(self, passed: float, goes_on: Callable[[], bool]) -> None:
        """Stop the container when its time is over."""
        limit = self.row.limits.timeout
        wait = max(limit - passed, 0)
        while not self._over.wait(wait):
            wait = limit
            if goes_on():
                continue
            self._timed_out.set()
            try:
                self.connect().stop(self.container, timeout=STOP_SECONDS)
                return
            except (StageError, *BROKEN, DockerException):
                wait = 1  # it is away


def engine_failure(error: Exception, engine: str) -> StageError:
    """One sentence for what went wrong between us and an engine, which people know by a name."""
    if isinstance(error, NotFound) and "container" in str(error.explanation).lower():
        return StageError(TRY_AGAIN, "The stage's container was removed while it ran.")
    if isinstance(error, APIError) and NO_DEVICE in str(error.explanation):
        return StageError(
            USAGE,
            "The row asks for gpus, and this Docker Engine has none: install the NVIDIA Container "
            "Toolkit, give the row the queue of a host that has some, or leave out gpus.",
        )
    if isinstance(error, APIError):
        return StageError(TRY_AGAIN, f"The Docker Engine refused: {error.explanation or error}.")
    return StageError(
        TRY_AGAIN,
        f"The Docker Engine at {engine} does not answer; see that it runs and that this user may "
        f"use it ({type(error).__name__}).",
    )
