"""Runs a stage image the way the platform does: black box, hardened container, files in, files out.

Extend this helper rather than the tests: a test is one call to it and what it expects.
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol

import docker
import pytest
import requests
from docker.errors import DockerException
from docker.models.containers import Container
from docker.types import Mount

from microstage.endpoint import endpoint
from microstage.engines.container import find
from microstage.table import Limits
from microstage.walls import hardening

REPOSITORY = Path(__file__).parents[2]
IMAGES = sorted(
    folder.name
    for folder in (REPOSITORY / "containers").iterdir()
    if (folder / "Dockerfile").is_file() and folder.name != "platform"
)

Input = Path | Mapping[str, str | bytes]

# Root may read every file whatever its mode, so tests run by root use distroless' nonroot uid.
USER = f"{os.getuid()}:{os.getgid()}" if os.getuid() else "65532:65532"

# What a run may use where no row of the table says it.
LIMITS = Limits(cpus=2, memory=2**30, pids=256, timeout=120)


def reference(image: str) -> str:
    """`train` → `microstage/train:1.0.0`, as it is built here, whatever fills the table now.

    What is no folder under containers/ is a reference already.
    """
    if image not in IMAGES:
        return image
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    return f"microstage/{image}:{project['project']['version']}"


def look_up(client: docker.APIClient, image: str) -> dict[str, Any] | None:
    """What the engine says of an image; NAME@sha256:ID is pinned, whatever NAME means by now."""
    if not (found := find(client, image)):
        return None
    said: dict[str, Any] = client.inspect_image(found.store_id)
    return said


@dataclass(frozen=True)
class Result:
    """What one run of a stage left behind; `summary` fails where it wrote no summary.json."""

    code: int
    stdout: str
    stderr: str
    out: Path
    """What was /out in the container, readable and writable by the test."""
    out_of_memory: bool = False
    seconds: float = 0
    log: str = ""
    """What was run, how it ended, and both outputs: for a person."""

    @property
    def last_error(self) -> str:
        """The last line on stderr, "" if there is none."""
        return self.stderr.rstrip("\n").rpartition("\n")[2]

    @property
    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.out / "summary.json").read_text("utf-8"))
        return content


class RunStage(Protocol):
    """The type of the fixture `run_stage`."""

    def __call__(
        self,
        image: str,
        verb: str,
        *,
        inputs: Mapping[str, Input] | None = None,
        **params: object,
    ) -> Result: ...


class Engine:
    """Docker Engine, seen as a place to run stages in."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is a directory for the files of the runs; the caller removes it."""
        self._scratch = scratch
        try:
            self.client = docker.DockerClient(**endpoint().arguments, timeout=120)
            # Asked by several threads, it would look for proxies in an environment in which pytest
            # writes the running test's name: a variable that goes meanwhile is a KeyError.
            self.client.api.trust_env = False
            self.client.ping()
        except DockerException:
            where = endpoint().name
            fail(f"no Docker Engine answers at {where}: start it, then run the tests again")

    def attributes(self, image: str) -> dict[str, Any]:
        """What `docker image inspect` says of the image."""
        found = look_up(self.client.api, reference(image))
        if found is None:
            fail(f"image {reference(image)} is not built: run ./build_images.sh {image}")
        return found

    def run(self, image: str, command: Sequence[str], **options: Any) -> Result:
        """Run to the end, and show how it ended where the test fails. Options of `execute`."""
        result = self.execute(image, command, **options)
        print(result.log)
        return result

    def execute(
        self,
        image: str,
        command: Sequence[str],
        *,
        inputs: Mapping[str, Input] | None = None,
        timeout: float = 120,
        folders: Sequence[str] = (),
        **options: Any,
    ) -> Result:
        """Run to the end, with `folders` in /out. Several threads may call it.

        `options` are those of `start`.
        """
        out = self.new("out")
        for name in folders:
            (out / name).mkdir()
            (out / name).chmod(0o777)
        with self.start(image, command, inputs=inputs, out=out, **options) as container:
            code = finished(container, timeout)
            container.reload()
            state = container.attrs["State"]
            stdout = container.logs(stdout=True, stderr=False).decode("utf-8", "replace")
            stderr = container.logs(stdout=False, stderr=True).decode("utf-8", "replace")
        began, ended = (
            datetime.fromisoformat(state[key]).timestamp() for key in ("StartedAt", "FinishedAt")
        )
        return Result(
            code=code,
            stdout=stdout,
            stderr=stderr,
            out=out,
            # An init may end well although the kernel killed what it started.
            out_of_memory=state["OOMKilled"] and code != 0,
            seconds=max(0, ended - began),  # the engine may note a quick end before the start
            log=f"{image} {' '.join(command)}: exit code {code}\n{stdout}{stderr}",
        )

    @contextmanager
    def start(
        self,
        image: str,
        command: Sequence[str],
        *,
        inputs: Mapping[str, Input] | None = None,
        out: Path | None = None,
        out_size: str = "",
        limits: Limits = LIMITS,
        **options: Any,
    ) -> Iterator[Container]:
        """A running container of the image, removed at the end in any case.

        `out_size` ("4k") makes /out a tmpfs of that size instead of a directory of the host.
        `options` go to docker's `containers.create` and win over the platform's own.
        """
        mounts = [
            Mount(f"/in/{name}", str(self._on_host(files)), type="bind", read_only=True)
            for name, files in (inputs or {}).items()
        ]
        walls = hardening(limits)
        if out_size:
            walls["tmpfs"]["/out"] = f"size={out_size},mode=1777"
        else:
            mounts.append(Mount("/out", str(out or self.new("out")), type="bind"))
        walls["user"] = USER
        walls["use_config_proxy"] = False
        walls["environment"] = {"OMP_NUM_THREADS": str(max(1, int(limits.cpus)))}
        image_id = self.attributes(image)["Id"]
        container = self.client.containers.create(
            image_id, list(command), mounts=mounts, **walls | options
        )
        try:
            container.start()
            yield container
        finally:
            container.remove(force=True, v=True)

    def _on_host(self, files: Input) -> Path:
        if isinstance(files, Path):  # of a folder or, where that is what is asked for, of a file
            return files
        folder = self.new("in")
        write_files(folder, files)
        return folder

    def new(self, kind: str) -> Path:
        """A fresh directory that every uid may write to."""
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self._scratch))
        folder.chmod(0o777)
        return folder


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder, by their names there."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def finished(container: Container, timeout: float) -> int:
    """The container's exit code; the test fails if it still runs after `timeout` seconds."""
    try:
        return container.wait(timeout=timeout)["StatusCode"]
    except (requests.ReadTimeout, requests.ConnectionError):
        fail(f"still running after {timeout} s:\n{container.logs(tail=20).decode()}")


def fail(sentence: str) -> NoReturn:
    """Fail the test with the sentence alone: no traceback, no chain of causes above it."""
    raise pytest.fail.Exception(sentence, pytrace=False) from None


def arguments(verb: str, params: Mapping[str, object]) -> list[str]:
    """`fit`, {max_categories: 5} → `fit --max-categories 5`."""
    flags = ((f"--{name.replace('_', '-')}", str(value)) for name, value in params.items())
    return [verb, *(word for flag in flags for word in flag)]
