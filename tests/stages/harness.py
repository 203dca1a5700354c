"""Runs a stage image the way the platform does: black box, hardened container, files in, files out.

Extend this helper rather than the tests: a test is one call to it and what it expects.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import docker
import pytest
import requests
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container
from docker.types import Mount

REPOSITORY = Path(__file__).parents[2]
IMAGES = sorted(
    folder.name
    for folder in (REPOSITORY / "containers").iterdir()
    if folder.is_dir() and folder.name != "platform"
)

# The table of stages: name and row.
STAGES: dict[str, dict[str, Any]] = tomllib.loads(
    (REPOSITORY / "dags" / "stages.toml").read_text("utf-8")
)["stages"]

Input = Path | Mapping[str, str | bytes]

# Root may read every file whatever its mode, so tests run by root use distroless' nonroot uid.
USER = f"{os.getuid()}:{os.getgid()}" if os.getuid() else "65532:65532"


def reference(image: str) -> str:
    """`train` → `microstage/train:1.0.0`: as dags/stages.toml says, where the image fills a row.

    One that fills none (replay, while generate does) has the version that images are built with.
    """
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    used = [row["image"] for row in STAGES.values()]
    name = f"microstage/{image}"
    built = f"{name}:{project['project']['version']}"
    return next((row for row in used if row.startswith(f"{name}:")), built)


@dataclass(frozen=True)
class Result:
    """What one run of a stage left behind; `summary` fails where it wrote no summary.json."""

    code: int
    stdout: str
    stderr: str
    out: Path
    """What was /out in the container, readable and writable by the test."""

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
        self._runs = 0
        try:
            self.client = docker.from_env(timeout=120)
            self.client.ping()
        except DockerException:
            where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
            fail(f"no Docker Engine answers at {where}: start it, then run the tests again")

    def attributes(self, image: str) -> dict[str, Any]:
        """What `docker image inspect` says of the image."""
        try:
            return self.client.images.get(reference(image)).attrs
        except ImageNotFound:
            fail(f"image {reference(image)} is not built: run ./build_images.sh {image}")

    def run(
        self,
        image: str,
        command: Sequence[str],
        *,
        inputs: Mapping[str, Input] | None = None,
        timeout: float = 120,
        **options: Any,
    ) -> Result:
        """Run to the end. `options` are those of `start`."""
        out = self._new("out")
        with self.start(image, command, inputs=inputs, out=out, **options) as container:
            code = finished(container, timeout)
            result = Result(
                code=code,
                stdout=container.logs(stdout=True, stderr=False).decode(),
                stderr=container.logs(stdout=False, stderr=True).decode(),
                out=out,
            )
        # pytest shows it where a test fails.
        print(f"{image} {' '.join(command)}: exit code {code}\n{result.stdout}{result.stderr}")
        return result

    @contextmanager
    def start(
        self,
        image: str,
        command: Sequence[str],
        *,
        inputs: Mapping[str, Input] | None = None,
        out: Path | None = None,
        out_size: str = "",
        **options: Any,
    ) -> Iterator[Container]:
        """A running container of the image, removed at the end in any case.

        `out_size` ("4k") makes /out a tmpfs of that size instead of a directory of the host.
        `options` go to docker's `containers.create` and win over the hardened defaults.
        """
        mounts = [
            Mount(f"/in/{name}", str(self._on_host(files)), type="bind", read_only=True)
            for name, files in (inputs or {}).items()
        ]
        tmpfs = {"/tmp": "size=256m,mode=1777"}
        if out_size:
            tmpfs["/out"] = f"size={out_size},mode=1777"
        else:
            mounts.append(Mount("/out", str(out or self._new("out")), type="bind"))
        hardened: dict[str, Any] = {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "network_mode": "none",
            "init": True,
            "user": USER,
            "tmpfs": tmpfs,
            "mem_limit": "1g",
            "memswap_limit": "1g",
            "pids_limit": 256,
            # The engine's default may be a log driver that cannot be read back.
            "log_config": {"type": "json-file"},
        }
        try:
            container = self.client.containers.create(
                reference(image), list(command), mounts=mounts, **hardened | options
            )
        except ImageNotFound:
            fail(f"image {reference(image)} is not built: run ./build_images.sh {image}")
        try:
            container.start()
            yield container
        finally:
            container.remove(force=True, v=True)

    def _on_host(self, files: Input) -> Path:
        if isinstance(files, Path):
            return files
        folder = self._new("in")
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    def _new(self, kind: str) -> Path:
        self._runs += 1
        folder = self._scratch / f"{self._runs}-{kind}"
        folder.mkdir()
        # The stage's uid may be any; mkdir's own mode is subject to the umask.
        folder.chmod(0o777)
        return folder


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
