"""The two roots of a stage, and what it finds and leaves there beside tables: days and JSON."""

import hashlib
import json
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from stageframe.errors import StageError
from stageframe.shapes import DOCUMENTS, fault_of

# In a container the roots are these; elsewhere the environment names others.
IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
# Of several days in one run, each has its own roots in these. IN and OUT are links then, which lead
# to one day after the other (stageframe.days): modules have them before it is known to which.
ALL_IN, ALL_OUT = IN, OUT
LINKS = Path(os.environ.get("TMPDIR", "/tmp"), f"days-{os.getpid()}")  # noqa: S108 - a stage's own
SEVERAL_DAYS = sys.argv[1:] == ["days"]
if SEVERAL_DAYS:
    IN, OUT = LINKS / "in", LINKS / "out"


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/").removeprefix(f"{OUT}/")


def require_files() -> None:
    """Raise StageError (65) for a pipe or a device among the inputs: to read it might never end."""
    for pattern in ("*", "*/*", "*/*/*"):
        for path in IN.glob(pattern):
            with suppress(OSError):  # a link that leads nowhere is told by who reads it
                kind = path.stat().st_mode
                if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                    raise StageError(f"{shown(path)} is no file: put one in its place")


def find_days(name: str) -> list[Path]:
    """Return the folders of days in /in/<name>, YYYY-MM-DD, in the order of time; [] if none.

    Raises StageError (65) for a folder of another name.
    """
    folder = IN / name
    days = sorted(path for path in folder.iterdir() if path.is_dir())
    for day in days:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day.name, re.ASCII):
            raise StageError(f"{shown(day)} is no day: name it like 2013-01-31")
    return days


def read_json(path: Path, *keys: str, version: int | None = None) -> dict[str, Any]:
    """Return a JSON object that has these keys and, if one is asked for, this version.

    Of a file that the contract knows by its name, the other keys that are known are of the shape
    that it says. Raises StageError (65) for anything else; NaN and Infinity are no JSON (RFC 8259).
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(path.read_bytes(), parse_constant=refuse)
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    except RecursionError as error:
        sentence = f"{shown(path)} is not JSON of the contract (it is nested too deeply)"
        raise StageError(f"{sentence}: write it again") from error
    wanted = ", ".join(keys) or "names and values"
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} is no object with {wanted}: write it again")
    if version is not None and value.get("version") != version:
        raise StageError(f"{shown(path)} is not version {version} with {wanted}: write it again")
    if fault := fault_of(value, DOCUMENTS.get(path.name, dict)):
        raise StageError(f"{shown(path)}: {fault}: write it again")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, the same bytes for the same value; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Return the sha256 of a file's content, in hex, as manifests have it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
