"""Start a script over in an environment that has the packages it needs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from support import REPOSITORY

from microstage.engines.process import environment
from microstage.errors import TRY_AGAIN, StageError

CACHE = REPOSITORY / ".cache" / "venv"  # environments with locked packages, by their digest
LOCKS = REPOSITORY / "scripts"


def start_over(package: str, lock: Path | None = None) -> None:
    """Start this very script over where `package` can be imported, unless it can be here.

    The environment is made of the packages that a file locks; without one it is that of the tests.
    Raises StageError (75) where it cannot be made.
    """
    if importlib.util.find_spec(package) is None:
        _start_over(lock)


def start_over_alone(lock: Path) -> None:
    """Start over in an environment of this repository, unless it is one: others have plugins."""
    if not Path(sys.prefix).is_relative_to(REPOSITORY):
        _start_over(lock)


def _start_over(lock: Path | None) -> None:
    if lock:
        python = environment(lock.parent.name, lock, CACHE)
    else:
        made = subprocess.run(
            [REPOSITORY / "scripts/environment"], stdout=subprocess.PIPE, check=False, text=True
        )
        if made.returncode:
            raise StageError(
                TRY_AGAIN, "The environment of the tests could not be made, see above."
            )
        python = Path(made.stdout.strip(), "bin", "python")
    os.execv(python, [str(python), *sys.argv])  # noqa: S606 - no shell is meant
