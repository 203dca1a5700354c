"""What several days have in one container: their places there, and how each of them has ended.

docs/contract.md, "Several days in one run", is this from the stage's side. Standard library only.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microstage.data_folder import DataFolder, parse_json
from microstage.errors import TRY_AGAIN
from microstage.exits import Exit
from microstage.jobs import Job

COMMAND = "days"
MOST = 16  # days of a batch: none is published before all of them have ended
MAX_BYTES = 64 * 1024  # of what a stage says about a day


@dataclass(frozen=True)
class Place:
    """A directory, and where in the container it is."""

    target: str
    path: Path
    read_only: bool = True


def provide(data: DataFolder, folder: Path, days: Mapping[str, tuple[Job, Path]]) -> list[Place]:
    """Make what is to be /in and /out, in `folder/in` and `folder/out`; return all places.

    Days share what they read, as the days of a window do, so each directory is there once, and a
    day's own place has links to it.

    days: the job of each, and where it is to write.
    """
    inputs, outputs = folder / "in", folder / "out"
    places = [Place("/in", inputs), Place("/out", outputs, read_only=False)]
    sources: dict[str, str] = {}
    for day, (job, staging) in days.items():
        (inputs / day).mkdir(parents=True)
        for mount, source in job.sources.items():
            if source not in sources:
                inner = f".sources/{len(sources)}"
                (inputs / inner).mkdir(parents=True)
                places.append(Place(f"/in/{inner}", data.path(source)))
                sources[source] = f"/in/{inner}"
            link = inputs / day / mount
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(sources[source])
        (outputs / day).mkdir(parents=True)
        places.append(Place(f"/out/{day}", staging, read_only=False))
    # A day a line, for stages that have no reader of JSON.
    lines = [f"    {json.dumps(day)}: {json.dumps(job.command)}" for day, (job, _) in days.items()]
    listed = inputs / f"{COMMAND}.json"
    whole = ",\n".join(lines)
    listed.write_text(f'{{\n  "version": 1,\n  "days": {{\n{whole}\n  }}\n}}\n', "utf-8")
    listed.chmod(0o644)
    for place, _, _ in os.walk(inputs):
        Path(place).chmod(0o755)
    os.chown(outputs, *data.owner)
    return places


def ending(path: Path) -> Exit | None:
    """Return how a day has ended, by what a stage wrote of it; None if it is to be done alone.

    As it was not done, or ended with 75, try again later: alone it has all of the memory and of
    /tmp.
    """
    try:
        # A stage may have put a link or a pipe there.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            said: Any = parse_json(file.read(MAX_BYTES))
        code, line = said["code"], said["last_line"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if type(code) is not int or not 0 <= code <= 255 or code == TRY_AGAIN:
        return None
    return Exit(code, " ".join(str(line).split()))
