"""Run the jobs of several days in one container, so that their image starts once for all of them.

Each is a job of its own all the same, which `run_job` checks and publishes in a thread of its own.
What meets here is what lies between: the jobs that wait become a batch, and each is told how its
own day ended. A day that the batch did not do has a container of its own, which tells why.
"""

from __future__ import annotations

import math
import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from docker.errors import APIError

from microstage.clearing import containers_of
from microstage.clearing import remove as remove_container
from microstage.contract import Engine, Run
from microstage.data_folder import STAGING, DataFolder
from microstage.engines.container import ContainerEngine
from microstage.errors import TRY_AGAIN, StageError
from microstage.exits import Exit
from microstage.images import Image
from microstage.jobs import Job, spoken
from microstage.publishing import let_pass
from microstage.replacing import remove
from microstage.sharing import COMMAND, MOST, ending, provide
from microstage.table import Row
from microstage.walls import DAYS, DAYS_LABEL

PATIENCE = 1.0  # seconds that a job waits for others while it could run
LINE = re.compile(r"(\d{4}-\d\d-\d\d)(?:  (.*))?", re.DOTALL)


def does_days(image: Image, row: Row) -> bool:
    """Tell whether a row's days may share a container.

    Not those of work outside the data folder: what a batch broke off is done again.
    """
    return image.labels.get(DAYS_LABEL) == DAYS and not row.always and not row.network


@dataclass(eq=False)
class _Day:
    """A job that has come, in the thread that waits for its end."""

    job: Job
    staging: Path
    container: ContainerEngine  # of this day alone
    since: float = field(default_factory=time.monotonic)
    over: bool = False  # its batch is
    ended: Exit | None = None
    error: Exception | None = None

    @property
    def name(self) -> str:
        return self.container.run.day


@dataclass
class _Batch:
    """Days that are to be run together: those that are expected, and those that have come."""

    coming: set[str]
    waiting: list[_Day] = field(default_factory=list)


class DaysEngine:
    """Gathers the jobs of a row's days, and runs them in as many containers as may run at once."""

    def __init__(
        self,
        data: DataFolder,
        run: Run,
        days: Sequence[str],
        at_once: int,
        write: Callable[[str], None],
    ) -> None:
        """`write` gets what is of no single day."""
        self._data = data
        self._write = write
        self._prefix = f"{run.instance}-{COMMAND}."
        self._free = at_once
        self._changed = threading.Condition()
        # As large as they may be if all are to be busy to the end.
        rounds = math.ceil(len(days) / (at_once * MOST))
        self.size = math.ceil(len(days) / (at_once * rounds))
        # Of days in a row, as these share most of what they read.
        rows = [days[start : start + self.size] for start in range(0, len(days), self.size)]
        self._batches = {day: batch for row in rows for batch in [_Batch(set(row))] for day in row}
        for left in (data.root / STAGING).glob("*"):
            if left.name.startswith(self._prefix):  # by an earlier try
                remove(left)

    def of(self, container: ContainerEngine) -> Engine:
        """Return the engine of one day, which it would be run by alone."""
        return lambda job, staging: self._run(_Day(job, staging, container))

    def gone(self, day: str) -> None:
        """Do not wait for a day: it has ended, perhaps before it came here."""
        with self._changed:
            self._batches[day].coming.discard(day)
            self._changed.notify_all()

    def _run(self, mine: _Day) -> Exit:
        with self._changed:
            self._batches[mine.name].coming.discard(mine.name)
            self._batches[mine.name].waiting.append(mine)
            self._changed.notify_all()
            while not (batch := self._batch(mine)) and not mine.over:
                self._changed.wait(PATIENCE)
        if batch:
            try:
                self._together(batch)
            except Exception as error:
                for day in batch:
                    day.error = error
            finally:
                for day in batch:
                    day.over = True
                self._release()
        if mine.error:
            raise mine.error
        return mine.ended or self._alone(mine)

    def _batch(self, mine: _Day) -> list[_Day]:
        """Return those that this thread is to run: it is the first, and waits for no more."""
        batch = self._batches[mine.name]
        if not self._free or batch.waiting[:1] != [mine]:
            return []
        if batch.coming and time.monotonic() - mine.since <= PATIENCE:
            return []
        found, batch.waiting = sorted(batch.waiting, key=lambda day: day.name), []
        self._free -= 1
        return found

    def _release(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def _alone(self, day: _Day) -> Exit:
        """Run a day that its batch did not do."""
        with self._changed:
            while not self._free:
                self._changed.wait()
            self._free -= 1
        try:
            if stopped := day.container.stopped():
                raise stopped
            for entry in day.staging.iterdir():
                remove(entry)
            if left := sorted(day.staging.iterdir()):
                raise StageError(TRY_AGAIN, f"{left[0]} of a run before cannot be removed.")
            day.container.write("It was not done with other days in one container: now alone.")
            return day.container(day.job, day.staging)
        finally:
            self._release()

    def _together(self, batch: list[_Day]) -> None:
        """Run a batch; leave to each day how it ended, if it was done."""
        first = batch[0]
        if stopped := first.container.stopped():
            raise stopped
        if len(batch) == 1:
            first.ended = first.container(first.job, first.staging)
            return
        days = {day.name: day for day in batch}
        called = spoken(list(days))
        self._write(f"{called}: {len(days)} days in one container.")

        def write(line: str) -> None:
            found = LINE.fullmatch(line)
            if found and found[1] in days:
                if found[2]:
                    days[found[1]].container.write(found[2])
            else:
                self._write(line)

        run = replace(first.container.run, day=called)
        container = replace(first.container, run=run, write=write)
        folder = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._data.root / STAGING))
        let_pass(folder)
        try:
            jobs = {day.name: (day.job, day.staging) for day in batch}
            places = provide(self._data, folder, jobs)
            mounts = [container.bind(p.target, p.path, read_only=p.read_only) for p in places]
            outputs, seen = folder / "out", 0

            def goes_on() -> bool:
                nonlocal seen
                before, seen = seen, sum(1 for _ in outputs.glob("*.json"))
                return seen > before

            limit = first.job.row.limits.timeout * (len(batch) + 1)
            try:
                ended = container.run_to_the_end(
                    first.job, [COMMAND], mounts, seconds=limit, goes_on=goes_on
                )
                if ended.code:
                    self._write(f"{called}: the container ended with exit code {ended.code}.")
            except APIError as error:
                # The engine answers, and what it has refused may be a matter of one day. It may not
                # be done again while its container is there.
                _remove(container, called)
                self._write(f"{called}: the Docker Engine refused: {error.explanation or error}.")
            for day in batch:
                day.ended = ending(outputs / f"{day.name}.json")
        finally:
            remove(folder)


def _remove(container: ContainerEngine, called: str) -> None:
    """Remove the container of a batch, if it is still there."""
    client = container.connect()
    for found in containers_of(client, container.run, day=called):
        remove_container(client, found["Id"])
