"""Images on the engine that the docker command works with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from microstage.images import Image, described, look_up


def find(image: str) -> Image | None:
    """Return an image that is on this machine, by its name or pin; None where it is not."""
    return look_up(image, lambda name: next(inspected(name), None), archive)


def all_of(*names: str) -> list[Image]:
    """Return those images of these names that are on this machine, in one call."""
    return [described(found, archive) for found in inspected(*names)]


def inspected(*names: str) -> Iterator[dict[str, Any]]:
    """Yield what the engine says of those images that it has."""
    if names:
        yield from json.loads(docker("image", "inspect", *names) or "[]")


@contextmanager
def archive(store_id: str) -> Iterator[IO[bytes]]:
    """Give an image of this id as a tar, for as much as is read of it."""
    command = ["docker", "image", "save", store_id]
    saving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with saving:
        assert saving.stdout  # noqa: S101 - it is a pipe
        try:
            yield saving.stdout
        finally:
            saving.kill()


def docker(*arguments: str) -> str:
    """Return what a docker command prints, though it fails; nothing where there is none."""
    try:
        return subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        return ""
