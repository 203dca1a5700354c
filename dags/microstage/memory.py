"""Memory for a try after one that ran out of it: twice as much, up to the row's limits.memory_max.

What a try needs is kept in Airflow's task state store, which the tries of a task have in common.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from microstage.contract import Run
from microstage.jobs import Job


def machine() -> int:
    """Return the bytes of memory of this machine; the engine's is the same, by its data."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Memory:
    """What the tries of a task instance know of the memory that its jobs need."""

    def __init__(self, store: Any = None) -> None:
        """`store`: Airflow's; without one nothing is known."""
        self._store = store

    def given(self, job: Job, run: Run) -> Job:
        """Return the job with the memory that this try of it may have."""
        limits = job.row.limits
        if self._store is None or limits.memory_max <= limits.memory:
            return job
        needed = self._store.get(_key(run))
        if not isinstance(needed, int) or needed <= limits.memory:
            return job
        memory = min(needed, limits.memory_max)
        return replace(job, row=replace(job.row, limits=replace(limits, memory=memory)))

    def ran_out(self, job: Job, run: Run) -> int:
        """Return the bytes that the next try gets, 0 if it gets no more; remember them."""
        limits = job.row.limits
        more = min(2 * limits.memory, limits.memory_max, machine())
        if self._store is None or more <= limits.memory:
            return 0
        self._store.set(_key(run), more)
        return more


def _key(run: Run) -> str:
    return f"memory {run.day}".rstrip()
