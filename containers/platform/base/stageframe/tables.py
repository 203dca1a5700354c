"""Tables of numbers, a block of rows at a time; needs NumPy. `csv_files` has the rest of tables."""

import csv
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from stageframe.csv_files import (
    Fault,
    find_fault,
    no_number,
    open_text,
    read_header,
    read_texts,
    require_rows,
    without_blank_end,
)
from stageframe.errors import StageError
from stageframe.files import shown
from stageframe.values import to_number

__all__ = ["read_header", "read_table", "read_texts", "to_floats"]

FIELDS = 2**19  # of a table, read at a time


def read_table(
    path: Path,
    names: Sequence[str],
    classes: Sequence[str] = (),
    *,
    numbers: bool = False,
    empty: bool = False,
) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]:
    """Yield a numeric table in blocks: float64 (rows, features), NaN = empty; targets, (rows,).

    The columns are `names`, and then `target` if there are classes, or if targets are `numbers`.
    A target is a float64; or the index of its class, int, 0 if there are none. Raises StageError
    (65) where the table is not like that, or has no rows; unless it may be `empty`: then there is
    no block.
    """
    labelled = numbers or bool(classes)
    columns = [normalize("NFC", name) for name in [*names, *(["target"] if labelled else [])]]
    if (header := read_header(path)) != columns:
        raise StageError(f"{shown(path)}, header: {_difference(columns, header)}")
    code = {label: i for i, label in enumerate(classes)} or {"": 0}
    meant = to_number if numbers else code.__getitem__
    rows = 0
    try:
        with open_text(path) as file:
            # Stages write these: where there is one column, a blank line is a gap to the very end.
            lines = file if len(columns) == 1 else without_blank_end(file)
            records = _records(iter(lines), labelled, quoted=_has_quotes(path))
            while block := list(itertools.islice(records, max(1, FIELDS // len(columns)))):
                x = parse_numbers([fields for fields, _ in block])
                if x.shape != (len(block), len(names)) or np.isinf(x).any():
                    raise ValueError
                y = np.array([meant(text) for _, text in block])
                if numbers and not np.isfinite(y).all():
                    raise ValueError
                yield x, y
                rows += len(block)
    except (ValueError, LookupError, csv.Error) as error:
        fault = _odd_field(None if numbers else code, labelled)
        raise StageError(find_fault([path], fault)) from error
    if not empty:
        require_rows(path, rows)


def _difference(columns: list[str], header: list[str]) -> str:
    """Return the sentence on a header that is not these columns."""
    odd = [name for name in [*columns, *header] if (name in columns) != (name in header)]
    what = f"column {odd[0]!r} is in one alone" if odd else "the order differs"
    return f"not the columns that the model has ({what}): prepare it again"


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in block for block in iter(lambda: file.read(2**20), b""))


def _records(lines: Iterator[str], labelled: bool, quoted: bool) -> Iterator[tuple[str, str]]:
    """Return the rows below the header as comma separated numbers, and the target or ""."""
    reader = csv.reader(lines, strict=True)
    next(reader)
    if quoted:
        rows = ((r[:-1], r[-1]) if labelled else (r, "") for r in reader)
        return ((",".join(fields), label) for fields, label in rows)
    # Without quotes a row is a line, and the fields need not be told apart twice.
    texts = (line.rstrip("\r\n") for line in lines)
    if labelled:
        return (text.rpartition(",")[::2] for text in texts)
    return ((text, "") for text in texts)


def _odd_field(classes: Mapping[str, int] | None, labelled: bool) -> Fault:
    """Return a `fault` for find_fault: it tells of targets of no class, and of no number.

    classes: None if targets are numbers.
    """

    def fault(name: str, text: str) -> str | None:
        if labelled and name == "target":
            if classes is None:
                return None if math.isfinite(to_number(text)) else no_number(name, text)
            known = text in classes
            return None if known else f"target {text!r} is none of the classes at fit: correct it"
        # In a numeric table NaN is spelled as an empty field, and by no other word.
        return no_number(name, text) if text and not math.isfinite(to_number(text)) else None

    return fault


def parse_numbers(lines: Sequence[str]) -> NDArray[np.float64]:
    """Return lines of comma separated numbers as float64 (lines, columns), NaN = empty.

    Raises ValueError where they are not like that; inf is taken for a number.
    """
    # np.loadtxt is the fastest reader here, but it has to be told where values are missing:
    # wherever a separator follows a separator.
    text = "\n".join(["", *lines, ""]).encode()
    symbols = np.frombuffer(text, np.uint8)
    separators = (symbols == ord(",")) | (symbols == ord("\n"))
    gaps = np.flatnonzero(separators[:-1] & separators[1:]) + 1
    pieces = itertools.pairwise([1, *gaps.tolist(), len(text) - 1])
    text = b"nan".join([text[start:end] for start, end in pieces])
    return np.loadtxt(text.decode().split("\n"), delimiter=",", comments=None, ndmin=2)


def to_floats(path: Path, name: str, row: int, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the numbers of a column of texts, float64 (texts,), NaN = missing.

    `row` is how many rows of the table are before them. Raises StageError (65) for a text that is
    no finite number.
    """
    together = "".join(texts)
    # float() takes some texts more than to_number; without these, it is several times faster.
    quick = together.isascii() and "_" not in together
    try:
        x = np.fromiter(map(float if quick else to_number, texts), float, len(texts))
    except ValueError:
        x = np.fromiter(map(to_number, texts), float, len(texts))
    if (bad := np.isinf(x)).any():
        at = int(bad.argmax())
        raise StageError(f"{shown(path)}, row {row + at + 1}: {no_number(name, texts[at])}")
    return x
