"""Read and write CSV tables with pandas and orjson, a block of rows at a time."""

import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import orjson
import pandas as pd
from stageframe import INPUT_MISSING, StageError, find_days
from stageframe.csv_files import (
    LONE_RETURN,
    Fault,
    csv_line,
    find_fault,
    no_number,
    read_header,
)
from stageframe.parallel import Results
from stageframe.parts import read_parts, worked_parts
from stageframe.values import GAPS, to_number

OR_NAMES = ", or name the column in fit's --categorical"  # of a number that is none
R = TypeVar("R")
ROWS = 2**16  # that are written at a time: of a narrow table a block has millions
BLOCK = 2**21  # bytes of a table that are worked on at a time
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
    path: Path,
    work: Callable[[pd.DataFrame, int], R],
    text: Collection[str],
    wanted: list[str] | None = None,
) -> Results[R]:
    """Yield what `work` makes of each block of a table; it is told how many rows are before it.

    A block has all columns or those wanted; those in `text` are as they came. `work` may be done in
    another process, as that of `read_blocks`.
    """
    names = read_header(path)
    # Each block has a header: for want of it pandas finds no column where all lines are empty, and
    # takes a byte order mark at the start of a text for that of a file.
    header = f"{csv_line(names)}\n".encode()

    def parse(block: bytes, _: np.ndarray, before: int) -> R:
        frame = pd.read_csv(
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
        return work(frame, before)

    return read_blocks(path, parse)


def read_codes(path: Path, name: str) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Yield the texts of a column as they came, a block of rows at a time: codes, and what of.

    Codes are int (rows,), of texts in the order in which they come in the block.
    """

    def coded(frame: pd.DataFrame, _: int) -> tuple[np.ndarray, list[str]]:
        codes, texts = pd.factorize(frame[name])
        return codes, texts.tolist()

    return read_frames(path, coded, [name], [name])


def read_blocks(path: Path, work: Callable[[bytes, np.ndarray, int], R]) -> Results[R]:
    """Yield what `work` makes of the rows below the header, in blocks of whole rows.

    `work` gets the rows, where in them each ends, and how many are before them; where the table is
    large it works in another process (stageframe.parallel). Each row is sure to have as many fields
    as there are columns: pandas would fill up one that is cut short. Blank lines at the very end
    are no rows.
    """
    width = len(read_header(path))

    def checked(part: tuple[int, bytes]) -> R:
        before, rows = part
        block = rows.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n"
        try:
            block.decode()
            ends = row_ends(block, width, before)
        except ValueError as error:
            raise StageError(find_fault([path], otherwise=f", {error}")) from error
        return work(block, ends, before)

    return worked_parts(path, checked, BLOCK)


def has_rows(path: Path) -> bool:
    """Return whether a table has rows below its header, which is sure to be one."""
    read_header(path)
    return any(read_parts(path, 1))


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
    # The separators of all rows, if each has `width` fields, are a table, with the line ends last.
    separators = np.flatnonzero(commas | ends)
    if (
        len(separators) != width * len(where)
        or (separators[width - 1 :: width] != where).any()
        or b"\0" in block
    ):
        raise ValueError("a row is not whole: correct it")
    return where


def csv_rows(x: np.ndarray) -> Iterator[bytes]:
    """Yield float64 (rows, columns) as CSV, ROWS at a time: shortest exact numbers, NaN = empty."""
    return (_csv_rows(x[start : start + ROWS]) for start in range(0, len(x), ROWS))


def _csv_rows(x: np.ndarray) -> bytes:
    # A JSON library is the fastest writer of floats that there is: 10 times pandas' speed. Of
    # [[1.0,null],[2.5,3.0]] the rows are what is kept here.
    json = orjson.dumps(x, option=orjson.OPT_SERIALIZE_NUMPY)
    symbols = np.frombuffer(json, np.uint8)[2:].copy()
    keep = np.ones(len(symbols), bool)
    commas, ends = symbols == ord(","), symbols == ord("]")
    whole = (symbols[:-2] == ord(".")) & (symbols[1:-1] == ord("0")) & (commas | ends)[2:]
    for found, length in ((whole, 2), (symbols == ord("n"), 4)):
        where = np.flatnonzero(found)
        for i in range(length):
            keep[where + i] = False
    rows = np.flatnonzero(ends)[:-1]
    symbols[rows] = ord("\n")
    keep[rows[:-1] + 1] = keep[rows[:-1] + 2] = keep[-1] = False
    text = symbols[keep].tobytes()
    if x.shape[1] > 1:
        return text
    # An empty line at the very end would be no row.
    return b"\n".join([*(line or b'""' for line in text.split(b"\n")[:-1]), b""])
