"""Which images worker hosts have: each says so in the share when scripts/pull_images has run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.images import all_of
from support.services import docker

from microstage.errors import NO_INPUT, StageError

HOSTS = ".hosts"  # in the data folder of all pipelines; a file for each host


@dataclass(frozen=True)
class HostImages:
    """What a worker host has said of itself."""

    name: str
    file: Path
    queues: frozenset[str]
    images: frozenset[str]  # their ids, whatever the engine keeps them in


@contextmanager
def writing(folder: Path, uid: int, gid: int) -> Iterator[None]:
    """Write to a share as who tasks run as where root is nobody: exports(5), root_squash."""
    if os.geteuid() != 0 or os.access(folder, os.W_OK):
        yield
        return
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def tell(data: Path, name: str, queues: Iterable[str]) -> None:
    """Say in the share which images this host has; what it said before is replaced."""
    there = set(docker("image", "ls", "--no-trunc", "--quiet").split())
    said = {"queues": sorted(queues), "images": sorted({each.id for each in all_of(*there)})}
    folder = data / HOSTS
    folder.mkdir(exist_ok=True)
    new = folder / f".{name}.json"
    new.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    new.replace(folder / f"{name}.json")


def told(data: Path) -> Iterator[HostImages]:
    """Yield what each host has said. Raises StageError (66) for what is not as it was written."""
    for file in sorted((data / HOSTS).glob("[!.]*.json")):
        try:
            said = json.loads(file.read_bytes())
            queues, images = frozenset(said["queues"]), frozenset(said["images"])
        except (OSError, ValueError, KeyError, TypeError):
            raise StageError(
                NO_INPUT, f"{file} is not as it was written: scripts/pull_images on that host."
            ) from None
        yield HostImages(file.stem, file, queues, images)


def check_hosts(data: Path, queues: Sequence[str], pin: str) -> Iterator[str]:
    """Yield on which hosts of these queues a pinned image is, in sentences.

    Raises StageError (66) if one has it not.
    """
    name, _, image_id = pin.partition("@")
    for queue in queues:
        hosts = [host for host in told(data) if queue in host.queues]
        if not hosts:
            yield f"No host of the queue {queue} has said which images it has"
        for host in hosts:
            if image_id not in host.images:
                raise StageError(
                    NO_INPUT,
                    f"{host.name}, a host of the queue {queue}, has no {name} of the id "
                    f"{image_id[7:19]}: push it, and there: scripts/pull_images REGISTRY {name} "
                    f"(if there is no such host any more, remove {host.file}).",
                )
            yield f"{host.name}, of the queue {queue}, has it"
