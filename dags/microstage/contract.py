"""The stage contract without Docker and without Airflow: one job, from its inputs to its outputs.

A stage reads directories and fills one. This module checks the ones it reads, has an engine run it
with an empty one to fill, and publishes that as a whole if and only if the stage succeeded and
wrote what its row of the table declares. The operator and scripts/run_stage both run stages through
`run_job`, so a step gives the same result whoever starts it. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from microstage.data_folder import MANIFEST, SUMMARY, DataFolder, read_manifest
from microstage.digests import Digests, stamps
from microstage.errors import (
    TRY_AGAIN,
    USAGE,
    LeftRunningError,
    StageError,
)
from microstage.exits import Exit, failure
from microstage.inputs import GONE, identity, model_of, present, read_inputs
from microstage.jobs import Job
from microstage.publishing import (
    check_outputs,
    os_failure,
    prepare,
    publish,
    read_summary,
    write_manifest,
)
from microstage.replacing import remove
from microstage.table import Row

TAKEN_OVER = "Another try of this task has begun, so this one publishes nothing."


@dataclass(frozen=True)
class Resumed:
    """What an earlier try of a job has begun: where it writes, and since when it runs."""

    staging: Path
    started: datetime


@dataclass(frozen=True)
class Run:
    """Who runs a job: goes into the manifest, and tells one task instance from all others."""

    dag: str = ""
    run: str = ""
    task: str = ""
    map: int | None = -1
    attempt: int = field(default=1, compare=False)
    day: str = ""  # which of its jobs, where a task instance has one for each of many days

    @property
    def instance(self) -> str:
        """The same for every try of a task instance and all of its days: finds its containers."""
        instance = json.dumps([self.dag, self.run, self.task, self.map]).encode()
        return f"{self.task}-{hashlib.sha256(instance).hexdigest()[:16]}"

    @property
    def key(self) -> str:
        """The same for every try of a job, so that a try can clean up after another."""
        return f"{self.instance}-{self.day}" if self.day else self.instance

    def described(self) -> dict[str, Any]:
        """Return it as a manifest has it."""
        return {
            "dag": self.dag,
            "run": self.run,
            "task": self.task,
            "map": self.map,
            "try": self.attempt,
        }


class Engine(Protocol):
    """What a job is run in: microstage.engines has one module for each kind."""

    def __call__(self, job: Job, staging: Path, /) -> Exit:
        """Run the job, whose sources are all there, with `staging` as its /out; tell how it ended.

        Raises StageError where it could not be run.
        """
        ...


def run_job(
    data: DataFolder,
    job: Job,
    *,
    image_id: str,
    run: Run,
    engine: Engine,
    log: Callable[[str], None],
    force: bool = False,
    full: bool = False,
    resume: Callable[[Job], Resumed | None] = lambda _: None,
    confirm: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run one job and publish what it wrote; return its summary.

    Work that is already done (same stage, verb, parameters, image and inputs, and outputs
    that are still as published) is not done again unless `force`. `full` reads all files for that,
    also those that look as they did when they were published.
    `resume` returns what an earlier try of the same job has begun, if `engine` goes on with it.
    `confirm` is asked right before the publication, and raises StageError unless it may be.
    Raises StageError; nothing is published then, and what was published before stays. After a
    LeftRunningError what has been begun stays as well, for another try.
    """
    try:
        job = present(data, job)
        inputs = read_inputs(data, job)
        target = data.place(job.target)
        digests = Digests(full=full)
        manifest = _manifest(job, image_id, inputs, digests)
        if not force and not job.row.always:
            summary = _up_to_date(target, manifest, job.row, digests)
            if summary is not None:
                log(
                    f"{job.shown(job.target)} is up to date: same inputs, parameters and image. "
                    "Nothing was run; set the parameter force to run it again."
                )
                return summary
        if not force:
            _refuse_foreign(target, job)
        resumed = resume(job)
        started = resumed.started if resumed else datetime.now(UTC)
        staging = resumed.staging if resumed else prepare(data, target, run.key)
        with _staged(staging):
            used = _run(job, inputs, engine, staging)
            manifest["outputs"] = check_outputs(staging, job.row, data.owner)
            summary = read_summary(staging)
            if not force and _up_to_date(target, manifest, job.row, digests) is not None:
                # Left in its place: others may be reading it.
                log(f"{job.shown(job.target)} stays as it is: {job.row.stage} wrote the same.")
                return summary
            manifest["stamps"] = stamps(staging, manifest["outputs"])
            manifest |= model_of(data, job)
            manifest["started"] = started.isoformat(timespec="seconds")
            manifest["seconds"] = round((datetime.now(UTC) - started).total_seconds(), 3)
            manifest |= {"used": used} if used else {}
            manifest["run"] = run.described()
            write_manifest(staging, manifest, data.owner)
            if not force:
                _refuse_foreign(target, job)
            confirm()
            publish(data, staging, target)
    except OSError as error:
        raise os_failure(error) from error
    facts = "".join(f", {key}={value}" for key, value in summary.items())
    log(f"Published {job.shown(job.target)} after {manifest['seconds']} s{facts}")
    return summary


@contextmanager
def _staged(staging: Path) -> Iterator[None]:
    """Remove a directory at the end: what is left of it, or what it replaced."""
    left = False
    try:
        yield
    except LeftRunningError:
        left = True
        raise
    except (FileNotFoundError, StageError):
        if staging.exists():
            raise
        raise StageError(TRY_AGAIN, TAKEN_OVER) from None
    finally:
        if not left:
            remove(staging)


def _manifest(job: Job, image_id: str, inputs: dict[str, Path], digests: Digests) -> dict[str, Any]:
    """Return what tells whether work is done already: the manifest but for its outputs."""
    return {
        "version": 1,
        "stage": job.row.stage,
        "verb": job.row.verb,
        "parameters": job.params,
        "image": job.row.image,
        "image_id": image_id,
        "sources": job.sources,
        "inputs": {name: digests(path) for name, path in inputs.items()},
    }


def _run(job: Job, inputs: dict[str, Path], engine: Engine, staging: Path) -> dict[str, Any]:
    """Have the job run; return what it used.

    Raises StageError unless it succeeded on inputs that stayed the same.
    """
    before = identity(inputs)
    ended = engine(job, staging)
    if identity(inputs) != before:
        raise StageError(
            TRY_AGAIN, f"The inputs of {job.row.stage} were replaced while it read them."
        )
    if error := failure(job.row, ended):
        raise error
    return ended.used


def _up_to_date(
    target: Path, manifest: dict[str, Any], row: Row, digests: Digests
) -> dict[str, Any] | None:
    try:
        published = read_manifest(target)
        outputs = published["outputs"]
        if any(published[key] != manifest[key] for key in manifest if key != "image"):
            return None
        if not {*row.files, SUMMARY} <= set(outputs):
            return None
        if any(digests(target / file) != expected for file, expected in outputs.items()):
            return None
        return read_summary(target)
    except (*GONE, ValueError, LookupError, TypeError, AttributeError):
        return None  # never published, or not by us, or damaged: then it is to be written anew


def is_foreign(target: Path) -> bool:
    """Tell whether a person put something there, instead of a stage."""
    if not os.path.lexists(target) or os.path.lexists(target / MANIFEST):
        return False
    return not target.is_dir() or any(target.iterdir())


def _refuse_foreign(target: Path, job: Job) -> None:
    """Never replace what a person put there."""
    if not is_foreign(target):
        return
    raise StageError(
        USAGE,
        f"{job.shown(job.target)} holds files that no stage published, so they were left alone; "
        "move them away, or set the parameter force to replace them.",
    )
