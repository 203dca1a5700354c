"""Run a job in a container: the one place that knows how a stage is locked in.

Used by the operator and by scripts/run_stage, so a stage meets the same walls whoever starts it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import docker
from docker.errors import ImageNotFound
from docker.types import Mount

from microstage.clearing import containers_of, remove
from microstage.contract import Resumed, Run
from microstage.data_folder import DataFolder
from microstage.endpoint import endpoint
from microstage.engines.attended import Attendant
from microstage.engines.taken import take
from microstage.errors import NO_INPUT, TRY_AGAIN, USAGE, LeftRunningError, StageError
from microstage.exits import Exit
from microstage.images import Chunks, Image, look_up, named
from microstage.inputs import identity, read_inputs, variables
from microstage.jobs import Job
from microstage.walls import CONTRACT, CONTRACT_LABEL, GUARD, hardening, labels, network_of


def connect() -> docker.APIClient:
    """Return a client for the engine that the docker command works with. Raises StageError (64)."""
    return docker.APIClient(**endpoint().arguments, version="auto")


def find_image(client: docker.APIClient, image: str) -> Image:
    """Return an image that is on this machine; nothing is ever pulled.

    NAME@sha256:ID is pinned: that very image, whatever NAME means by now.
    Raises StageError: 66 when the image is absent, 64 when it speaks another contract.
    """
    found = find(client, image)
    if found is None:
        name, pin = named(image)
        ours = name.startswith("microstage/")
        how = f"./build_images.sh {name[11:].split(':')[0]}" if ours else "docker pull"
        if pin:
            how += (
                " if that makes the same one, docker load, or scripts/swap_stage STAGE --rollback"
            )
        raise StageError(NO_INPUT, f"The image {image} is not on this machine; get it with {how}.")
    version = found.labels.get(CONTRACT_LABEL, CONTRACT)
    if version != CONTRACT:
        raise StageError(
            USAGE,
            f"The image {image} speaks version {version} of the stage contract; "
            f"this platform speaks {CONTRACT}.",
        )
    return found


def find(client: docker.APIClient, image: str) -> Image | None:
    """Return an image that is on this machine, whatever it is; None where it is not there."""

    def inspect(name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = client.inspect_image(name)
        except ImageNotFound:
            return None
        return found

    @contextmanager
    def archive(store_id: str) -> Iterator[Chunks]:
        with closing(client.get_image(store_id)) as chunks:
            yield Chunks(chunks)

    return look_up(image, inspect, archive)


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


@dataclass
class ContainerEngine:
    """Runs a job's container to its end, and passes its log on line by line.

    It is a context: at its end the container is removed, unless it is left for another try.
    """

    connect: Callable[[], docker.APIClient]
    data: DataFolder
    image: Image
    run: Run
    write: Callable[[str], None]
    # What ends it before its time. Asked once it is created, too, for a kill that came meanwhile.
    stopped: Callable[[], StageError | None] = lambda: None
    # Asked before the container is removed: whether it is this try's.
    holds: Callable[[], bool] = lambda: True
    resumed: Resumed | None = None  # what it goes on with
    _container: str = ""
    _seen: Path | None = None
    _client: docker.APIClient | None = None  # by which it was made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        left = kind is not None and issubclass(kind, LeftRunningError)
        if self._container and not left and self.holds():
            # What an error came in between of may still use its client. A new one costs calls.
            idle = self._client if kind is None else None
            remove(idle or self.connect(), self._container, running=not idle)
            if self._seen:
                self._seen.unlink(missing_ok=True)

    def resume(self, job: Job) -> Resumed | None:
        """Take over the container in which an earlier try has begun this very job, if there is one.

        What else an earlier try has left of it is removed.
        """
        client = self.connect()
        left = containers_of(client, self.run, day=self.run.day)
        work = self._work(job) if left else ""  # it takes a look at every input
        for found in left:
            taken = None if self.resumed else take(client, self.data, found, work)
            if taken:
                self._container, self.resumed = found["Id"], taken
                self.write(
                    f"Going on with container {found['Id'][:12]}, which an earlier try began."
                )
            else:
                self.write(f"Removing container {found['Id'][:12]} of an earlier try.")
                remove(client, found["Id"])
        return self.resumed

    def __call__(self, job: Job, staging: Path) -> Exit:
        """See microstage.contract.Engine."""
        seen = self._seen = staging.parent / f"{self.run.key}.seen"
        if self.resumed:
            return self._attendant(job, self._container, seen).go_on(self.resumed.started)
        seen.unlink(missing_ok=True)
        path = self.data.path
        mounts = [self.bind(f"/in/{name}", path(job.sources[name])) for name in job.sources]
        mounts.append(self.bind("/out", staging, read_only=False))
        marks = {"work": self._work(job), "staging": staging.name}
        client, limit = self.connect(), job.row.limits.timeout
        self._client = client
        self._container = self._create(client, job, job.command, mounts, limit, marks)
        return self._attendant(job, self._container, seen).start(client)

    def run_to_the_end(
        self,
        job: Job,
        command: list[str],
        mounts: list[Mount],
        *,
        seconds: int,
        goes_on: Callable[[], bool],
    ) -> Exit:
        """Run a container of the job's row, whatever its command and its mounts; remove it.

        goes_on: asked whenever the row's time limit is over, whether it may have that time once
        more; seconds: what it may take in all then.
        """
        client = self.connect()
        created = self._create(client, job, command, mounts, seconds, {})
        try:
            return self._attendant(job, created).start(client, goes_on)
        finally:
            remove(self.connect(), created)

    def _attendant(self, job: Job, container: str, seen: Path | None = None) -> Attendant:
        return Attendant(self.connect, self.write, self.stopped, job.row, container, seen)

    def _work(self, job: Job) -> str:
        """Return what tells that a container does just what one that is made now would do."""
        limits, network = job.row.limits, network_of(job.row.network)
        what = {
            "image": self.image.id,
            "command": job.command,
            "sources": job.sources,
            "inputs": identity(read_inputs(self.data, job)),
            "owner": self.data.owner,
            "env": sorted(job.row.env),
            "walls": hardening(limits, network=network, gpus=job.row.gpus),
            "seconds": limits.timeout,
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def _create(
        self,
        client: docker.APIClient,
        job: Job,
        command: list[str],
        mounts: list[Mount],
        seconds: int,
        marks: dict[str, str],
    ) -> str:
        uid, gid = self.data.owner
        created = client.create_container(
            image=self.image.store_id,
            command=command,
            user=f"{uid}:{gid}",
            environment=variables(job.row, guarded=bool(job.row.env) and is_guard(client)),
            use_config_proxy=False,  # what ~/.docker/config.json has for others, passwords included
            labels=labels(job, self.run, seconds, **marks),
            host_config=client.create_host_config(
                mounts=mounts,
                **hardening(
                    job.row.limits,
                    network=network_mode(client, job.row.network),
                    gpus=job.row.gpus,
                ),
            ),
        )
        return str(created["Id"])

    def bind(self, target: str, path: Path, *, read_only: bool = True) -> Mount:
        """Return the mount of a directory of the data folder."""
        # type "bind" and not -v: a directory that vanished is an error and not created by root.
        return Mount(target, str(self.data.host_path(path)), type="bind", read_only=read_only)
