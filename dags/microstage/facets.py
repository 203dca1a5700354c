"""What is known of a directory of a pipeline's data, for those who draw lineage elsewhere.

All of it is read from files that are there: manifest.json, summary.json, preprocess.json and the
first lines of tables. A file that is absent or not what it should be tells nothing, and fails
nobody. Python's standard library alone.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microstage.data_folder import MANIFEST, SUMMARY, parse_json, published_files
from microstage.errors import StageError

PREPROCESS = "preprocess.json"
QUALITY = "quality.json"
MAX_JSON = 16 * 2**20  # bytes of a file that is read whole: preprocess.json has digests of rows
MAX_HEADER = 2**20  # bytes of a table's first line
MAX_COLUMNS = 2000
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Column:
    """A column of a table: its kind, and how many of its fields are empty, where that is known."""

    name: str
    file: str
    kind: str | None = None
    missing: int | None = None


@dataclass(frozen=True)
class Facts:
    """A directory: the digest of its manifest, its rows, bytes and files, and its columns."""

    version: str | None = None
    rows: int | None = None
    size: int | None = None
    files: int | None = None
    columns: tuple[Column, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)


def read_published(directory: Path) -> tuple[str, dict[str, Any]]:
    """Return the sha256 of a manifest, and the manifest. Raises OSError, ValueError."""
    content = (directory / MANIFEST).read_bytes()
    manifest = parse_json(content)
    if not isinstance(manifest, dict):
        raise ValueError("it is not an object")
    return hashlib.sha256(content).hexdigest(), manifest


def facts_of(directory: Path, kinds: Mapping[str, Mapping[str, Any]], *, whole: bool) -> Facts:
    """Return what is known of a directory.

    :param kinds: what `columns_of` has said of the columns
    :param whole: read the headers of its tables, too
    """
    version: str | None = None
    manifest: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        version, manifest = read_published(directory)
    sizes = _sizes(directory, manifest)
    rows = read_json(directory / SUMMARY).get("rows")
    return Facts(
        version=version,
        rows=_count(rows),
        size=sum(sizes.values()) if sizes else None,
        files=len(sizes) if sizes else None,
        columns=_columns(directory, sorted(sizes), kinds) if whole else (),
        manifest=manifest,
    )


def columns_of(directories: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return what preprocess.json says of columns by name: kind, and profile where it has one.

    Of several directories, such as those that a stage has read and written, the first counts.
    """
    found: dict[str, dict[str, Any]] = {}
    for directory in directories:
        columns = read_json(directory / PREPROCESS).get("columns")
        for column in columns if isinstance(columns, list) else ():
            if isinstance(column, dict) and isinstance(column.get("name"), str):
                found.setdefault(column["name"], column)
    return found


def quality_of(directory: Path) -> tuple[bool, list[str]] | None:
    """Return the verdict of a report on a day's data and the problems; None where there is none."""
    report = read_json(directory / QUALITY)
    problems = report.get("problems")
    if not isinstance(report.get("ok"), bool):
        return None
    return report["ok"], [str(one) for one in problems] if isinstance(problems, list) else []


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object of a file; nothing where there is none."""
    try:
        if path.stat().st_size > MAX_JSON:
            return {}
        content = parse_json(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def header_of(path: Path) -> list[str]:
    """Return the names in the first line of a table of texts; none where it has no such line."""
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_HEADER)
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return []
    if not text or len(line) == MAX_HEADER:
        return []
    delimiter = max(DELIMITERS, key=text.count)
    with suppress(csv.Error, StopIteration):
        names = next(csv.reader([text], delimiter=delimiter, strict=True))
        if len(names) <= MAX_COLUMNS and all(name.isprintable() for name in names):
            return names
    return []


def _sizes(directory: Path, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the bytes of each file: as published, or of what a person has put there."""
    outputs = manifest.get("outputs")
    if isinstance(outputs, dict):
        sizes = {name: _count(said.get("size")) for name, said in outputs.items()}
        return {name: size for name, size in sizes.items() if size is not None}
    with suppress(OSError, StageError):
        return {name: (directory / name).stat().st_size for name in published_files(directory)}
    return {}


def _columns(
    directory: Path, files: Iterable[str], kinds: Mapping[str, Mapping[str, Any]]
) -> tuple[Column, ...]:
    """Return the columns of a directory's tables, each name once, with the first that has it."""
    found: dict[str, Column] = {}
    # What is missing is counted in what preprocess.json was made with: its own directory's table.
    counted = (directory / PREPROCESS).is_file()
    for file in files:
        for name in header_of(directory / file) if file.endswith(".csv") else ():
            said = kinds.get(name, {})
            kind, profile = said.get("kind"), said.get("profile")
            missing = profile.get("missing") if counted and isinstance(profile, dict) else None
            known = kind if isinstance(kind, str) else None
            found.setdefault(name, Column(name, file, known, _count(missing)))
    return tuple(found.values())


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
