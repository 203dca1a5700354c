"""Copy a data folder while stages publish: of each published directory the old or the new one.

A directory is replaced as a whole, by another in its place, and removed after that. So all files of
one are opened first; if it is in its place then, none of them was removed before, and what is open
can be read to its end, whatever takes the place meanwhile.
"""

from __future__ import annotations

import json
import os
import resource
import stat
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from support.archive import Writer
from support.host_images import HOSTS

from microstage.data_folder import MANIFEST, STAGING, VERSIONS, is_version
from microstage.errors import TRY_AGAIN, StageError

RESTORING, REPLACED = ".restoring", ".replaced"  # what a restore that was cut short has left
LEFT_OUT = {STAGING, VERSIONS, HOSTS, RESTORING, REPLACED}
TRIES, PAUSE = 50, 0.02  # looks at a directory that is replaced again and again, and seconds


@dataclass
class Entry:
    """What is in a directory by a name: its status and, of a file, what it holds."""

    name: str
    status: os.stat_result
    content: IO[bytes] | None = None
    link: str = ""

    def member(self) -> tarfile.TarInfo:
        """Return it as a member of an archive."""
        found = tarfile.TarInfo(self.name)
        found.mode, found.mtime = stat.S_IMODE(self.status.st_mode), self.status.st_mtime
        found.uid, found.gid = self.status.st_uid, self.status.st_gid
        if self.content:
            found.size = self.status.st_size
        elif self.link:
            found.type, found.linkname = tarfile.SYMTYPE, self.link
        else:
            found.type = tarfile.DIRTYPE
        return found

    @property
    def has_changed(self) -> bool:
        """Whether a file was written to since it was opened."""
        if not self.content:
            return False
        now = os.fstat(self.content.fileno())
        return (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns)


class Look:
    """One look at a directory: its files opened, and if it is published those below it, too."""

    def __init__(self, stack: ExitStack, path: Path, name: str) -> None:
        """Open it. Raises FileNotFoundError where something is removed meanwhile."""
        self.entries: list[Entry] = []
        self.below: list[str] = []  # directories that are to be looked at by themselves
        self.special: list[str] = []
        self._stack = stack
        self._folders: dict[Path, os.stat_result] = {}
        self._open(path, name, whole=False)

    def _open(self, path: Path, name: str, *, whole: bool) -> None:
        if is_version(path):  # is copied as what it is a link to, whatever becomes of the link
            path = path.parent / path.readlink()
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self._stack.callback(os.close, handle)
        self._folders[path] = os.fstat(handle)
        self.entries.append(Entry(name, self._folders[path]))
        with os.scandir(handle) as found:
            names = sorted({entry.name for entry in found} - LEFT_OUT)
        whole = whole or MANIFEST in names
        for each in names:
            inner, follow = f"{name}/{each}", is_version(path / each) and (path / each).is_dir()
            status = os.stat(each, dir_fd=handle, follow_symlinks=follow)
            if stat.S_ISREG(status.st_mode):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                file = os.fdopen(os.open(each, flags, dir_fd=handle), "rb")
                self._stack.enter_context(file)
                self.entries.append(Entry(inner, os.fstat(file.fileno()), file))
            elif stat.S_ISLNK(status.st_mode):
                self.entries.append(Entry(inner, status, link=os.readlink(each, dir_fd=handle)))
            elif not stat.S_ISDIR(status.st_mode):
                self.special.append(inner)
            elif whole:
                self._open(path / each, inner, whole=True)
            else:
                self.below.append(each)

    @property
    def is_settled(self) -> bool:
        """Whether all of its directories are in their places still."""
        return all(
            os.path.samestat(path.stat(follow_symlinks=False), status)
            for path, status in self._folders.items()
        )


@contextmanager
def look(path: Path, name: str) -> Iterator[Look | None]:
    """Yield a directory whose files are of one publication; None where there is none any more.

    Raises StageError (75) for one that is replaced faster than it can be opened.
    """
    there = False
    for _ in range(TRIES):
        with ExitStack() as stack:
            try:
                found = Look(stack, path, name)
                settled = found.is_settled
            except (FileNotFoundError, NotADirectoryError):
                settled = False
            if settled:
                yield found
                return
        # Where directories cannot be exchanged, none is there for a moment.
        time.sleep(PAUSE)
        there = path.is_dir()
    if there:
        raise StageError(TRY_AGAIN, f"{path} is replaced again and again; try again later.")
    yield None


def copy(archive: Writer, path: Path, name: str, notes: list[str]) -> None:
    """Add a directory and all below it, by a name; `notes` gets what is to be known of it."""
    with many_files(), look(path, name) as found:
        if found is None:
            return
        notes += [f"{each} is a special file: left out" for each in found.special]
        notes += write(archive, found.entries)
        below = found.below
    for each in below:
        copy(archive, path / each, f"{name}/{each}", notes)


def write(archive: Writer, entries: list[Entry]) -> Iterator[str]:
    """Add what has been opened; yield which files are not what their manifests say."""
    published: dict[str, str] = {}
    for entry in entries:
        folder, _, file = entry.name.rpartition("/")
        if entry.content and file == MANIFEST:
            published |= {f"{folder}/{name}": sha256 for name, sha256 in outputs(entry.content)}
    for entry in entries:
        sha256 = archive.add(entry.member(), entry.content)
        if published.pop(entry.name, sha256) != sha256:
            yield f"{entry.name} is not what was published there"
        elif entry.has_changed:
            yield f"{entry.name} was written to while it was copied"
    yield from (f"{name} was published there, and is gone" for name in published)


def outputs(manifest: IO[bytes]) -> list[tuple[str, str]]:
    """Return the files that an open manifest names, and their digests; it is as if unread."""
    try:
        said: dict[str, Any] = json.loads(manifest.read())
        return [(name, entry["sha256"]) for name, entry in said["outputs"].items()]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []  # scripts/lineage tells what is wrong with it
    finally:
        manifest.seek(0)


@contextmanager
def many_files() -> Iterator[None]:
    """Have as many files open as the system allows."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
