"""What is in a backup, in an order in which what one part names is in those after it.

Databases are copied first: what is in them by then, a model's version or a run's result, has its
files and directories already, as nothing removes these meanwhile. What came after it has no row in
the databases yet: the runs are begun again, find that done, and record it.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from support import REPOSITORY
from support import artifacts as files_of_mlflow
from support.archive import Writer
from support.sealed import sealing
from support.services import beside, docker, program, service
from support.settings import SETTINGS, setting
from support.snapshot import copy

from microstage.alone import alone
from microstage.data_folder import DataFolder
from microstage.errors import NO_INPUT, TRY_AGAIN, USAGE, StageError

ENV, DATABASES, ARTIFACTS, DATA = "settings.env", "databases", "artifacts", "data"
PIECE = 2**25  # bytes of a database's dump, whose size nobody knows before it is there

# The databases but PostgreSQL's own, and whose they are.
LIST = (
    "SELECT datname, pg_get_userbyid(datdba) FROM pg_database"
    " WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
)
AS_OWNER = ("--username=airflow", "--dbname=postgres", "--no-psqlrc", "--set=ON_ERROR_STOP=1")


def make(target: Path, recipients: Sequence[str], root: Path) -> list[str]:
    """Write a backup of the installation; return what is to be known of it, a line each.

    `root`: its data folder. Nothing is at `target` before all of it is. Raises StageError.
    """
    data, notes = DataFolder.at(root), list[str]()
    with alone(data), whole(target) as sink, sealing(sink, recipients) as inner:
        archive = Writer(inner)
        archive.add_bytes(ENV, read_env())
        databases = dict(psql(LIST))
        for name in databases:
            dump(archive, name)
        artifacts(archive)
        copy(archive, data.root, DATA, notes)
        owner = {key: int(setting(f"MICROSTAGE_{key.upper()}")) for key in ("uid", "gid")}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        name = setting("COMPOSE_PROJECT_NAME")
        archive.close({"made": now, "installation": name, **owner, "databases": databases})
    return notes


@contextmanager
def whole(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file that has its name once all of it is on the disk. Raises StageError (64, 66)."""
    if os.path.lexists(target):
        raise StageError(USAGE, f"{target} is there already: name another file.")
    if not target.parent.is_dir():
        raise StageError(NO_INPUT, f"There is no folder {target.parent} to write the backup to.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


def read_env() -> bytes:
    """Return .env. Raises StageError (66)."""
    try:
        return (REPOSITORY / SETTINGS).read_bytes()
    except FileNotFoundError:
        raise StageError(
            NO_INPUT, f"There is no {SETTINGS} here, so no installation to back up."
        ) from None


def psql(*statements: str) -> list[list[str]]:
    """Run statements as the databases' owner, each by itself; return the rows, their words."""
    each = [f"--command={statement}" for statement in statements]
    options = ("--tuples-only", "--no-align", "--field-separator= ", "--quiet")
    rows = docker(*service("psql", *AS_OWNER, *options, *each, name="postgres"))
    return [line.split() for line in rows.splitlines()]


def dump(archive: Writer, name: str) -> None:
    """Add a database, as of one moment."""
    command = service("pg_dump", "--username=airflow", "--format=custom", name, name="postgres")
    with program(*command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        assert running.stdout  # noqa: S101 - it is a pipe
        number = 0
        while piece := running.stdout.read(PIECE):
            archive.add_bytes(f"{DATABASES}/{name}/{number:06}", piece)
            number += 1


def artifacts(archive: Writer) -> None:
    """Add the files that MLflow keeps."""
    with (
        program(*of_mlflow("out"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running,
        readable(running.stdout) as found,
    ):
        for member in found:
            content = found.extractfile(member) if member.isreg() else None
            member.name = str(PurePosixPath(ARTIFACTS, member.name))
            archive.add(member, content)


def of_mlflow(way: str) -> Sequence[str]:
    """Return the command that gets the files of MLflow out, or back."""
    return beside("python3", "-c", Path(files_of_mlflow.__file__).read_text(), way, name="mlflow")


@contextmanager
def readable(source: IO[bytes] | None) -> Iterator[tarfile.TarFile]:
    """Yield a tar that comes through a pipe. Raises StageError (75) where it breaks off."""
    try:
        with tarfile.open(fileobj=source, mode="r|") as found:
            yield found
    except tarfile.TarError as error:
        raise StageError(TRY_AGAIN, f"The files of MLflow broke off: {error}.") from None
