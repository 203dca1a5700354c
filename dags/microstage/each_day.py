"""EachDay: one row for many days, in one task instead of one for each day.

Airflow's part of a task is a second or more of CPU, whatever it does, which is most of what a small
day costs. The days stay days: each is a job of its own, and is published on its own by the same
`run_job`, so that it makes no difference to them who has started it. Where their image can do
several days in one run, several share a container, too.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from microstage.contract import Engine, Run, is_foreign
from microstage.data_folder import DataFolder, read_manifest
from microstage.engines.container import ContainerEngine
from microstage.engines.days import DaysEngine, does_days
from microstage.errors import NoInputError, StageError
from microstage.jobs import Job, days_between, spoken, target_of
from microstage.memory import machine
from microstage.operator import StageOperator
from microstage.pipelines import Pipeline
from microstage.schedule import is_true
from microstage.sensors import look_for_model
from microstage.table import Limits

if TYPE_CHECKING:
    from airflow.sdk import Context

FIRST, LAST = "{{ params.first }}", "{{ params.last }}"
DAYS = "days"  # the XCom in which a task says what became of each day


@dataclass
class Outcome:
    """What became of the days of one row."""

    done: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # day -> what it lacks
    failed: dict[str, StageError] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Return it as an XCom."""
        failed = {day: str(error) for day, error in sorted(self.failed.items())}
        return {
            "done": sorted(self.done),
            "left_out": dict(sorted(self.left_out.items())),
            "failed": failed,
        }

    def check(self, count: int) -> None:
        """Raise StageError if a day failed: final if all did so for good."""
        if self.failed:
            first = self.failed[min(self.failed)]
            passing = [error for error in self.failed.values() if not error.final]
            raise StageError(
                (passing or [first])[0].code,
                f"{len(self.failed)} of {count} days failed: {named(self.failed)}",
            )


def named(days: dict[str, Any]) -> str:
    """Return days, and the reason of the first one."""
    first = min(days)
    several = f"; the first, {first}" if len(days) > 1 else ""
    return f"{spoken(list(days))}{several}: {days[first]}"


def in_words(state: str | None, days: dict[str, Any]) -> str:
    """Return what became of the days of one row, for a person."""
    if not days:
        return f"{state or 'not run'}"
    words = [f"{len(days['done'])} days done"]
    words += [f"failed: {named(days['failed'])}"] if days["failed"] else []
    words += [f"left out: {named(days['left_out'])}"] if days["left_out"] else []
    return "; ".join(words)


def at_once(cores: int, memory: int, limits: Limits) -> int:
    """Return how many days are run at once: one for each core, if memory holds what all may take.

    The row's `cpus` are what a step may use at most: on a small day it is one.
    """
    return max(1, min(cores, memory // limits.memory))


def unsignalled(threads: int) -> ThreadPoolExecutor:
    """Return a pool whose threads, and those that they begin, leave signals to the main thread.

    The kernel may hand a signal of the process to a thread that begins another one right then:
    Python runs its handler in the main thread, which waits on, as nothing has woken it. So a task
    that was killed, or whose time was over, would go on.
    https://docs.python.org/3/library/signal.html#signals-and-threads
    """
    ours = {signal.SIGALRM, signal.SIGINT, signal.SIGTERM}
    return ThreadPoolExecutor(
        threads, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, ours)
    )


class EachDay(StageOperator):
    """Run one row for each day of a range: as many at once as there are cores.

    A day that fails does not stop the others: the task fails at the end, and tells which and why.
    It is not tried again when that cannot help any of them. Another try runs what is not up to date
    alone, and with `force` what this run has not done yet. A day without what the row reads is left
    out, and named; a task that has to leave out all of them is skipped.

    :param first: the first day, YYYY-MM-DD
    :param last: the last one
    :param model: directory of the model, which may hold {ds}
    :param predictions: the row whose predictions are looked at: the model that made them counts
    :param wanted: false skips the task
    :param keep_foreign: leave days alone, with `force` too, that hold files of a person
    """

    template_fields: Any = ("first", "last", "wanted", "window", "model", "stage_params", "force")

    good_for = 1.0  # several days may be published in a second

    def __init__(
        self,
        *,
        first: str = FIRST,
        last: str = LAST,
        predictions: str = "",
        wanted: bool | str = True,
        keep_foreign: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.first = first
        self.last = last
        self.predictions = predictions
        self.wanted = wanted
        self.keep_foreign = keep_foreign
        self._outcome = Outcome()
        self._together: DaysEngine | None = None  # unless each day has a container of its own

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        if not is_true(self.wanted):
            raise AirflowSkipException("The parameters of this run do not ask for it.")
        self._outcome = Outcome()
        try:
            return super().execute(context)
        finally:
            context["ti"].xcom_push(DAYS, self._outcome.described())

    def planned(self) -> Iterator[Job]:
        pipeline, _ = self.load_pipeline()
        for day in days_between(self.first, self.last) if is_true(self.wanted) else ():
            with suppress(NoInputError):  # it will be left out
                yield self._job(pipeline, day, self._model(pipeline, day))

    def _run_stage(self, run: Run) -> dict[str, Any]:
        days = days_between(self.first, self.last)
        pipeline, data = self.load_pipeline()
        row = pipeline.row(self.stage)
        with self._begun(data, run, row, len(days)):
            self._run_days(pipeline, data, run, days)
        self._outcome.check(len(days))
        if lacking := self._outcome.left_out:
            self.log.warning("%d of %d days left out: %s", len(lacking), len(days), named(lacking))
            if not self._outcome.done:
                raise AirflowSkipException(f"No day could be done: {named(lacking)}")
        return {"days": len(self._outcome.done), "left_out": len(lacking)}

    def _run_days(self, pipeline: Pipeline, data: DataFolder, run: Run, days: list[str]) -> None:
        row = pipeline.row(self.stage)
        number = at_once(os.cpu_count() or 1, machine(), row.limits)
        self.log.info("%s to %s: %d days, %d at once.", days[0], days[-1], len(days), number)
        threads = number
        if does_days(self.row_image, row):
            self._together = DaysEngine(data, run, days, number, self.log.info)
            threads *= self._together.size
        with unsignalled(threads) as pool:
            jobs = [pool.submit(self._run_day, pipeline, data, replace(run, day=d)) for d in days]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:  # Airflow's time limit of the task, which comes as one
                self.on_kill()
                raise

    def _run_day(self, pipeline: Pipeline, data: DataFolder, run: Run) -> None:
        """Run one day, in a thread; put into the outcome what became of it."""

        def say(line: str) -> None:
            self.log.info("%s  %s", run.day, line)

        try:
            self._publish_day(pipeline, data, run, say)
            self._outcome.done.append(run.day)
        except NoInputError as error:
            say(f"Left out: {error}")
            self._outcome.left_out[run.day] = str(error)
        except StageError as error:
            say(f"Failed: {error}")
            self._outcome.failed[run.day] = error
        finally:
            if self._together:
                self._together.gone(run.day)

    def _publish_day(
        self, pipeline: Pipeline, data: DataFolder, run: Run, say: Callable[[str], None]
    ) -> None:
        if self._stopped:
            raise self._stopped
        job = self._job(pipeline, run.day, self._model(pipeline, run.day))
        target = data.place(job.target)
        if self.keep_foreign and is_foreign(target):
            say(f"{job.shown(job.target)} holds files that no stage published: left as it is.")
            return
        force = is_true(self.force) and not _is_of(run, target)
        self._run_job(data, job, run, force=force, log=say)

    def _engine(self, container: ContainerEngine) -> Engine:
        return self._together.of(container) if self._together else container

    def _model(self, pipeline: Pipeline, day: str) -> str | None:
        """Return the directory of the model of a day. Raises NoInputError."""
        if self.predictions:
            found, missing = look_for_model(
                self.pipeline, target_of(pipeline, self.predictions, day)
            )
            if found is None:
                raise NoInputError(f"{missing}.")
            return str(found)
        return self.model and str(self.model).replace("{ds}", day)


def _is_of(run: Run, target: Path) -> bool:
    """Tell whether an earlier try of this run has published a day: then `force` has had its way."""
    try:
        published = {**read_manifest(target)["run"], "try": run.attempt}
    except (OSError, KeyError, TypeError):
        return False
    return published == run.described() and run.attempt > 1
