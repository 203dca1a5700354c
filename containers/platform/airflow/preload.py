"""Airflow, with what its tasks import already imported: `python3 preload.py scheduler`.

LocalExecutor's workers are forks of the scheduler, a task is a fork of its worker (of an Edge one,
too), and the DAG processor forks for each file that it reads. What they inherit they need not
import again and again; and of the modules in the DAGs' folder, which is read-only and may change at
any time, the byte code is kept, so that only the first of them compiles one.
https://docs.python.org/3/library/sys.html#sys.pycache_prefix

The scheduler looks for work all the time, and sleeps scheduler_idle_sleep_time between two looks.
That is most of the time between two tasks, and so is short; it is most of what an idle stack costs,
too. Airflow knows but one such time: here it is that one while tasks run, and longer when none has
for a while. The DAG processor reads a DAG file again when the file has changed, and all of them at
each interval; here also when a table or a module beside them has, so that the interval may be long.
"""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.__main__ import main

LIBRARIES = (
    "airflow.api.common.trigger_dag",
    "airflow.providers.docker.operators.docker",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "tomllib",
)
LINEAGE = "airflow.providers.openlineage.plugins.listener"  # where there is a receiver

REST = 1.5  # seconds between two looks when nothing runs: so late may a run's first task be
AFTER = 10.0  # seconds since a task ran


class Pause:
    """The attribute of the scheduler that says how long it sleeps."""

    def __init__(self) -> None:
        self.brief, self.busy = REST, 0.0

    def __set__(self, scheduler: Any, seconds: float) -> None:
        self.brief = seconds

    def __get__(self, scheduler: Any, _: object = None) -> float:
        now = time.monotonic()
        if any(executor.slots_occupied for executor in scheduler.executors):
            self.busy = now
        return self.brief if now - self.busy < AFTER else max(self.brief, REST)


def rest() -> None:
    """Let the scheduler of this process sleep so."""
    scheduler = import_module("airflow.jobs.scheduler_job_runner").SchedulerJobRunner
    scheduler._scheduler_idle_sleep_time = Pause()


def changed(folder: Path) -> float:
    """Return when a table or a module in a folder has last changed, come or gone."""
    latest, now = 0.0, time.time()
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in ("", *(name for name in files if name.endswith((".toml", ".py")))):
            with suppress(OSError):  # it has just gone
                # Not st_mtime, which a copy may keep. What is from the future has not happened.
                moment = Path(path, name).stat().st_ctime
                latest = max(latest, moment if moment <= now else 0)
    return latest


def follow() -> None:
    """Let the DAG processor of this process read files again when what they read has changed."""
    manager = import_module("airflow.dag_processing.manager").DagFileProcessorManager
    by_the_file_alone = manager._sort_by_mtime
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])

    def sort(self: Any, files: Iterable[Any]) -> tuple[list[Any], set[Any]]:
        ordered, again = by_the_file_alone(self, files)
        latest = changed(folder)
        for file, read in self._file_stats.items():
            ended = read.last_finish_time
            # Since it began to be read, not since that ended.
            if ended and latest > ended.timestamp() - (read.last_duration or 0):
                again.add(file)
        return ordered, again

    manager._sort_by_mtime = sort


if __name__ == "__main__":
    {"scheduler": rest, "dag-processor": follow}.get(sys.argv[1], lambda: None)()
    os.environ.update(told := import_module("receiver").settings(os.environ))
    for library in (*LIBRARIES, LINEAGE) if told else LIBRARIES:
        import_module(library)
    sys.dont_write_bytecode, sys.pycache_prefix = False, "/tmp/byte-code"  # noqa: S108 - its own
    main()  # type: ignore[no-untyped-call] # Airflow's
