"""Read what the report is made from; of tables a block of rows at a time."""

import csv
import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
BAD_DATA, INPUT_MISSING = 65, 66
FIELDS = 2**18  # of a table, read at a time
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")  # among numbers; among texts only ""
NOT_TEXT = re.compile("[\\0\\udc80-\\udcff]")  # what "surrogateescape" makes of other encodings

Columns = list[tuple[str, ...]]


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


class Predictions(NamedTuple):
    """A day's predictions: n rows, k classes."""

    classes: list[str]
    chosen: np.ndarray  # int (n,), indices of classes
    scores: np.ndarray  # float64 (n, k), probabilities


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/")


def find_days(name: str) -> list[str]:
    """Return the days that have a folder in /in/<name>, in the order of time."""
    days = sorted(path.name for path in (IN / name).iterdir() if path.is_dir())
    for day in days:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII):
            raise StageError(f"{name}/{day} is no day: name it like 2013-01-31")
    return days


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} is no object with {', '.join(keys)}: write it again")
    return value


def read_optional(*paths: Path) -> dict[str, Any]:
    """Return the first of these JSON objects that is there, {} if none is."""
    return next((read_json(path) for path in paths if path.is_file()), {})


def read_predictions(path: Path) -> Predictions:
    """Return predictions.csv: its classes are those that its header names."""
    header = read_header(path)
    classes = [name.removeprefix("probability_") for name in header[1:]]
    if header != ["class", *(f"probability_{label}" for label in classes)] or len(classes) < 2:
        raise StageError(
            f"{shown(path)}, header: it must be class, and probability_<class> for each of two"
            " classes or more: predict again"
        )
    code = {label: i for i, label in enumerate(classes)}
    chosen, scores = [], []
    for row, (labels, *columns) in read_blocks(path, header):
        try:
            chosen.append(np.array([code[label] for label in labels]))
        except KeyError as error:
            at = row + labels.index(error.args[0]) + 1
            raise StageError(
                f"{shown(path)}, row {at}: class {error.args[0][:50]!r} is none that the header"
                " names: predict again"
            ) from None
        block = np.column_stack(
            [
                to_floats(path, name, row, texts)
                for name, texts in zip(header[1:], columns, strict=True)
            ]
        )
        if not (inside := ((block >= 0) & (block <= 1)).all(axis=1)).all():
            raise StageError(
                f"{shown(path)}, row {row + inside.argmin() + 1}: a probability is not between 0"
                " and 1: predict again"
            )
        scores.append(block)
    return Predictions(classes, np.concatenate(chosen), np.concatenate(scores))


def read_target(path: Path, classes: Sequence[str]) -> np.ndarray:
    """Return target.csv as indices of the classes, int (rows,)."""
    if (names := read_header(path)) != ["target"]:
        raise StageError(f"{shown(path)} has columns {names}: it must have one, target")
    code = {label: i for i, label in enumerate(classes)}
    parts = []
    for row, (labels,) in read_blocks(path, names):
        for label in set(labels) - code.keys():
            if (known := plain(label)) not in code:
                at = row + labels.index(label) + 1
                raise StageError(
                    f"{shown(path)}, row {at}: target {label[:50]!r} is none of the model's"
                    " classes: correct it, or train on it"
                )
            code[label] = code[known]
        parts.append(np.array([code[label] for label in labels]))
    return np.concatenate(parts)


def plain(label: str) -> str:
    """Return a number as the names of classes have it: 1 for 1.0, 01 and 1e0."""
    value = number(label)
    return label if not math.isfinite(value) else repr(int(value) if value == int(value) else value)


def read_header(path: Path) -> list[str]:
    """Return the names of a table's columns."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        names = next(csv.reader(file), [])
    if not names:
        raise StageError(f"{shown(path)} is empty: provide a header and rows")
    for name in names:
        if not name.strip():
            raise StageError(
                f"{shown(path)}: a column has no name: name it, or leave out the index"
            )
        if names.count(name) > 1:
            raise StageError(f"{shown(path)}: two columns are called {name!r}: rename one")
        if NOT_TEXT.search(name):
            raise StageError(f"{shown(path)}: column {name!r} is not UTF-8: save it as UTF-8")
    return names


def read_blocks(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, Columns]]:
    """Yield a table in blocks: the rows before it, and the texts of each column that is wanted."""
    names = read_header(path)
    if missing := [name for name in wanted if name not in names]:
        raise StageError(f"{shown(path)}: column {missing[0]!r} of the model is missing: add it")
    where = [names.index(name) for name in wanted]
    rows = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            next(reader)
            while block := list(itertools.islice(reader, max(1, FIELDS // len(names)))):
                if len(names) == 1:
                    block = [record or [""] for record in block]
                columns = list(zip(*block, strict=True))
                if len(columns) != len(names):
                    raise ValueError
                yield rows, [columns[i] for i in where]
                rows += len(block)
    except (ValueError, csv.Error) as error:
        raise StageError(find_fault(path, len(names))) from error
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def find_fault(path: Path, width: int) -> str:
    """Return what is wrong with the first row that is wrong."""
    where = shown(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            for row, record in enumerate(csv.reader(file, strict=True)):
                where = f"{shown(path)}, row {row}"
                if len(record or [""]) != width:
                    return f"{where} has {len(record)} fields, not {width}: complete it"
                if any(NOT_TEXT.search(text) for text in record):
                    return f"{where} is not UTF-8: save the file as UTF-8"
        except csv.Error as error:
            return f"{where}: {error}: repair the quotes"
    return f"{shown(path)} changed while it was read: run the stage again"


def to_floats(path: Path, name: str, row: int, texts: Sequence[str]) -> np.ndarray:
    """Return a column's numbers, float64 (rows,), NaN = missing; `row` is how many are before."""
    try:
        x = np.fromiter(map(float, texts), float, len(texts))
    except ValueError:
        x = np.fromiter(map(number, texts), float, len(texts))
    if (bad := np.isinf(x)).any():
        at = int(bad.argmax())
        raise StageError(
            f"{shown(path)}, row {row + at + 1}: column {name!r} holds {texts[at][:50]!r}, not a"
            " finite number: correct it"
        )
    return x


def number(text: str) -> float:
    """Return a field's number, NaN if it is missing, infinity if it is none."""
    try:
        return math.nan if text in MISSING else float(text)
    except ValueError:
        return math.inf
