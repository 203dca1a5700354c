"""What the doctor's checks have in common: what they look at, what they say, whom they ask."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.settings import read_env

PATIENCE = 30  # seconds that a command may take to answer


class UnseenError(Exception):
    """Why a check could not look; what keeps it from it is the finding of another one."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and how to mend it."""

    what: str
    mend: str


@dataclass(frozen=True)
class Installation:
    """What is examined: a checkout with its .env."""

    root: Path
    minutes: float = 10
    """After so many, a task that waits to be run is stuck."""
    settings: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", read_env(self.root))

    def setting(self, name: str) -> str:
        """Return a setting. Raises UnseenError where there is none."""
        if not (value := self.settings.get(name, "")):
            raise UnseenError(f".env has no {name}")
        return value

    def number(self, name: str) -> int:
        """Return a setting that is a number. Raises UnseenError where it is none."""
        value = self.setting(name)
        if not value.isdecimal():
            raise UnseenError(f"{name} in .env is no number")
        return int(value)

    @property
    def name(self) -> str:
        """What it is called on the engine."""
        return self.setting("COMPOSE_PROJECT_NAME")


def ask(*command: str | Path, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, whatever it ends with. Raises UnseenError where it cannot be."""
    try:
        return subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except FileNotFoundError:
        raise UnseenError(f"there is no command {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise UnseenError(f"{command[0]} did not answer within {PATIENCE} seconds") from None


def docker(*arguments: str, root: Path | None = None) -> str:
    """Return what the engine says to a command. Raises UnseenError where it does not."""
    done = ask("docker", *arguments, root=root)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise UnseenError(f"docker {arguments[0]} said: {said[-1]}")
    return done.stdout


def of_project(name: str) -> str:
    """Return the filter by which docker lists what compose has made for an installation."""
    return f"--filter=label=com.docker.compose.project={name}"
