"""Which files of an image are opened when the stages run, by strace in their containers."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.types import Mount

from support import REPOSITORY
from support.image_files import Files, files_of, resolved

from microstage.contract import Run
from microstage.data_folder import DataFolder
from microstage.endpoint import endpoint
from microstage.engines.container import ContainerEngine, connect, find_image
from microstage.errors import NO_INPUT, TRY_AGAIN, StageError
from microstage.images import Image
from microstage.inputs import present
from microstage.jobs import Job, resolve
from microstage.pipelines import Pipeline
from microstage.table import Row

DAYS = ("2013-01-01", "2013-01-02")
STRACE = ["--library-path", "/strace", "/strace/strace", "--follow-forks", "--seccomp-bpf", "-qq"]
STRACE += ["--decode-fds=path", "--trace=open,openat,execve", "--output=/strace/opened"]


class StraceClient(docker.APIClient):
    """Runs what the container runs under strace, which is mounted into it with its libraries."""

    def __init__(self, folder: str) -> None:
        super().__init__(**endpoint().arguments, version="auto")
        self._folder = folder

    def create_host_config(self, *args: Any, **options: Any) -> Any:
        options["mounts"] = [*options["mounts"], Mount("/strace", self._folder, type="bind")]
        return super().create_host_config(*args, **options)

    def create_container(self, *args: Any, **options: Any) -> Any:
        program = super().inspect_image(options["image"])["Config"]["Entrypoint"]  # type: ignore[no-untyped-call]
        options["entrypoint"] = ["/strace/ld.so", *STRACE, *program]
        return super().create_container(*args, **options)


def fill(pipeline: Pipeline, data: DataFolder) -> None:
    """Run every row of the table as it is."""
    for row in pipeline.rows.values():
        if row.network:
            continue  # what is at its other end is not here
        for day in DAYS if row.reads == {} else DAYS[-1:]:
            command = [f"{REPOSITORY}/scripts/run_stage", row.stage, f"--ds={day}"]
            command += [f"--data={data.root}"]
            command += [f"--window={window(row)}", f"--model=models/{DAYS[-1]}"]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise StageError(1, f"{row.stage} failed: {done.stderr.strip().splitlines()[-1]}")


def window(row: Row) -> int:
    """Return the days that a row is about, as the DAGs have it: one where a model is at work."""
    return 1 if "{model}" in row.reads.values() else len(DAYS)


def look(pipeline: Pipeline, data: DataFolder, image: str, *, rest: bool) -> dict[str, int]:
    """Return path -> bytes of the image's files that are opened, or of the rest."""
    with closing(connect()) as client:
        found = find_image(client, image)
    claimed = found.labels.get("org.microstage.work", "").split()
    files, opened = files_of(image), set[str]()
    own = [row for row in pipeline.rows.values() if named(row.image) == named(image)]
    # Of each other kind of work the table's own row: an image's example may be of the same kind.
    first = {row.work: row for row in reversed(pipeline.rows.values())}
    others = [first[work] for work in claimed if work in first]
    works = {row.work for row in own}
    for row in pipeline.rows.values():
        if row in own or (row in others and row.work not in works):
            model = f"models/{DAYS[-1]}"
            job = resolve(pipeline, row.stage, DAYS[-1], window=window(row), model=model)
            job = present(data, alone(job) if row.network else job)
            if all(data.path(source).is_dir() for source in job.sources.values()):
                opened |= trace(data, job, found, files)
    if not opened:
        raise StageError(NO_INPUT, f"{image} fills no row of the table, and its label names none.")
    return {path: size for path, size in files.size.items() if (path in opened) != rest}


def alone(job: Job) -> Job:
    """Return a job with a service as one that does not find it: it gets as far as asking for it."""
    for name in job.row.env:
        os.environ[name] = "http://127.0.0.1:9" if name.endswith(("_URI", "_URL")) else "nobody"
    return replace(job, row=replace(job.row, network=""))


def named(image: str) -> str:
    """Return the name of an image without version and digest."""
    return re.split("[:@]", image.rpartition("/")[2])[0]


def trace(data: DataFolder, job: Job, image: Image, files: Files) -> set[str]:
    """Run a job whose output is thrown away; return the paths of the image that it opened."""
    strace = data.root / "strace"
    log = strace / "opened"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=data.root, prefix="out-") as out:
        os.chown(out, *data.owner)
        container = ContainerEngine(
            partial(StraceClient, str(strace)),
            data,
            image=image,
            run=Run("opened_files", str(os.getpid()), job.row.stage),
            write=lambda _: None,
        )
        with container as engine:
            ended = engine(job, Path(out))
    if ended.code != (TRY_AGAIN if job.row.env else 0):
        raise StageError(1, f"{job.row.stage} failed under strace: {ended.last_line}")
    text = log.read_text("utf-8", "surrogateescape")
    opened = set(re.findall(r" = \d+<(/[^>]*)>$", text, re.MULTILINE))
    for program in re.findall(r' execve\("([^"]*)"', text):
        real = resolved(files, program)
        opened |= {real, resolved(files, files.loader.get(real, real))}
    # A file of several names is known by one of them.
    return {resolved(files, path) for path in opened}
