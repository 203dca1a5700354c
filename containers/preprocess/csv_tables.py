"""Read and write CSV tables with pandas and orjson, a block of rows at a time."""

import csv
import io
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
import pandas as pd
from stageframe import INPUT_MISSING, StageError, find_days
from stageframe.csv_files import (
    LONE_RETURN,
    Fault,
    find_fault,
    no_number,
    read_header,
    read_rows,
)
from stageframe.values import GAPS, to_number

OR_NAMES = ", or name the column in fit's --categorical"  # of a number that is none
BLOCK = 2**22  # bytes of a table that are worked on at a time
# The usual spellings: pandas knows them at once. Of others, to_number says what they are.
MISSING = sorted({form for word in GAPS for form in (word, word.upper(), word.title())} | {"NaN"})


def raw_days() -> list[Path]:
    """Return the folders raw/<day>, in the order of time. Raises StageError (66) for none."""
    if not (days := find_days("raw")):
        raise StageError("raw has no folder of a day: generate one", INPUT_MISSING)
    return days


def not_a_number(odd: Mapping[str, Sequence[str]]) -> Fault:
    """Return a `fault` for find_fault: it tells of texts in columns that ought to hold numbers.

    odd: such texts of each of these columns, one of them or more.
    """

    def fault(name: str, text: str) -> str | None:
        if name not in odd or not math.isinf(to_number(text)):
            return None
        beside = next((other for other in odd[name] if other != text), "")
        return f"{no_number(name, text, beside)}{OR_NAMES}"

    return fault


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

    Each row is sure to have `width` fields: pandas would fill up one that is cut short. Blank lines
    at the very end are no rows.
    """
    rows = 0
    try:
        with path.open("rb") as file:
            stop = last_text(file)
            read_rows(file, 0)
            while (at := file.tell()) < stop:
                block = read_rows(file, min(BLOCK, stop - at))
                block = block.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n"
                block.decode()
                ends = row_ends(block, width, rows)
                yield block, ends
                rows += len(ends)
    except ValueError as error:
        raise StageError(find_fault([path], otherwise=f", {error}")) from error


def last_text(file: BinaryIO) -> int:
    """Return where the lines begin that are blank, and have none but such after them."""
    stop = file.seek(0, os.SEEK_END)
    while stop:
        start = max(0, stop - 2**16)
        file.seek(start)
        if text := file.read(stop - start).rstrip(b" \t\r\n"):
            stop = start + len(text)
            break
        stop = start
    file.seek(0)
    return stop


def has_rows(path: Path) -> bool:
    """Return whether a table has rows below its header, which is sure to be one."""
    read_header(path)
    with path.open("rb") as file:
        stop = last_text(file)
        read_rows(file, 0)
        return file.tell() < stop


def lines_of(block: bytes, ends: np.ndarray) -> Iterator[bytes]:
    """Yield each row of a block with its line end; ends: as `read_blocks` has them."""
    starts = [0, *(ends[:-1] + 1).tolist()]
    return (block[start : end + 1] for start, end in zip(starts, ends.tolist(), strict=True))


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
        raise ValueError(f"row {above + ends[: returns.argmax()].sum() + 1}: {LONE_RETURN}")
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
    lines = text[2:-2].split(b"],[")
    # An empty line at the very end would be no row.
    return lines if x.shape[1] > 1 else [line or b'""' for line in lines]
