"""The doctor's checks of this machine: disk, ports, clock."""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from support.findings import Finding, Installation, UnseenError, docker, of_project

ROOM = 2e9  # bytes: the images' layers of a build, a day's data and a report are less than that
FILES = 10_000
SLOW = 5  # seconds that a clock may differ by, and an answer take
FUTURE = 60  # seconds


def disk(installation: Installation) -> Iterator[Finding]:
    """Find file systems with little room."""
    places = {"the data folder": Path(installation.setting("MICROSTAGE_DATA"))}
    with suppress(UnseenError):
        root = Path(docker("info", "--format={{.DockerRootDir}}").strip())
        places["the Docker Engine's folder"] = root
    for what, path in places.items():
        if not path.exists():
            continue  # of another machine, or the finding of another check
        found = os.statvfs(path)
        free = found.f_bavail * found.f_frsize
        mend = "make room there (docker system prune removes what no image and container needs)"
        if free < ROOM:
            yield Finding(f"{what} {path} has {free / 1e6:,.0f} MB left", mend)
        if found.f_files > 0 and found.f_favail < FILES:
            yield Finding(f"{what} {path} has room for {found.f_favail} more files", mend)


def ports(installation: Installation) -> Iterator[Finding]:
    """Find ports that are another's."""
    named = {name: text for name, text in installation.settings.items() if name.endswith("_PORT")}
    ours = _published(of_project(installation.name))
    seen: dict[str, str] = {}
    for name, text in named.items():
        change = f"set another {name} in .env, then: docker compose up --wait"
        if not (text.isdecimal() and 0 < int(text) < 2**16):
            yield Finding(f"{name} in .env is {text!r}, which is no port", change)
        elif text in seen:
            yield Finding(f"{name} and {seen[text]} in .env are both {text}", change)
        elif text not in ours and _taken(int(text)):
            others = _published(f"--filter=publish={text}")
            whose = f"the container {others[text]}" if text in others else "another process"
            yield Finding(f"port {text} ({name}) is taken by {whose}", change)
        seen.setdefault(text, name)


def _taken(port: int) -> bool:
    with socket.socket() as listener:
        # What has just ended holds nobody up; what listens does.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _published(choice: str) -> dict[str, str]:
    """Return the ports of this machine that containers have, and these; {} without an engine."""
    try:
        lines = docker("ps", choice, "--format={{.Names}} {{.Ports}}").splitlines()
    except UnseenError:
        return {}
    return {port: line.split()[0] for line in lines for port in re.findall(r":(\d+)->", line)}


def clock(installation: Installation) -> Iterator[Finding]:
    """Find clocks that differ, and data from the future."""
    set_it = "set this machine's clock, best by NTP (timedatectl set-ntp true)"
    data = Path(installation.setting("MICROSTAGE_DATA"))
    now = time.time()
    for path in [*data.glob("*"), *data.glob("*/*"), *data.glob("*/*/*")]:
        with suppress(OSError):
            if (changed := path.stat().st_mtime) > now + FUTURE:
                when = dt.datetime.fromtimestamp(changed, dt.UTC)
                what = f"{path} is from the future ({when:%Y-%m-%d %H:%M} UTC)"
                yield Finding(what, f"{set_it}; if it is right now, touch {path}")
                break  # more of them say nothing new
    with suppress(UnseenError):
        asked = time.time()
        theirs = docker("info", "--format={{.SystemTime}}").strip()
        moment = re.sub(r"(\.\d{6})\d+", r"\1", theirs)
        behind = asked - dt.datetime.fromisoformat(moment).timestamp()
        if abs(behind) > SLOW:
            what = f"the Docker Engine's clock is {abs(behind):.0f} s "
            yield Finding(what + ("behind" if behind > 0 else "ahead"), set_it)
