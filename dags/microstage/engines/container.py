"""Run a job in a container: the one place that knows how a stage is locked in.

Used by the operator and by scripts/run_stage, so a stage meets the same walls whoever starts it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import Mount
from requests.exceptions import RequestException

from microstage.clearing import STOP_SECONDS, remove
from microstage.contract import Exit, Run
from microstage.data_folder import DataFolder
from microstage.endpoint import endpoint
from microstage.errors import NO_INPUT, TRY_AGAIN, USAGE, StageError
from microstage.inputs import variables
from microstage.jobs import Job
from microstage.walls import CONTRACT, CONTRACT_LABEL, GUARD, hardening, labels, network_of

MAX_LINE = 4000
ENGINE_ERRORS = (DockerException, RequestException)


def connect() -> docker.APIClient:
    """Return a client for the engine that the docker command works with. Raises StageError (64)."""
    return docker.APIClient(**endpoint().arguments, version="auto")


def image_id(client: docker.APIClient, image: str) -> str:
    """Return the id of an image that is on this machine; nothing is ever pulled.

    NAME@sha256:ID is pinned: that very image, whatever NAME means by now.
    Raises StageError: 66 when the image is absent, 64 when it speaks another contract.
    """
    name, _, pin = image.partition("@")
    found = _inspect(client, image) or (_inspect(client, pin) if pin else None)
    if found is None:
        ours = name.startswith("microstage/")
        how = f"./build_images.sh {name[11:].split(':')[0]}" if ours else "docker pull"
        if pin:
            how += (
                " if that makes the same one, docker load, or scripts/swap_stage STAGE --rollback"
            )
        raise StageError(NO_INPUT, f"The image {image} is not on this machine; get it with {how}.")
    version = (found["Config"].get("Labels") or {}).get(CONTRACT_LABEL, CONTRACT)
    if version != CONTRACT:
        raise StageError(
            USAGE,
            f"The image {image} speaks version {version} of the stage contract; "
            f"this platform speaks {CONTRACT}.",
        )
    return str(found["Id"])


def _inspect(client: docker.APIClient, image: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.inspect_image(image)
    except ImageNotFound:
        return None
    return found


def is_guard(client: docker.APIClient) -> bool:
    """Tell whether what answers is the guard, which has the secrets of the rows itself."""
    return bool(client.version().get("Platform", {}).get("Name") == GUARD)


def network_mode(client: docker.APIClient, network: str) -> str:
    """Return the engine's name for a row's network. Raises StageError (75) when it is not there."""
    name = network_of(network)
    if network in ("", "bridge"):
        return name
    if not any(found["Name"] == name for found in client.networks(names=[name])):
        raise StageError(
            TRY_AGAIN,
            f"There is no network {name} on this engine; start the services that it leads to with "
            "docker compose up --wait.",
        )
    return name


@dataclass(frozen=True)
class ContainerEngine:
    """Runs a job's container to its end, passes its log on line by line, and removes it."""

    connect: Callable[[], docker.APIClient]
    data: DataFolder
    image_id: str
    run: Run
    write: Callable[[str], None]
    # Asked once the container exists, for a kill that came while it was created.
    cancelled: Callable[[], bool] = lambda: False

    def __call__(self, job: Job, staging: Path) -> Exit:
        """See microstage.contract.Engine."""
        path = self.data.path
        mounts = [self.bind(f"/in/{name}", path(job.sources[name])) for name in job.sources]
        mounts.append(self.bind("/out", staging, read_only=False))
        return self.run_to_the_end(job, job.command, mounts)

    def run_to_the_end(
        self,
        job: Job,
        command: list[str],
        mounts: list[Mount],
        *,
        seconds: int = 0,
        goes_on: Callable[[], bool] = lambda: False,
    ) -> Exit:
        """Run a container of the job's row, whatever its command and its mounts.

        goes_on: asked whenever the row's time limit is over, whether it may have that time once
        more; seconds: what it may take in all then.
        """
        client = self.connect()
        created = self._create(client, job, command, mounts, seconds or job.row.limits.timeout)
        timed_out, over, ended = threading.Event(), threading.Event(), False

        def watch() -> None:
            while not over.wait(job.row.limits.timeout):
                if not goes_on():
                    timed_out.set()
                    self.connect().stop(created, timeout=STOP_SECONDS)
                    return

        try:
            if self.cancelled():
                raise StageError(TRY_AGAIN, f"{job.row.stage} was stopped before it started.")
            stream = client.attach(created, stdout=True, stderr=True, stream=True, demux=True)
            client.start(created)
            threading.Thread(target=watch, daemon=True).start()
            last_line = _follow(stream, self.write)
            code = client.wait(created, timeout=None)["StatusCode"]
            if self.cancelled():
                raise StageError(TRY_AGAIN, f"{job.row.stage} was stopped while it ran.")
            out_of_memory = code != 0 and client.inspect_container(created)["State"]["OOMKilled"]
            ended = True
            return Exit(code, last_line, out_of_memory, timed_out.is_set())
        finally:
            over.set()
            # What an error came in between of may still use its client. A new one costs calls.
            remove(client if ended else self.connect(), created, running=not ended)

    def _create(
        self,
        client: docker.APIClient,
        job: Job,
        command: list[str],
        mounts: list[Mount],
        seconds: int,
    ) -> str:
        uid, gid = self.data.owner
        created = client.create_container(
            image=self.image_id,
            command=command,
            user=f"{uid}:{gid}",
            environment=variables(job.row, guarded=bool(job.row.env) and is_guard(client)),
            use_config_proxy=False,  # what ~/.docker/config.json has for others, passwords included
            labels=labels(job, self.run, seconds),
            host_config=client.create_host_config(
                mounts=mounts,
                **hardening(job.row.limits, network=network_mode(client, job.row.network)),
            ),
        )
        return str(created["Id"])

    def bind(self, target: str, path: Path, *, read_only: bool = True) -> Mount:
        """Return the mount of a directory of the data folder."""
        # type "bind" and not -v: a directory that vanished is an error and not created by root.
        return Mount(target, str(self.data.host_path(path)), type="bind", read_only=read_only)


def _follow(
    stream: Iterator[tuple[bytes | None, bytes | None]], write: Callable[[str], None]
) -> str:
    """Pass both outputs on, line by line; return the last line of stderr that is not blank."""
    pending = {"stdout": b"", "stderr": b""}
    last_line = ""

    def line(name: str, raw: bytes) -> None:
        nonlocal last_line
        text = raw.decode("utf-8", "replace").rstrip()
        if text:
            write(text)
            last_line = text if name == "stderr" else last_line

    for stdout, stderr in stream:
        for name, chunk in (("stdout", stdout), ("stderr", stderr)):
            *lines, pending[name] = (pending[name] + (chunk or b"")).split(b"\n")
            for raw in lines:
                line(name, raw)
            if len(pending[name]) > MAX_LINE:  # an endless line must not fill our memory
                line(name, pending[name])
                pending[name] = b""
    for name, raw in pending.items():
        line(name, raw)
    return last_line


def engine_failure(error: Exception, engine: str) -> StageError:
    """One sentence for what went wrong between us and an engine, which people know by a name."""
    if isinstance(error, NotFound):
        return StageError(TRY_AGAIN, "The stage's container was removed while it ran.")
    if isinstance(error, APIError):
        return StageError(TRY_AGAIN, f"The Docker Engine refused: {error.explanation or error}.")
    return StageError(
        TRY_AGAIN,
        f"The Docker Engine at {engine} does not answer; see that it runs and that this user may "
        f"use it ({type(error).__name__}).",
    )
