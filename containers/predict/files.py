"""Read what the stage is given; of tables a block of rows at a time."""

import csv
import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
FIELDS = 2**19  # of a CSV table, read at a time


class StageError(Exception):
    """What is wrong with the data, in one sentence for the user who has to mend it."""


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/")


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object of version 1 that has these keys."""
    value = read_object(path, *keys)
    if value.get("version") != 1:
        raise StageError(f"{shown(path)} is not version 1 with {', '.join(keys)}: write it again")
    return value


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} has not the keys {', '.join(keys)}: write it again")
    return value


def sha256(path: Path) -> str:
    """Return the digest of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_table(
    path: Path, names: list[str], classes: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a CSV table in blocks: float64 (rows, features), NaN = empty; class codes (rows,).

    The columns are `names`, and then `target` if there are classes; all codes are 0 if there are
    none. Raises StageError where the table is not like that.
    """
    columns = [*names, "target"] if classes else names
    code = {label: i for i, label in enumerate(classes)} or {"": 0}
    rows = 0
    try:
        with path.open("rb") as file:
            quoted = any(b'"' in block for block in iter(lambda: file.read(2**20), b""))
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, []) != columns:
                raise ValueError
            records: Iterator[tuple[str, str]]
            if quoted:
                split = (lambda r: (r[:-1], r[-1])) if classes else (lambda r: (r, ""))
                records = ((",".join(fields), label) for fields, label in map(split, reader))
            elif classes:
                records = (line.rstrip("\r\n").rpartition(",")[::2] for line in file)
            else:
                records = ((line.rstrip("\r\n"), "") for line in file)
            while block := list(itertools.islice(records, max(1, FIELDS // len(columns)))):
                x = to_floats([fields for fields, _ in block])
                if x.shape != (len(block), len(names)) or np.isinf(x).any():
                    raise ValueError
                yield x, np.array([code[label] for _, label in block])
                rows += len(block)
    except (ValueError, LookupError, csv.Error) as error:
        raise StageError(explain(path, columns, code)) from error
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def to_floats(lines: list[str]) -> np.ndarray:
    """Return lines of comma separated numbers as float64 (rows, columns), NaN = empty."""
    # np.loadtxt is the fastest reader here, but it has to be told where values are missing:
    # wherever a separator follows a separator.
    text = "\n".join(["", *lines, ""]).encode()
    symbols = np.frombuffer(text, np.uint8)
    separators = (symbols == ord(",")) | (symbols == ord("\n"))
    gaps = np.flatnonzero(separators[:-1] & separators[1:]) + 1
    pieces = itertools.pairwise([1, *gaps.tolist(), len(text) - 1])
    text = b"nan".join([text[start:end] for start, end in pieces])
    return np.loadtxt(text.decode().split("\n"), delimiter=",", comments=None, ndmin=2)


def explain(path: Path, columns: list[str], classes: Container[str]) -> str:
    """Return what is wrong with the first row that is wrong."""
    where = f"{shown(path)}, header"
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        records = csv.reader(file, strict=True)
        try:
            header = next(records, [])
            if not header:
                return f"{shown(path)} is empty: provide a header and rows"
            if header != columns:
                odd = [
                    name for name in [*columns, *header] if (name in columns) != (name in header)
                ]
                what = f"column {odd[0]!r} is in one alone" if odd else "the order differs"
                return f"{where}: not the columns that the model has ({what}): prepare it again"
            for row, record in enumerate(records, 1):
                where = f"{shown(path)}, row {row}"
                if what := fault(record or [""], columns, classes):
                    return f"{where}: {what}"
        except csv.Error as error:
            return f"{where}: {error}: repair the quotes"
    return f"{shown(path)} changed while it was read: run the stage again"


def fault(record: list[str], columns: list[str], classes: Container[str]) -> str:
    """Return what is wrong with a row of a table, or ""."""
    if len(record) != len(columns):
        return f"it has {len(record)} fields, not {len(columns)}: complete the row"
    for name, text in zip(columns, record, strict=True):
        if re.search("[\udc80-\udcff]", text):  # what surrogateescape makes of other bytes
            return f"column {name!r} is not UTF-8: save the file as UTF-8"
        if name == "target" and text not in classes:
            return f"target {text!r} is none of the classes at fit: correct it"
        if name != "target" and not is_number(text):
            return f"column {name!r} holds {text[:50]!r}, not a finite number: correct it"
    return ""


def is_number(text: str) -> bool:
    """Return whether a field is a finite number, or missing."""
    try:
        return text.isascii() and "_" not in text and not math.isinf(float(text or "nan"))
    except ValueError:
        return False
