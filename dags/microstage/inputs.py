"""What a job reads: which files, and what its stage is given in the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from microstage.data_folder import DataFolder, parse_json, patience, published_files
from microstage.digests import stamp
from microstage.errors import USAGE, NoInputError, StageError
from microstage.jobs import Job, writer_of
from microstage.table import Row

Identity = dict[str, list[int]]
GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def present(data: DataFolder, job: Job) -> Job:
    """Return the job without those of its optional sources that are not there."""
    sources = {
        mount: source
        for mount, source in job.sources.items()
        if not job.is_optional(mount) or data.path(source).is_dir()
    }
    return replace(job, sources=sources)


def read_inputs(data: DataFolder, job: Job) -> dict[str, Path]:
    """Return every input file, path below /in -> path on disk. Raises NoInputError."""
    files: dict[str, Path] = {}
    for mount, source in job.sources.items():
        directory, found = _files(data, source, 0 if job.is_optional(mount) else patience())
        if not found and not job.is_optional(mount):
            missing = "is empty" if directory.is_dir() else "does not exist"
            raise NoInputError(f"{job.shown(source)} {missing}: {_who_writes(job, source)}")
        files.update({f"{mount}/{file}": directory / file for file in found})
    return files


def _files(data: DataFolder, source: str, seconds: float) -> tuple[Path, list[str]]:
    """Return where an input is, and its files: none when they have not come within so many seconds.

    Its place, not what is there now: one that is replaced meanwhile is another then.
    """
    until = time.monotonic() + seconds
    while not (found := _listed(place := data.place(source))) and time.monotonic() < until:
        time.sleep(0.5)
    return place, found


def _listed(directory: Path) -> list[str]:
    """Return the files of a directory that was in its place all the while.

    One that is replaced meanwhile is about to be removed, and has but a part of them left.
    """
    while directory.is_dir():
        with suppress(FileNotFoundError):
            before, found = stamp(directory), list(published_files(directory))
            if stamp(directory) == before:
                return found
    return []


def _who_writes(job: Job, source: str) -> str:
    if writer := writer_of(job.pipeline, source):
        row, day = writer
        return f"the stage {row.stage} writes it, run that{f' for {day}' if day else ''} first."
    return "no stage writes it, so put it there."


def identity(files: Mapping[str, Path]) -> Identity | None:
    """Return what tells that files were replaced: inode, size, time; None if one is gone."""
    try:
        return {name: stamp(path) for name, path in files.items()}
    except FileNotFoundError:
        return None


def variables(
    row: Row, given: Mapping[str, str] = os.environ, *, guarded: bool = False
) -> dict[str, str]:
    """Return what a stage is given in its environment. Raises StageError (64).

    guarded: what is a secret is left to the guard, which alone has it.
    """
    named = () if guarded else row.env
    if missing := [name for name in named if not given.get(name)]:
        raise StageError(
            USAGE,
            f"{row.where}: the environment that it is started from lacks {', '.join(missing)}.",
        )
    threads = str(max(1, int(row.limits.cpus)))
    return {"OMP_NUM_THREADS": threads, **{name: given[name] for name in named}}


def model_of(data: DataFolder, job: Job) -> dict[str, dict[str, str]]:
    """Which model a stage read, for its manifest: its directory, and its version if it has one."""
    if "model" not in job.sources:
        return {}
    path = job.sources["model"]
    return {"model": {"path": path} | version_of(data.path(path))}


def version_of(directory: Path) -> dict[str, str]:
    """Return name and version of the registered model that a directory is; {} if it is of none."""
    for place in ("", "version/"):  # a copy from the registry, or what was tracked there
        try:
            version = parse_json((directory / f"{place}version.json").read_bytes())
            return {"name": str(version["name"]), "version": str(version["version"])}
        except (*GONE, ValueError, KeyError, TypeError):
            continue
    return {}  # never registered
