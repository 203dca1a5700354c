"""The data folder: its paths, its files and their digests. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microstage.errors import BAD_DATA, NO_INPUT, USAGE, StageError

MANIFEST = "manifest.json"  # in every published directory: what made it, and the files' digests
SUMMARY = "summary.json"
MAX_NAME, MAX_PATH = 255, 3000  # bytes, as Linux has them, but for the data folder's own path
# What no line of a log can show as it is: control characters, those that turn the order of letters,
# and bytes that are no text.
ODD = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
STAGING = ".staging"  # where outputs are written until they are published
VERSIONS = ".versions"  # where it is then, behind a link of its name: see microstage.replacing
VERSION = re.compile(rf"(^|/){re.escape(VERSIONS)}/([^/]+)\.[0-9a-f]{{8}}(?=/|$)")


@dataclass(frozen=True)
class DataFolder:
    """The data of a pipeline as this process sees it, and as the Docker Engine's host sees it.

    The default pipeline has the data folder itself, another one the folder of its name in it.
    """

    root: Path
    host: Path

    @classmethod
    def from_environment(cls, pipeline: str = "") -> DataFolder:
        """Return the folder of MICROSTAGE_DATA, or the one of a pipeline in it ("": itself)."""
        root = os.environ.get("MICROSTAGE_DATA") or "/data"
        return cls.at(root, os.environ.get("MICROSTAGE_HOST_DATA") or root).below(pipeline)

    @classmethod
    def at(cls, root: str | Path, host: str | Path | None = None) -> DataFolder:
        resolved = Path(root).resolve()
        try:
            there = resolved.is_dir()
        except PermissionError:
            raise StageError(
                NO_INPUT,
                f"The data folder {root} cannot be used: {whose(resolved)}; let uid "
                f"{os.geteuid()} enter it (chmod or chown).",
            ) from None
        if not there:
            raise StageError(
                NO_INPUT,
                f"The data folder {root} does not exist; create it or set MICROSTAGE_DATA.",
            )
        return cls(resolved, Path(host) if host and Path(host) != Path(root) else resolved)

    def below(self, folder: str) -> DataFolder:
        """Return a folder in this one, which is made when something is published there."""
        if not folder:
            return self
        if (self.root / folder).is_symlink():
            raise StageError(
                USAGE, f"{self.root / folder} is a link; put the pipeline's directory itself there."
            )
        return DataFolder(self.root / folder, self.host / folder)

    def path(self, relative: str) -> Path:
        """Return the path of a directory of the data folder; one that leaves it is refused."""
        inside = self.root
        if is_inner_path(relative):
            if patience():
                self._look_anew(relative)
            # A link to itself leads nowhere: an error of one kind or another, by Python's version.
            with suppress(OSError, RuntimeError):
                inside = (self.root / relative).resolve()
        if inside == self.root or not inside.is_relative_to(self.root):
            raise StageError(
                USAGE,
                f"{relative!r} is not a path below the data folder; use one like raw/2013-01-06.",
            )
        return inside

    def _look_anew(self, relative: str) -> None:
        """Have what another host has put there be seen: NFS asks for a directory that is opened.

        https://man7.org/linux/man-pages/man5/nfs.5.html, close-to-open cache consistency.
        """
        folder = self.root
        for part in Path(relative).parts:
            with suppress(OSError):
                os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            folder /= part

    def place(self, relative: str) -> Path:
        """Return where a directory is published, which may be a link; otherwise as `path`."""
        self.path(relative)
        return self.root / relative

    def host_path(self, path: Path) -> Path:
        return self.host / path.relative_to(self.root)

    @property
    def owner(self) -> tuple[int, int]:
        """Uid and gid that stages run as: ours, or the folder's owner when we are root."""
        if os.geteuid() != 0:
            return os.getuid(), os.getgid()
        there = next(path for path in (self.root, *self.root.parents) if path.is_dir())
        status = there.stat()
        return status.st_uid, status.st_gid

    def make(self, path: Path) -> None:
        """Make a directory and those above it that are missing, for the owner."""
        if not path.is_dir():
            self.make(path.parent)
            owner = self.owner
            path.mkdir(0o755, exist_ok=True)
            os.chown(path, *owner)


def patience() -> float:
    """Return the seconds for which an input that is missing is looked for; 0: hosts share no data.

    Where several hosts share the data, what one has just published another may not see yet.
    """
    return float(os.environ.get("MICROSTAGE_PATIENCE") or 0)


def is_inner_path(path: object) -> bool:
    """Tell whether a text is a path that leads down, and that every file system and log can hold.

    A name that begins with a dot is the platform's own, at the top.
    """
    if not isinstance(path, str) or ODD.search(path) or path.startswith("."):
        return False
    parts = path.removesuffix("/").split("/")
    return (
        not {"", ".", ".."} & set(parts)
        and max(len(os.fsencode(part)) for part in parts) <= MAX_NAME
        and len(os.fsencode(path)) <= MAX_PATH
    )


def parse_json(content: bytes) -> Any:
    """Return what JSON says. Raises ValueError for whatever is none.

    So are NaN and 1e999, which databases refuse, and brackets in brackets without end.
    """
    try:
        return json.loads(content, parse_constant=_number, parse_float=_number)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def _number(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text} is not a JSON number")


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of a directory; {} where there is none, or none that is whole."""
    path = directory / MANIFEST
    try:
        found = parse_json(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def whose(path: str | Path) -> str:
    """Return what bars this process from a path, a folder above it perhaps: its owner and mode."""
    path = Path(path).absolute()
    # What is not there, or not to be seen, is a matter of the folder that it is in.
    barred = next(place for place in (path, *path.parents) if os.path.lexists(place))
    found = barred.lstat()
    return f"{barred} belongs to uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"


def published_files(directory: Path) -> Iterator[str]:
    """Paths of the files that belong to `directory`, sorted.

    Its manifest and the directories below it that were published on their own (a model's
    validation) do not belong to it. Raises StageError (65) for a link or a device, and for a name
    that cannot be written down.
    """
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if ODD.search(entry.name):
            raise StageError(BAD_DATA, f"{entry.path!a} is no name for a file; give it another.")
        if entry.name == VERSIONS or (entry.is_symlink() and is_version(entry.path)):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not os.path.lexists(f"{entry.path}/{MANIFEST}"):
                yield from (f"{entry.name}/{file}" for file in published_files(Path(entry.path)))
        elif not entry.is_file(follow_symlinks=False):
            raise StageError(
                BAD_DATA,
                f"{entry.path} is a link or a special file; put the file itself in its place.",
            )
        elif entry.name != MANIFEST:
            yield entry.name


def is_version(path: str | Path) -> bool:
    """Tell whether a path is a link to a version of what is published there."""
    try:
        leads_to = str(Path(path).readlink())
    except OSError:
        return False
    return leads_to != plain(leads_to) == Path(path).name


def plain(path: str) -> str:
    """Return what a path of a version is published as; any other path as it is."""
    return VERSION.sub(r"\1\2", path)


def walk(folder: str | Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each directory of what is published in a folder, itself first, and its files, sorted.

    Each is by the name that it is published as. What is removed meanwhile is left out.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    yield Path(folder), [entry.name for entry in entries if not entry.is_dir()]
    for entry in entries:
        below = is_version(entry.path) if entry.is_symlink() else entry.is_dir()
        if below and entry.name not in (STAGING, VERSIONS):
            yield from walk(entry.path)


def digest(path: Path) -> dict[str, Any]:
    """{"sha256": hex digest, "size": bytes} of one file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": sha256, "size": os.fstat(file.fileno()).st_size}
