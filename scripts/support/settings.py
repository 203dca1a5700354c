"""The settings of this installation: .env, which scripts/make_env writes."""

from __future__ import annotations

import os
from pathlib import Path

from support import REPOSITORY

SETTINGS = ".env"


def setting(name: str, root: Path = REPOSITORY) -> str:
    """Return a setting of the environment or else of .env; "" if neither has it."""
    return os.environ.get(name) or read_env(root).get(name, "")


def env_file(root: Path = REPOSITORY) -> Path:
    """Return where the settings are."""
    return root / SETTINGS


def read_env(root: Path = REPOSITORY) -> dict[str, str]:
    """Return what .env says, {} where there is none; quotes around a value are not its own."""
    try:
        lines = env_file(root).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            found[name.strip()] = value[1:-1] if quoted else value
    return found
