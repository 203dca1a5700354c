"""Tables of numbers, a block of rows at a time; needs NumPy. `csv_files` has the rest of tables."""

import csv
import io
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from stageframe.csv_files import (
    Fault,
    find_fault,
    no_number,
    read_header,
    read_texts,
    require_rows,
)
from stageframe.errors import StageError
from stageframe.files import shown
from stageframe.parts import worked_parts
from stageframe.values import to_number

__all__ = ["read_header", "read_table", "read_texts", "to_floats"]

PART = 2**21  # bytes of a table that are worked on at a time
T = TypeVar("T")


@overload
def read_table(
    path: Path,
    names: Sequence[str],
    classes: Sequence[str] = (),
    *,
    numbers: bool = False,
    empty: bool = False,
) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]: ...


@overload
def read_table(
    path: Path,
    names: Sequence[str],
    classes: Sequence[str] = (),
    *,
    numbers: bool = False,
    empty: bool = False,
    convert: Callable[[NDArray[np.float64], int], T],
) -> Iterator[tuple[T, NDArray[Any]]]: ...


def read_table(
    path: Path,
    names: Sequence[str],
    classes: Sequence[str] = (),
    *,
    numbers: bool = False,
    empty: bool = False,
    convert: Callable[[NDArray[np.float64], int], Any] = lambda x, _before: x,
) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Yield a numeric table in blocks: float64 (rows, features), NaN = empty; targets, (rows,).

    The columns are `names`, and then `target` if there are classes, or if targets are `numbers`.
    A target is a float64; or the index of its class, int, 0 if there are none. What `convert` makes
    of features is yielded in their place: it is told how many rows are before them, and where the
    table is large it works in another process (`parallel.worked`). Raises StageError (65) where the
    table is not like that, or has no rows; unless it may be `empty`: then there is no block.
    """
    labelled = numbers or bool(classes)
    columns = [normalize("NFC", name) for name in [*names, *(["target"] if labelled else [])]]
    if (header := read_header(path)) != columns:
        raise StageError(f"{shown(path)}, header: {_difference(columns, header)}")
    code = {label: i for i, label in enumerate(classes)} or {"": 0}
    meant = to_number if numbers else code.__getitem__

    def parse(part: tuple[int, bytes]) -> tuple[Any, NDArray[Any]]:
        before, text = part
        try:
            lines, targets = _rows_of(text.decode(), labelled)
            x = parse_numbers(lines)
            if x.shape != (len(lines), len(names)) or np.isinf(x).any():
                raise ValueError
            y = np.array([*map(meant, targets)])
            if numbers and not np.isfinite(y).all():
                raise ValueError
        except (ValueError, LookupError, csv.Error) as error:
            fault = _odd_field(None if numbers else code, labelled)
            raise StageError(find_fault([path], fault)) from error
        return convert(x, before), y

    rows = 0
    # Stages write these: where there is one column, a blank line is a gap to the very end.
    blank_end = len(columns) == 1
    for block in worked_parts(path, parse, PART, blank_end=blank_end):
        yield block
        rows += len(block[1])
    if not empty:
        require_rows(path, rows)


def _difference(columns: list[str], header: list[str]) -> str:
    """Return the sentence on a header that is not these columns."""
    odd = [name for name in [*columns, *header] if (name in columns) != (name in header)]
    what = f"column {odd[0]!r} is in one alone" if odd else "the order differs"
    return f"not the columns that the model has ({what}): prepare it again"


def _rows_of(text: str, labelled: bool) -> tuple[list[str], Sequence[str]]:
    """Return rows as comma separated numbers, and the targets or ""s."""
    if '"' in text:
        rows = [*csv.reader(io.StringIO(text, newline=""), strict=True)]
        if labelled:
            return [",".join(fields[:-1]) for fields in rows], [fields[-1] for fields in rows]
        return [*map(",".join, rows)], [""] * len(rows)
    # Without quotes a row is a line, and the fields need not be told apart twice.
    lines = text.removesuffix("\n").replace("\r\n", "\n").removesuffix("\r").split("\n")
    if not labelled:
        return lines, [""] * len(lines)
    found = [line.rpartition(",") for line in lines]
    return [features for features, _, _ in found], [target for _, _, target in found]


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
