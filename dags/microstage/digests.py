"""Digests of files, read again only where they may have changed. Standard library only.

A published file whose size, time and inode are those that its manifest has is taken to hold what it
held then: to read gigabytes again, for work that is done, would take longer than anything else.
What has been changed by other ways than writing, such as a disk that forgets, is found by reading
all: scripts/run_stage --full, and scripts/lineage.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from microstage.data_folder import digest, read_manifest

Manifest = dict[str, Any]


def stamps(directory: Path, files: Iterable[str]) -> dict[str, list[int]]:
    """Return what tells that files were replaced or written to: inodes, sizes and times."""
    return {file: stamp(directory / file) for file in files}


def stamp(path: Path) -> list[int]:
    """Return the inode, size and time of a file."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


class Digests:
    """Call it with a path: {"sha256": hex digest, "size": bytes}."""

    def __init__(self, *, full: bool = False) -> None:
        """`full` reads every file."""
        self._full = full
        self._manifests: dict[Path, Manifest] = {}

    def __call__(self, path: Path) -> dict[str, Any]:
        return (None if self._full else self._published(path)) or digest(path)

    def _published(self, path: Path) -> dict[str, Any] | None:
        for directory in path.parents:
            if not (manifest := self._manifest(directory)):
                continue
            file = str(path.relative_to(directory))
            try:
                if manifest["stamps"][file] == stamp(path):
                    found: dict[str, Any] = manifest["outputs"][file]
                    return found
            except (KeyError, TypeError):
                pass
            return None
        return None

    def _manifest(self, directory: Path) -> Manifest:
        if directory not in self._manifests:
            self._manifests[directory] = {}
            with suppress(OSError):
                self._manifests[directory] = read_manifest(directory)
        return self._manifests[directory]
