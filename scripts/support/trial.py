"""Run a stage on its last real inputs with the sources of a folder, and publish nothing.

It is the row's own image, with its walls and its packages, and the folder in the place of the code
that is in it: what a save takes is a run, not a build.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.types import Mount

from support import REPOSITORY
from support.differences import differences
from support.environment import LOCKS, environment
from support.side_by_side import newest, window_of
from support.sources import APP, copy, is_python, started
from support.stages import log, name_installation

from microstage.clearing import remove_all, sweep
from microstage.contract import Run
from microstage.data_folder import DataFolder, read_manifest
from microstage.endpoint import endpoint
from microstage.engines.attended import ENGINE_ERRORS, engine_failure
from microstage.engines.container import ContainerEngine, Debugger, connect, find_image, is_guard
from microstage.errors import NO_INPUT, TRY_AGAIN, USAGE, StageError
from microstage.exits import failure
from microstage.images import Image
from microstage.inputs import identity, present, read_inputs
from microstage.jobs import Job, resolve, target_of
from microstage.pipelines import Pipeline
from microstage.publishing import check_outputs, os_failure, read_summary
from microstage.table import Param

DEBUGGER = Path("/debugger")  # where it is in a container
ATTACHED_SECONDS = 24 * 3600  # that a stage may stand at breakpoints


def last_job(
    data: DataFolder,
    pipeline: Pipeline,
    stage: str,
    ds: str | None,
    *,
    window: str | None,
    model: str | None,
    params: Mapping[str, Param],
) -> tuple[Job, str]:
    """Return what a row did last whose inputs are still there, or on a day, and the day.

    What is not said, of `ds`, `window` and `model`, is as it was then. Raises StageError (64, 66).
    """
    row = pipeline.row(stage)
    if row.network:
        raise StageError(
            USAGE,
            f"{stage} works on a service, which each save would change: run it with "
            f"scripts/run_stage {stage} --ds DAY.",
        )
    if ds:
        manifest = read_manifest(data.place(target_of(pipeline, stage, ds)))
    else:
        found, ds = newest(data.root, row)
        if found is None:
            raise StageError(
                NO_INPUT,
                f"{stage} has published nothing whose inputs are still there: say with --ds on "
                "which day's inputs it is to run.",
            )
        manifest = found
    sources = manifest.get("sources", {})
    window = window or str(window_of({"sources": sources}, ds))
    model = model or sources.get("model")
    return resolve(pipeline, stage, ds, window=window, model=model, params=params), ds


@dataclass(frozen=True)
class Trial:
    """One job, to be run again and again; `port`: of a debugger that each run waits for."""

    data: DataFolder
    job: Job
    folder: Path
    run: Run
    port: int = 0

    def check(self) -> None:
        """Raise StageError where no run could begin, whatever the sources say."""
        name_installation()
        read_inputs(self.data, present(self.data, self.job))
        with _engine_errors():
            client = connect()
            if is_guard(client):
                raise StageError(
                    USAGE,
                    "The guard lets no sources into a container: set DOCKER_HOST to the engine's "
                    "own socket for --watch and --debug.",
                )
            sweep(client)
            self._entrypoint(client, find_image(client, self.job.row.image))
        if self.port:
            _check_port(self.port)

    def __call__(self) -> list[str]:
        """Run it; return how what it wrote differs from what is published, a line or some a file.

        Raises StageError where it failed.
        """
        try:
            job = present(self.data, self.job)
            inputs = read_inputs(self.data, job)
            with tempfile.TemporaryDirectory(prefix="microstage-") as scratch, _engine_errors():
                out = self._run(job, inputs, Path(scratch))
                check_outputs(out, job.row, self.data.owner)
                read_summary(out)
                published = self.data.place(job.target)
                if not published.is_dir():
                    return ["nothing is published there yet"]
                return differences(published, out)
        except OSError as error:
            raise os_failure(error) from error

    def clear(self) -> None:
        """Remove what is left of its containers."""
        with suppress(StageError, *ENGINE_ERRORS):  # an engine that is away keeps none of them
            remove_all(connect, self.run)

    def _run(self, job: Job, inputs: dict[str, Path], scratch: Path) -> Path:
        client = connect()
        image = find_image(client, job.row.image)
        entrypoint, place = self._entrypoint(client, image)
        out = scratch / "out"
        out.mkdir(0o755)
        os.chown(out, *self.data.owner)
        copy(self.folder, scratch / "app")
        engine = ContainerEngine(connect, self.data, image, self.run, log)
        path = self.data.path
        mounts = [engine.bind(f"/in/{name}", path(source)) for name, source in job.sources.items()]
        mounts.append(Mount("/out", str(out), type="bind"))
        mounts.append(Mount(APP, str(scratch / "app"), type="bind", read_only=True))
        debugger = None
        if self.port:
            mounts += _debugger_mounts(scratch)
            wait = ["-X", "frozen_modules=off", str(DEBUGGER / "wait.py"), str(self.port)]
            debugger = Debugger([*entrypoint[:place], *wait, *entrypoint[place:]], self.port)
        before = identity(inputs)
        ended = engine.run_to_the_end(
            job,
            job.command,
            mounts,
            seconds=ATTACHED_SECONDS if debugger else job.row.limits.timeout,
            goes_on=lambda: debugger is not None,
            debugger=debugger,
        )
        if error := failure(job.row, ended):
            raise error
        if identity(inputs) != before:
            raise StageError(
                TRY_AGAIN, f"The inputs of {job.row.stage} were replaced while it read them."
            )
        return out

    def _entrypoint(self, client: docker.APIClient, image: Image) -> tuple[list[str], int]:
        """Return an image's entrypoint, and which word of it is in the folder."""
        config: dict[str, Any] = client.inspect_image(image.store_id)["Config"]
        place = started(self.job.row.image, config, self.folder)
        entrypoint: list[str] = config["Entrypoint"]
        if self.port and not is_python(entrypoint, place):
            raise StageError(
                USAGE,
                f"{self.job.row.image} is not started by Python, and --debug is for Python alone.",
            )
        return entrypoint, place


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except ENGINE_ERRORS as error:
        raise engine_failure(error, endpoint().name) from None


def _check_port(port: int) -> None:
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", port))
        except OSError:
            raise StageError(
                USAGE, f"The port {port} is taken on this machine: say another, --debug PORT."
            ) from None


def _debugger_mounts(scratch: Path) -> list[Mount]:
    """Return the mounts by which a container has the debugger. Raises StageError (75)."""
    python = environment("debugger", LOCKS / "debugger" / "requirements.txt")
    (package,) = python.parents[1].glob("lib/python*/site-packages/debugpy")
    wait = scratch / "wait.py"
    shutil.copyfile(REPOSITORY / "scripts/debugger/wait.py", wait)
    wait.chmod(0o644)
    sources = {"wait.py": wait, "debugpy": package}
    return [
        Mount(str(DEBUGGER / name), str(source), type="bind", read_only=True)
        for name, source in sources.items()
    ]
