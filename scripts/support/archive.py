"""The file of a backup: a compressed tar, whose last member says what each of the others is.

Written and read from its first byte to its last, so that it can go through encryption, and nothing
of it lies on a disk meanwhile.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

from microstage.errors import BAD_DATA, StageError

INDEX = "backup.json"
FORMAT = 1
KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link"}
MAX_INDEX = 2**30  # bytes, of what is read into memory
Member = tuple[tarfile.TarInfo, IO[bytes]]


class Writer:
    """Writes an archive: `add` what is in it, then `close`."""

    def __init__(self, sink: IO[bytes]) -> None:
        # Tables shrink to a quarter in the quickest way; a better one takes many times as long.
        self._gzip = gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=1, mtime=0)
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)
        self.members: dict[str, dict[str, Any]] = {}

    def add(self, member: tarfile.TarInfo, source: IO[bytes] | None = None) -> str:
        """Write a member, of a file its `size` bytes too; return the sha256 of these."""
        measured = _Measured(source or io.BytesIO())
        self._tar.addfile(member, measured if member.isreg() else None)  # type: ignore[arg-type]
        self.members[member.name] = described(member, measured.sha256)
        return measured.sha256

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write a file that is for its owner alone."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        self.add(member, io.BytesIO(content))

    def close(self, facts: dict[str, Any]) -> None:
        """Write what all the members are, with these facts beside it, and the end."""
        index = {"format": FORMAT, **facts, "members": self.members}
        self.add_bytes(INDEX, json.dumps(index, indent=1, ensure_ascii=False).encode())
        self._tar.close()
        self._gzip.close()


class _Measured:
    """A file that is as long as it was found to be, and the digest of what was read of it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._hash = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        block = self._source.read(size)
        block += bytes(size - len(block))  # it was cut meanwhile: its digest tells
        self._hash.update(block)
        return block

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def described(member: tarfile.TarInfo, sha256: str) -> dict[str, Any]:
    """Return what the index says of a member."""
    kind = KINDS.get(member.type, "")
    said = {"kind": kind, "mode": member.mode, "uid": member.uid, "gid": member.gid}
    if kind == "file":
        return {**said, "size": member.size, "sha256": sha256}
    return {**said, "to": member.linkname} if kind == "link" else said


def members(source: IO[bytes]) -> Iterator[Member]:
    """Yield each member and its content, within `reading`. Raises StageError (65)."""
    with tarfile.open(fileobj=source, mode="r|gz") as archive:
        for member in archive:
            check_name(member.name)
            if member.type not in KINDS:
                raise StageError(BAD_DATA, f"The backup has a special file: {member.name!r}.")
            content = archive.extractfile(member) if member.isreg() else None
            yield member, content or io.BytesIO()
            archive.members = []  # type: ignore[attr-defined] # else all are kept in memory


@contextmanager
def reading() -> Iterator[None]:
    """Read an archive meanwhile. Raises StageError (65) where it cannot be read."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise StageError(
            BAD_DATA, f"The backup cannot be read to its end, so it is not whole: {error}."
        ) from None


def check_name(name: str) -> None:
    """Raise StageError (65) for a name that leads out of where it is put."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise StageError(BAD_DATA, f"The backup has a member {name!r}, which is no name of ours.")


def read_index(source: IO[bytes]) -> dict[str, Any]:
    """Read an archive to its end; return its index, which all of it is like.

    Raises StageError (65) where something is not.
    """
    found: dict[str, dict[str, Any]] = {}
    index: dict[str, Any] | None = None
    with reading():
        for member, content in members(source):
            if index is not None:
                raise StageError(BAD_DATA, f"The backup has a member after {INDEX}: {member.name}.")
            if member.name == INDEX and member.size < MAX_INDEX:
                index = parsed(content.read())
            elif member.name in found:
                raise StageError(BAD_DATA, f"The backup has two members {member.name}.")
            else:
                found[member.name] = described(member, _sha256(content))
    if index is None:
        raise StageError(BAD_DATA, f"The backup ends without its {INDEX}, so it is not whole.")
    expected = index["members"]
    if differ := [name for name in {**expected, **found} if expected.get(name) != found.get(name)]:
        raise StageError(
            BAD_DATA,
            f"{len(differ)} members of the backup are not as it says itself, {min(differ)} for "
            "one; take another backup.",
        )
    return index


def parsed(text: bytes) -> dict[str, Any]:
    """Return an index. Raises StageError (65) unless it is one that this version reads."""
    try:
        index: dict[str, Any] = json.loads(text)
        known = index["format"] == FORMAT and isinstance(index["members"], dict)
    except (ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise StageError(BAD_DATA, f"{INDEX} of the backup is not one that this version reads.")
    return index


def _sha256(content: IO[bytes]) -> str:
    found = hashlib.sha256()
    while block := content.read(2**20):
        found.update(block)
    return found.hexdigest()
