"""Encryption of a backup by age, of the image that has pg_dump: https://age-encryption.org."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from support.services import compose, program

from microstage.errors import BAD_DATA, NO_INPUT, USAGE, StageError

HEADER = b"age-encryption.org/"  # with which what is encrypted begins
KEY = "/key"


@contextmanager
def sealing(sink: IO[bytes], recipients: Sequence[str]) -> Iterator[IO[bytes]]:
    """Yield what to write to: it comes out in `sink`, for these to read alone; for none, as it is.

    Raises StageError (64) for what is no recipient, and StageError (69).
    """
    if not recipients:
        yield sink
        return
    to = [word for recipient in recipients for word in ("--recipient", recipient)]
    told: dict[str, Any] = {"named": "Encryption", "code": USAGE}
    with program(*age("--encrypt", *to), stdin=subprocess.PIPE, stdout=sink, **told) as running:
        assert running.stdin  # noqa: S101 - it is a pipe
        yield running.stdin
        running.stdin.close()


@contextmanager
def opened(file: Path, identity: Path | None) -> Iterator[IO[bytes]]:
    """Yield what a backup holds, decrypted if it has to be. Raises StageError (64 to 66, 69)."""
    # Without a buffer: what reads on has the file from where it is.
    with file.open("rb", buffering=0) as source:
        encrypted = source.read(len(HEADER)) == HEADER
        source.seek(0)
        if not encrypted:
            yield source
            return
        if identity is None:
            raise StageError(USAGE, f"{file} is encrypted: name the key's file with --identity.")
        if not identity.is_file():
            raise StageError(NO_INPUT, f"There is no key {identity}.")
        command = age("--decrypt", f"--identity={KEY}", key=identity)
        told: dict[str, Any] = {"named": f"Decryption of {file}", "code": BAD_DATA}
        with program(*command, stdin=source, stdout=subprocess.PIPE, **told) as running:
            assert running.stdout  # noqa: S101 - it is a pipe
            yield running.stdout
            running.stdout.read()  # nothing, unless it says more than it should


def age(*arguments: str, key: Path | None = None) -> Sequence[str]:
    """Return the command of docker that runs age, behind walls, as whom a key belongs to."""
    status = key.stat() if key else None
    user = (status.st_uid, status.st_gid) if status else (os.getuid(), os.getgid())
    mount = [f"--volume={key.resolve()}:{KEY}:ro"] if key else []
    walls = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    run = ["run", "--rm", "--interactive", *walls, *mount, f"--user={user[0]}:{user[1]}"]
    return (*run, "--entrypoint=age", image(), *arguments)


def image() -> str:
    """Return the image that has age."""
    return compose("config", "--images", "postgres").split()[0]
