"""Put back what is in a backup: beside what is there first, and then in its place.

Settings, passwords and keys come from the backup. What belongs to the machine (the installation's
name, the data folder and its owner, sockets and ports) stays as the .env that is here says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO, Any

from support import REPOSITORY
from support.archive import INDEX, Member, members, read_index, reading
from support.backups import ARTIFACTS, DATA, DATABASES, ENV, of_mlflow, psql
from support.put_back import Owners, extract, put_in_place
from support.services import compose, docker, program, service
from support.settings import SETTINGS, read_env, setting
from support.snapshot import RESTORING

from microstage.alone import alone
from microstage.data_folder import DataFolder
from microstage.errors import BAD_DATA, NO_INPUT, USAGE, StageError

OF_MACHINE = re.compile(
    r"COMPOSE_PROJECT_NAME|INSTALLATION_ID|MICROSTAGE_(DATA|UID|GID)|\w+_SOCKET|DOCKER_GID|\w+_PORT"
)
LINE = re.compile(r"(?:export +)?(\w+)=.*")
VOLUMES = {"postgres-data": "databases", "mlflow-artifacts": "files of MLflow"}
Opener = Callable[[], AbstractContextManager[IO[bytes]]]


def restore(backup: Opener, folder: Path | None, *, replace: bool) -> dict[str, Any]:
    """Restore an installation here; return the backup's index.

    `backup` opens it, each time anew; `folder`: the data folder, that of .env if None; `replace`
    what is there. Nothing is changed unless the backup is whole. Raises StageError.
    """
    here = read_env()
    if not here:
        raise StageError(
            NO_INPUT, f"There is no {SETTINGS} here: run ./build_images.sh first, which makes it."
        )
    here["MICROSTAGE_DATA"] = str((folder or Path(setting("MICROSTAGE_DATA"))).absolute())
    uid, gid = int(here["MICROSTAGE_UID"]), int(here["MICROSTAGE_GID"])
    if os.geteuid() not in (0, uid):
        raise StageError(
            USAGE, f"Restore as root, or as the user of MICROSTAGE_UID in {SETTINGS}, {uid}."
        )
    there = held(Path(here["MICROSTAGE_DATA"]), setting("COMPOSE_PROJECT_NAME"))
    if there and not replace:
        raise StageError(
            USAGE,
            f"This installation has {', '.join(there)}: nothing was changed. To put the backup in "
            "the place of all of it, say --replace.",
        )
    with backup() as stream:
        index = read_index(stream)
    owners = Owners(index["uid"], index["gid"], uid, gid)
    try:
        with backup() as stream, reading():
            Restore(index, here, owners).run(members(stream))
    except StageError as error:
        raise StageError(
            error.code, f"{error} The restore has not ended: start it again, with --replace."
        ) from None
    return index


def held(data: Path, name: str) -> list[str]:
    """Return what an installation has that a restore would take the place of, in words."""
    label = f"label=com.docker.compose.project={name}"
    form = '--format={{.Label "com.docker.compose.volume"}}'
    volumes = docker("volume", "ls", f"--filter={label}", form).split()
    found = [f"the {VOLUMES[volume]} (volume {volume})" for volume in VOLUMES if volume in volumes]
    if docker("ps", "--quiet", f"--filter={label}"):
        found.append("services that run")
    if data.is_dir() and any(data.iterdir()):
        found.append(f"files in {data}")
    return found


@dataclass
class Restore:
    """One restore: a backup's index, and this machine's settings."""

    index: dict[str, Any]
    here: dict[str, str]
    owners: Owners

    def run(self, stream: Iterator[Member]) -> None:
        """Put all in its place, in the order in which it comes. Raises StageError."""
        name, content = next(stream)
        if name.name != ENV:
            raise StageError(BAD_DATA, f"The backup begins with {name.name}, not with {ENV}.")
        self.stop()
        write_settings(merged(content.read().decode(), self.here))
        data = DataFolder.at(self.here["MICROSTAGE_DATA"]).root
        with alone(DataFolder.at(data)):
            compose("up", "--wait", "postgres")
            shutil.rmtree(data / RESTORING, ignore_errors=True)
            for part, group in groupby(stream, key=part_of):
                if part == ARTIFACTS:
                    put_artifacts(group)
                elif part == DATA:
                    extract(group, data / RESTORING, self.owners)
                elif part.startswith(f"{DATABASES}/"):
                    put_database(part.partition("/")[2], self.index["databases"], group)
                elif part != INDEX:
                    raise StageError(BAD_DATA, f"The backup has {part}, which nobody knows.")
            for database in self.index["databases"]:
                change_places(database)
            put_in_place(data / RESTORING, data)
        compose("down")

    def stop(self) -> None:
        """Stop what runs, stages included."""
        compose("stop", "scheduler")  # so that no task starts a container any more
        label = f"label=microstage.install={setting('COMPOSE_PROJECT_NAME')}"
        if containers := docker("ps", "--all", "--quiet", f"--filter={label}").split():
            docker("rm", "--force", *containers)
        compose("down", "--remove-orphans")


def part_of(member: Member) -> str:
    """Return the part of a backup that a member belongs to."""
    parts = PurePosixPath(member[0].name).parts
    return "/".join(parts[:2]) if parts[0] == DATABASES else parts[0]


def merged(backup: str, here: dict[str, str]) -> str:
    """Return the text of .env: that of the backup, but for what belongs to this machine."""
    own = {name: value for name, value in here.items() if OF_MACHINE.fullmatch(name)}
    lines = []
    for line in backup.splitlines():
        found = LINE.fullmatch(line)
        name = found[1] if found else ""
        lines.append(f"{name}={own.pop(name)}" if name in own else line)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in own.items()), ""])


def write_settings(text: str) -> None:
    """Replace .env, of which a copy stays, and make what hangs on it. Raises StageError."""
    path = REPOSITORY / SETTINGS
    status, new = path.stat(), path.with_name(f"{SETTINGS}.new")
    new.touch(0o600)
    new.write_text(text, encoding="utf-8")
    os.chown(new, status.st_uid, status.st_gid)
    path.replace(path.with_name(f"{SETTINGS}.replaced"))
    new.replace(path)
    done = subprocess.run(
        [REPOSITORY / "scripts/make_env"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageError(1, done.stderr.strip() or "scripts/make_env failed.")


def put_database(name: str, owners: dict[str, str], pieces: Iterable[Member]) -> None:
    """Restore a database beside the one that is there."""
    new, owner = f"{name}_restored", owners.get(name, "")
    if not re.fullmatch(r"\w+", name) or not re.fullmatch(r"\w+", owner):
        raise StageError(BAD_DATA, f"The backup has a database {name!r} of {owner!r}.")
    psql(
        f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)', f'CREATE DATABASE "{new}" OWNER "{owner}"'
    )
    options = ("--username=airflow", "--exit-on-error", f"--dbname={new}")
    command = service("pg_restore", *options, name="postgres")
    with program(*command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as running:
        assert running.stdin  # noqa: S101 - it is a pipe
        for _, content in pieces:
            shutil.copyfileobj(content, running.stdin, 2**20)


def change_places(name: str) -> None:
    """Put a restored database in its place."""
    old = f"{name}_replaced"
    psql(f'DROP DATABASE IF EXISTS "{old}" WITH (FORCE)')
    if [name] in psql("SELECT datname FROM pg_database"):
        psql(f'ALTER DATABASE "{name}" RENAME TO "{old}"')
    psql(f'ALTER DATABASE "{name}_restored" RENAME TO "{name}"')
    psql(f'DROP DATABASE IF EXISTS "{old}" WITH (FORCE)')


def put_artifacts(files: Iterable[Member]) -> None:
    """Put the files of MLflow in the place of those that are there."""
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with (
        program(*of_mlflow("back"), **streams) as running,
        tarfile.open(fileobj=running.stdin, mode="w|") as archive,
    ):
        for member, content in files:
            member.name = str(PurePosixPath(member.name).relative_to(ARTIFACTS))
            archive.addfile(member, content if member.isreg() else None)
