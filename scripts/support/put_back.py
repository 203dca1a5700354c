"""Files of a backup, put into a folder, with their owners and modes."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from support.archive import Member
from support.snapshot import REPLACED


@dataclass(frozen=True)
class Owners:
    """To whom files belong: what was of the installation's user is of that of this one."""

    old_uid: int
    old_gid: int
    uid: int
    gid: int

    def give(self, path: Path, member: tarfile.TarInfo) -> None:
        """Give a file its owner, if we may, its mode and its time."""
        if os.geteuid() == 0:
            uid = self.uid if member.uid == self.old_uid else member.uid
            gid = self.gid if member.gid == self.old_gid else member.gid
            os.chown(path, uid, gid, follow_symlinks=False)
        if not member.issym():
            path.chmod(member.mode & (0o7777 if member.isdir() else 0o1777))  # no set-uid bit
            os.utime(path, (member.mtime, member.mtime))


def extract(files: Iterable[Member], folder: Path, owners: Owners) -> None:
    """Put members, of names below one directory, into a folder that is made."""
    late: list[tuple[Path, tarfile.TarInfo]] = []
    for member, content in files:
        path = folder.joinpath(*PurePosixPath(member.name).parts[1:])
        if member.isreg():
            with path.open("xb") as file:
                shutil.copyfileobj(content, file, 2**20)
            owners.give(path, member)
        else:
            late.append((path, member))
        if member.isdir():
            path.mkdir(0o700)
    # No file goes through a link, into a directory that is closed, or changes a directory's time.
    for path, member in reversed(late):
        if member.issym():
            path.symlink_to(member.linkname)
        owners.give(path, member)
    os.sync()


def put_in_place(new: Path, root: Path) -> None:
    """Let a folder hold what a new one in it holds, instead of what it does; the new one goes."""
    status, old = new.stat(), root / REPLACED
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir(0o700)
    for entry in [entry for entry in root.iterdir() if entry not in (new, old)]:
        entry.rename(old / entry.name)
    for entry in list(new.iterdir()):
        entry.rename(root / entry.name)
    new.rmdir()
    os.chown(root, status.st_uid, status.st_gid)
    root.chmod(status.st_mode & 0o7777)
    shutil.rmtree(old)
