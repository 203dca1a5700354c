"""A directory, put in the place of another or taken out of it in one step, on any file system.

Where two directories can be exchanged, they are. Where they cannot, as on NFS, what is published is
a version, and its name a link to it:

    predictions/2013-01-06 -> .versions/2013-01-06.5f0c3a1b
    predictions/.versions/2013-01-06.5f0c3a1b/

One link takes the place of another in one step, rename(2). What is published in a directory is in
its version, links and all, and so goes with it. A version that was replaced stays for an hour, for
those who are reading it. Where there are no links either, as on some shares of SMB, what is
replaced is away for a moment. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import tempfile
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from microstage.data_folder import VERSIONS, DataFolder, is_version, plain

ASIDE = ".old"  # ends the name of what was published before, while it is out of its place
KEPT_SECONDS = 3600
THERE = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_ways: dict[int, str] = {}  # by file system


def replace(data: DataFolder, staging: Path, target: Path) -> None:
    """Put `staging` in the place of `target`; what that was before may be `staging` then."""
    way = _way(staging.parent)
    if way == "link":
        _put_link(data, staging, target)
        _sweep(target.parent)
        return
    try:
        staging.rename(target)  # works where there is nothing or an empty directory
    except OSError as error:
        if error.errno not in THERE:
            raise
        (_swap if way == "exchange" else _move_aside)(staging, target)


def withdraw(staging: Path, target: Path) -> None:
    """Take what is published out of its place, and remove it; `staging` is a name that is free."""
    versions = _versions_of(target)
    target.rename(staging)
    for path in (staging, *versions):
        discard(path)


def remove(path: Path) -> None:
    """Remove a file or a directory, whatever is in it; one that is gone is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def discard(staging: Path) -> None:
    """Remove a directory that an earlier try, or a later one, may be about to put in a place.

    It loses its name first: what is half removed is never put there.
    """
    gone = staging.with_name(f".{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        remove(staging.rename(gone))


def _exchange(one: Path, other: Path) -> None:
    """Swap two directories in one step: renameat2(2) with RENAME_EXCHANGE."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, "no renameat2")
    at_cwd, exchange = -100, 2
    if renameat2(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _way(folder: Path) -> str:
    """Return what the file system of a folder can: exchange, link, or neither, which is aside."""
    system = folder.stat().st_dev
    if system not in _ways:
        with tempfile.TemporaryDirectory(prefix="swap.", dir=folder) as place:
            _ways[system] = _tried(Path(place))
    return _ways[system]


def _tried(place: Path) -> str:
    one, other = place / "one", place / "other"
    one.mkdir()
    other.mkdir()
    try:
        _exchange(one, other)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
    else:
        return "exchange"
    try:
        (place / "link").symlink_to("one")
    except OSError as error:
        if error.errno not in (*CANNOT, errno.EPERM, errno.EROFS):
            raise
        return "aside"
    return "link"


def _swap(staging: Path, target: Path) -> None:
    """Swap two directories; a link of a file system before this one goes, with its versions."""
    versions = _versions_of(target)
    _exchange(staging, target)
    for version in versions:
        discard(version)


def _move_aside(staging: Path, target: Path) -> None:
    """Put one where the other was, which is away for a moment."""
    old = staging.with_name(staging.name + ASIDE)
    target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        old.rename(target)
        raise
    discard(old)


def _put_link(data: DataFolder, staging: Path, target: Path) -> None:
    """Make `staging` a version of `target`, and put a link to it in its place."""
    folder = target.parent / VERSIONS
    data.make(folder)
    version = folder / f"{target.name}.{uuid.uuid4().hex[:8]}"
    staging.rename(version)
    try:
        staging.symlink_to(f"{VERSIONS}/{version.name}")
        os.chown(staging, *data.owner, follow_symlinks=False)
        if target.is_dir() and not target.is_symlink():
            _move_aside(staging, target)  # once, for what is there from before there were links
        else:
            staging.rename(target)
    except OSError:
        discard(version)
        raise


def _versions(folder: Path) -> dict[str, list[Path]]:
    """Return the versions in a folder by what they are published as; "": what is half removed."""
    found: dict[str, list[Path]] = defaultdict(list)
    with suppress(FileNotFoundError):
        for path in sorted((folder / VERSIONS).iterdir()):
            half = re.fullmatch(r"\.[0-9a-f]{32}", path.name)
            found["" if half else plain(f"{VERSIONS}/{path.name}")].append(path)
    return found


def _versions_of(target: Path) -> list[Path]:
    """Return the versions of what is published somewhere; none where that is no link to one."""
    return _versions(target.parent)[target.name] if is_version(target) else []


def _sweep(folder: Path) -> None:
    """Remove the versions in a folder that were replaced long ago.

    Not those of a name that is not there: a person may have moved the link.
    """
    versions = _versions(folder)
    for path in versions.pop("", []):
        remove(path)
    for name, paths in versions.items():
        with suppress(FileNotFoundError):
            if len(paths) > 1 and is_version(link := folder / name):
                since = link.lstat().st_ctime
                now = folder / link.readlink()
                if since < time.time() - KEPT_SECONDS:
                    for path in paths:
                        if path != now:
                            discard(path)
