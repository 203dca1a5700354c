"""Which try of a task instance counts: the one that began last. Standard library only.

Each try writes its name into a file beside its staging directories, and thereby takes the place of
an earlier one, which may still be alive: a machine that slept, a supervisor that was killed. It
looks there before it publishes, and before it removes a container.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from microstage.contract import Run
from microstage.data_folder import STAGING, DataFolder
from microstage.publishing import os_failure, staging_of
from microstage.replacing import ASIDE, discard
from microstage.walls import SWEEP_AFTER

ENDING = "-try"


@dataclass(frozen=True)
class Claim:
    """What a try has written down; `seconds`: how long it may take in all."""

    data: DataFolder
    run: Run
    seconds: int
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def _path(self) -> Path:
        return self.data.root / STAGING / f"{self.run.instance}{ENDING}"

    def take(self) -> None:
        """Take the place of earlier tries; clear what those left that have no later try.

        Raises StageError, as when the disk is full.
        """
        new = self._path.with_name(f".{self.token}")
        try:
            reap(staging_of(self.data))
            until = int(time.time()) + self.seconds + SWEEP_AFTER
            new.write_text(json.dumps({"token": self.token, "until": until}))
            new.replace(self._path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise os_failure(error) from error

    def holds(self) -> bool:
        """Tell whether no later try has begun."""
        return _read(self._path).get("token") == self.token

    def release(self) -> None:
        """Clear what is left of this task instance: no other try needs any of it."""
        if self.holds():
            _clear(self._path)


def reap(staging: Path) -> None:
    """Clear what tries have left whose time was over long ago, and that had no later one."""
    for path in staging.glob(f"*{ENDING}"):
        until = _read(path).get("until")
        if isinstance(until, int) and until < time.time():
            _clear(path)


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _clear(path: Path) -> None:
    """Remove a claim, and before it the staging directories of its task instance."""
    instance = path.name.removesuffix(ENDING)
    mine = (f"{instance}.", f"{instance}-")
    for entry in list(path.parent.iterdir()):
        if entry.name.startswith(mine) and not entry.name.endswith((ENDING, ASIDE)):
            discard(entry)
    path.unlink(missing_ok=True)
