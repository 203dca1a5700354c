"""The version in production in a folder of its own, for when MLflow is away: all of it, or none."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stageframe import digest

VERSION, CURRENT = "version.json", "current"


class Kept:
    """A folder with at most one version, to which the link `current` leads, and what comes next."""

    def __init__(self, folder: Path) -> None:
        """Take a folder; what an earlier process did not finish there goes."""
        self._folder = folder
        self._current = folder / CURRENT
        self._clear()

    def read(self, name: str) -> tuple[Path, dict[str, Any]] | None:
        """Return where a model's version is, and its version.json; None unless it is all whole."""
        try:
            folder = self._current.resolve(strict=True)
            told: dict[str, Any] = json.loads((folder / VERSION).read_bytes())
            files = told["files"].items()
            whole = files and all(digest(folder / file) == sha for file, sha in files)
        except (OSError, ValueError, KeyError, AttributeError):
            return None
        return (folder, told) if whole and told.get("name") == name else None

    def add(self, told: dict[str, Any], write: Callable[[Path], None]) -> Path:
        """Return a new folder with what `write` puts there, and version.json, not kept yet."""
        folder = Path(tempfile.mkdtemp(prefix=f"version-{told['version']}-", dir=self._folder))
        try:
            write(folder)
            (folder / VERSION).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder)
            raise
        return folder

    def keep(self, folder: Path) -> None:
        """Let this folder be the one that is kept, also when the power fails now."""
        for path in [*folder.rglob("*"), folder]:
            flush(path)
        link = self._folder / f"{CURRENT}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(self._current)
        flush(self._folder)
        self._clear()

    def drop(self, folder: Path) -> None:
        """Remove a folder that is not kept."""
        shutil.rmtree(folder, ignore_errors=True)

    def _clear(self) -> None:
        kept = self._current.resolve()
        for path in self._folder.glob("version-*"):
            if path.resolve() != kept:
                shutil.rmtree(path, ignore_errors=True)


def flush(path: Path) -> None:
    """Have the kernel write a file or a folder to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
