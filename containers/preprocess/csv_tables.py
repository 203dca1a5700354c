"""Read and write CSV tables, a block of rows at a time, and JSON."""

import csv
import io
import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pandas as pd
from faults import IN, INPUT_MISSING, MISSING, NOT_TEXT, StageError, find_fault, shown

BLOCK = 2**22  # bytes of a table that are worked on at a time


def find_days() -> list[Path]:
    """Return the folders raw/<day>, in the order of time."""
    days = sorted(path for path in (IN / "raw").iterdir() if path.is_dir())
    if not days:
        raise StageError("raw has no folder of a day: generate one", INPUT_MISSING)
    for day in days:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day.name, re.ASCII):
            raise StageError(f"{shown(day)} is no day: name it like 2013-01-31")
    return days


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object of version 1 that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or value.get("version") != 1 or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} is not version 1 with {', '.join(keys)}: write it again")
    return value


def read_header(path: Path) -> list[str]:
    """Return the names of a table's columns."""
    with path.open("rb") as file:
        text = read_rows(file, 0).decode("utf-8-sig", "surrogateescape")
    try:
        names, *more = csv.reader(io.StringIO(text, newline=""), strict=True) if text else [[]]
    except csv.Error as error:
        raise StageError(f"{shown(path)}, header: {error}: repair the quotes") from error
    if not names:
        raise StageError(f"{shown(path)} is empty: provide a header and rows")
    if more:
        raise StageError(
            f"{shown(path)}, header: a quote is in a name that is not quoted, or the line ends in a"
            " carriage return alone: correct it"
        )
    for name in names:
        if not name.strip():
            raise StageError(
                f"{shown(path)}: a column has no name: name it, or leave out the index"
            )
        if names.count(name) > 1:
            raise StageError(f"{shown(path)}: two columns are called {name!r}: rename one")
        if NOT_TEXT.search(name):
            raise StageError(f"{shown(path)}: column {name!r} is not UTF-8: save it as UTF-8")
        if name.startswith("\ufeff"):  # at the start of what is written it would be lost
            raise StageError(
                f"{shown(path)}: column {name!r} begins with a byte order mark: remove it"
            )
    return names


def read_frames(
    path: Path, text: Collection[str], wanted: list[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Yield a table in blocks, of all columns or those wanted; those in `text` as they came."""
    names = read_header(path)
    # Each block has a header: for want of it pandas finds no column where all lines are empty, and
    # takes a byte order mark at the start of a text for that of a file.
    header = csv_line(names) + b"\n"
    for block, _ in read_blocks(path, len(names)):
        yield pd.read_csv(
            io.BytesIO(header + block),
            header=0,
            names=names,
            usecols=wanted,
            index_col=False,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values={name: MISSING for name in names if name not in text},
            skip_blank_lines=False,
            low_memory=False,
        )


def read_blocks(path: Path, width: int) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yield the rows below the header in blocks of whole rows, and where in the block each ends.

    Each row is sure to have `width` fields: pandas would fill up one that is cut short.
    """
    rows = 0
    try:
        with path.open("rb") as file:
            read_rows(file, 0)
            while block := read_rows(file, BLOCK):
                block = block.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n"
                block.decode()
                ends = row_ends(block, width, rows)
                yield block, ends
                rows += len(ends)
    except ValueError as error:
        raise StageError(find_fault([path], otherwise=f", {error}")) from error
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def read_rows(file: BinaryIO, size: int) -> bytes:
    """Return `size` bytes and what is left of the row; a line end in quotes does not end a row."""
    lines = [file.read(size) + file.readline()]
    if lines[0].count(b'"') % 2:
        for line in itertools.islice(file, 10_000):
            lines.append(line)
            if line.count(b'"') % 2:
                break
    return b"".join(lines)


def row_ends(block: bytes, width: int, above: int) -> np.ndarray:
    """Return the index of each row's line end; ValueError if not all rows have `width` fields.

    above: how many rows of the table are before these.
    """
    symbols = np.frombuffer(block, np.uint8)
    commas, ends, returns, quotes = (symbols == ord(symbol) for symbol in ',\n\r"')
    if quotes.any():
        inside = np.logical_xor.accumulate(quotes)
        edges = commas | ends | quotes
        opening, closing = (np.flatnonzero(quotes & side) for side in (inside, ~inside))
        commas, ends, returns = (found & ~inside for found in (commas, ends, returns))
        wrong = [opening[~edges[opening - 1]], closing[~edges[closing + 1]]]
        if inside[-1] or any(map(len, wrong)):
            first = min(np.concatenate([*wrong, opening[-1:]]))
            raise ValueError(
                f"row {above + ends[:first].sum() + 1}: a quote is open, not doubled, or in a field"
                " that is not quoted: correct it"
            )
    if returns.any():
        raise ValueError(
            f"row {above + ends[: returns.argmax()].sum() + 1}: the line ends in a carriage return"
            " alone: save it with line feeds"
        )
    where = np.flatnonzero(ends)
    counts = np.diff(np.searchsorted(np.flatnonzero(commas), where), prepend=0)
    if (counts != width - 1).any() or b"\0" in block:
        raise ValueError("a row is not whole: correct it")
    return where


def csv_line(fields: Sequence[str]) -> bytes:
    """Return a row of CSV without its line end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(fields)
    return text.getvalue().removesuffix("\r\n").encode()


def csv_lines(x: np.ndarray) -> list[bytes]:
    """Return rows of CSV for float64 (rows, columns): shortest exact numbers, NaN = empty."""
    # A JSON library is the fastest writer of floats that there is: 10 times pandas' speed.
    text = orjson.dumps(x, option=orjson.OPT_SERIALIZE_NUMPY)
    for found, wanted in ((b"null", b""), (b".0,", b","), (b".0]", b"]")):
        text = text.replace(found, wanted)
    return text[2:-2].split(b"],[")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, the same bytes for the same value."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
