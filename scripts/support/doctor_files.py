"""The doctor's checks of an installation's files: .env, whose they are, what is secret."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from support.findings import Finding, Installation, UnseenError, ask
from support.settings import env_file

from microstage.data_folder import MANIFEST

SECRET = re.compile(r"(?m)^([A-Z_]+_(?:PASSWORD|KEY|SECRET)|ALERT_SMTP|ALERT_URL)=")
MAKE = "scripts/make_env"


def settings(installation: Installation) -> Iterator[Finding]:
    """Find what .env lacks, and what in it makes no sense."""
    env = env_file(installation.root)
    if not env.exists():
        yield Finding(f"there is no {env}", f"make it: {MAKE}")
        return
    if (mode := stat.S_IMODE(env.stat().st_mode)) & 0o077:
        yield Finding(
            f"{env}, which has every secret, is for others, too ({mode:o})", "chmod 600 .env"
        )
    example = (installation.root / ".env.example").read_text("utf-8")
    lacking = [
        name
        for name in re.findall(r"(?m)^([A-Z]\w*)=", example)
        if not installation.settings.get(name)
    ]
    if lacking:
        mend = f"{MAKE} adds what is not there; an empty line of it is to be removed first"
        yield Finding(f"{env} has no {', '.join(lacking)}", mend)
    zone = installation.settings.get("TIME_ZONE") or "UTC"
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        yield Finding(f"TIME_ZONE in .env is no time zone: {zone}", "one is called Europe/Berlin")


def name(installation: Installation) -> Iterator[Finding]:
    """Find another installation of this name on the engine."""
    installation.setting("COMPOSE_PROJECT_NAME")
    done = ask(installation.root / MAKE, "--whose", root=installation.root)
    if done.returncode:
        what, _, mend = done.stderr.strip().removeprefix(f"{MAKE}: ").partition("; ")
        yield Finding(what, mend)


def permissions(installation: Installation) -> Iterator[Finding]:
    """Find what is not whose it has to be: the data, the guard's folder, the engine's socket."""
    uid, gid = installation.number("MICROSTAGE_UID"), installation.number("MICROSTAGE_GID")
    data = Path(installation.setting("MICROSTAGE_DATA"))
    if not data.is_dir():
        yield Finding(f"there is no data folder {data}", f"make it: {MAKE}")
    elif others := [path for path in _written(data) if path.stat().st_uid != uid]:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        what = f"{others[0]}{more} in the data folder is not of MICROSTAGE_UID, {uid}"
        yield Finding(what, f"as root: chown -R {uid}:{gid} {data}")
    group = installation.number("DOCKER_GID")
    guard = Path(installation.setting("GUARD_SOCKET")).parent
    if not guard.is_dir():
        yield Finding(f"there is no folder {guard} for the guard's socket", f"make it: {MAKE}")
    elif (guard.stat().st_gid, stat.S_IMODE(guard.stat().st_mode)) != (group, 0o2770):
        what = f"{guard} is not for the group {group} of DOCKER_GID, so the guard cannot start"
        yield Finding(what, f"as root: chgrp {group} {guard} && chmod 2770 {guard}")
    socket = Path(installation.setting("DOCKER_SOCKET"))
    if not socket.is_socket():
        mend = "start the Docker Engine, or set DOCKER_SOCKET in .env"
        yield Finding(f"{socket} is no socket, so the guard reaches no engine", mend)
    elif socket.stat().st_gid != group:
        what = f"{socket} is of the group {socket.stat().st_gid}, and DOCKER_GID in .env is {group}"
        yield Finding(what, f"set DOCKER_GID={socket.stat().st_gid} in .env, then: {MAKE}")


def _written(data: Path) -> Iterator[Path]:
    """Yield the directories that stages' results are put into: those above what is published, too.

    What a person has put there may be the person's.
    """
    yield data
    for depth in ("*", "*/*", "*/*/*"):
        for path in data.glob(depth):
            if (path / MANIFEST).exists() or any(path.glob(f"*/{MANIFEST}")):
                yield path


def secrets(installation: Installation) -> Iterator[Finding]:
    """Find files of secrets that are not as .env says, or that the wrong people may read."""
    folder = installation.root / ".secrets"
    again = f"{MAKE}, then: docker compose up --wait"
    if not folder.is_dir():
        yield Finding(f"there is no {folder}", f"make it: {MAKE}")
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UnseenError(f"{folder} is for MICROSTAGE_UID and root alone")
    if (mode := stat.S_IMODE(folder.stat().st_mode)) != 0o700:
        yield Finding(f"{folder} is not for its owner alone ({mode:o})", f"chmod 700 {folder}")
    if (owner := folder.stat().st_uid) != (uid := installation.number("MICROSTAGE_UID")):
        mend = f"as root: {MAKE}, which gives it to that user"
        yield Finding(f"{folder} is of user {owner}, and MICROSTAGE_UID is {uid}", mend)
    for secret in SECRET.findall((installation.root / ".env.example").read_text("utf-8")):
        file = folder / secret
        if not file.is_file():
            yield Finding(f"there is no {file}", again)
        elif (mode := stat.S_IMODE(file.stat().st_mode)) != 0o644:
            # The folder keeps others out; the services that are given it are other users.
            yield Finding(f"{file} has the mode {mode:o}, and services need 644", f"{again}")
        elif unfolded(file.read_text("utf-8")) != installation.settings.get(secret, ""):
            yield Finding(f"{file} is not what {secret} in .env says", again)


def unfolded(text: str) -> str:
    """Return what .env says of a file, which for a key or a certificate is one line of it."""
    return "".join(text.splitlines()[1:-1]) if text.startswith("-----BEGIN ") else text
