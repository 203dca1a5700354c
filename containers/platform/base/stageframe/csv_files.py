"""CSV tables (docs/contract.md) with the standard library alone: reading, writing, finding faults.

Rows are counted from 1 below the header. Lines end in LF or CRLF; quotes may be around any field,
and a line end inside them does not end a row.
"""

import csv
import io
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from unicodedata import normalize

from stageframe.dialects import LINES, separator, what_it_is
from stageframe.errors import StageError
from stageframe.files import shown
from stageframe.parts import read_rows
from stageframe.values import NOT_TEXT, foreign_number

FIELDS = 2**18  # of a table, read at a time
SAVE = "save it as CSV with commas, in UTF-8, or have the image ingest read it"
LONE_RETURN = "the line ends in a carriage return alone: save it with line feeds"
csv.field_size_limit(2**24)  # a text may be long; with an open quote, the rest is not read as one

Fault = Callable[[str, str], str | None]


def read_header(path: Path) -> list[str]:
    """Return the names of a table's columns; each is some text, and there is no other of its name.

    A name is as Unicode composes it (NFC): keyboards and file systems differ in that. Raises
    StageError (65) if they are not like that.
    """
    with path.open("rb") as file:
        if odd := what_it_is(file.read(1024)):
            raise StageError(f"{shown(path)} is {odd}, not CSV: {SAVE}")
        file.seek(0)
        text = read_rows(file, 0).decode("utf-8-sig", "surrogateescape")
        # Of several columns the first row tells; that many of a wide table would take time.
        if mark := separator(text, _next_rows(file, 1 if "," in text else LINES)):
            raise StageError(
                f"{shown(path)} is separated by {mark}, not commas: {SAVE}; or quote the name, if"
                " it is that of one column"
            )
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
    names = [normalize("NFC", name) for name in names]
    for name in names:
        if what := _fault_of_name(name, names):
            raise StageError(f"{shown(path)}: {what}")
    return names


def _next_rows(file: BinaryIO, number: int) -> list[str]:
    """Return the next rows of a file, as many as there are of that number."""
    rows = (read_rows(file, 0) for _ in range(number))
    return [row.decode("utf-8", "surrogateescape") for row in rows if row]


def _fault_of_name(name: str, names: list[str]) -> str | None:
    """Return what is wrong with a column's name."""
    if not name.strip():
        return "a column has no name: name it, or leave out the index"
    if names.count(name) > 1:
        return f"two columns are called {name!r}: rename one"
    if NOT_TEXT.search(name):
        return f"column {name!r} is not UTF-8: save it as UTF-8"
    if name.startswith("\ufeff"):  # at the start of what is written it would be lost
        return f"column {name!r} begins with a byte order mark: remove it"
    return None


def check_columns(path: Path, header: Collection[str], wanted: Iterable[str]) -> None:
    """Raise StageError (65) if the table's header lacks a column of the model."""
    if missing := [name for name in wanted if normalize("NFC", name) not in header]:
        raise StageError(f"{shown(path)}: column {missing[0]!r} of the model is missing: add it")


def open_text(path: Path, errors: str = "strict") -> TextIO:
    """Open a table as text; only a line feed ends a line, and line ends stay as they are."""
    return path.open(encoding="utf-8-sig", errors=errors, newline="\n")


def without_blank_end(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines but for those at the very end that are blank: they are no rows."""
    held: list[str] = []
    for line in lines:
        if line.isspace():
            held.append(line)
            continue
        if held:
            yield from held
            held.clear()
        yield line


def read_texts(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """Yield a table in blocks: how many rows are before it, and the texts of each wanted column.

    A table without rows has no block. Raises StageError (65) for a table without these columns,
    and for a row that is wrong.
    """
    names = read_header(path)
    check_columns(path, names, wanted)
    where = [names.index(normalize("NFC", name)) for name in wanted]
    rows = 0
    try:
        with open_text(path) as file:
            reader = csv.reader(without_blank_end(file), strict=True)
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
        raise StageError(find_fault([path])) from error


def require_rows(path: Path, rows: int) -> None:
    """Raise StageError (65) if a table has no rows."""
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def find_fault(
    paths: Iterable[Path],
    fault: Fault = lambda _name, _text: None,
    otherwise: str = ": it changed while it was read: run the stage again",
) -> str:
    """Return what is wrong with the first row that is wrong, in the first table that has one.

    `fault` tells of a column's text what is wrong with it; `otherwise` follows the table's name
    where no row is wrong.
    """
    name = ""
    for path in paths:
        name = name or shown(path)
        if what := _fault_of_table(path, fault):
            return what
    return name + otherwise


def _fault_of_table(path: Path, fault: Fault) -> str | None:
    row = 0
    with open_text(path, "surrogateescape") as file:
        records = csv.reader(without_blank_end(file), strict=True)
        try:
            names = [normalize("NFC", name) for name in next(records, [])]
            for row, record in enumerate(records, 1):
                if what := _fault_of_row(names, record or [""], fault):
                    return f"{shown(path)}, row {row}{what}"
        except csv.Error as error:
            what = f"{error}: repair the quotes"
            if "new-line" in str(error):  # what csv advises is for programmers
                what = LONE_RETURN
            return f"{shown(path)}, row {row + 1}: {what}"
    return None


def _fault_of_row(names: list[str], fields: list[str], fault: Fault) -> str | None:
    if len(names) > 1 and len(fields) == 1 and not fields[0].strip():
        return " is a blank line: remove it"
    if len(fields) > len(names):
        return (
            f" has {len(fields)} fields, not {len(names)}: quote texts that have commas, and write"
            " numbers like 1234.5"
        )
    if len(fields) < len(names):
        return f" has {len(fields)} fields, not {len(names)}: complete it"
    for name, text in zip(names, fields, strict=True):
        if NOT_TEXT.search(text):
            return f": column {name!r} is not UTF-8: save it as UTF-8"
        if what := fault(name, text):
            return f": {what}"
    return None


def no_number(name: str, text: str, beside: str = "") -> str:
    """Return the sentence on a text in a column of numbers; `beside`: one more such text."""
    texts = f"{text[:50]!r} and {beside[:50]!r}" if beside else f"{text[:50]!r}"
    if what := foreign_number(text):
        return f"column {name!r} holds {texts}, numbers with {what}: write them like 1234.5"
    return f"column {name!r} holds {texts}, not a finite number: correct it"


def csv_line(fields: Sequence[str]) -> str:
    """Return a row of CSV without its line end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(fields)
    return text.getvalue().removesuffix("\r\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; a float is written as the shortest text that reads back as the same."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
