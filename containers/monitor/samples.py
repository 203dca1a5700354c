"""Rows of raw tables that stand for a whole day, and earlier days as far as they can be read."""

from collections.abc import Callable, Sequence
from pathlib import Path

from days import reason
from stageframe import IN, StageError, find_days
from stageframe.tables import read_header, read_texts

FIRST = 1000  # rows that show whether a column has one value
SPREAD = 10_000  # rows that show where its values lie
Texts = dict[str, list[str]]  # of columns, by name


def first_rows(table: Path, names: Sequence[str]) -> Texts:
    """Return the texts of the first rows, FIRST at most, of those of the columns that there are."""
    header = read_header(table)
    there = [name for name in names if name in header]
    _, texts = next(read_texts(table, there), (0, [()] * len(there)))
    return {name: list(column[:FIRST]) for name, column in zip(there, texts, strict=True)}


def spread_rows(table: Path, names: Sequence[str]) -> Texts:
    """Return the texts of rows at equal distances, of those of the columns that there are.

    They are SPREAD or up to twice as many; of a smaller table all.
    """
    header = read_header(table)
    found: Texts = {name: [] for name in names if name in header}
    step = 1
    for row, texts in read_texts(table, [*found]):
        for name, column in zip(found, texts, strict=True):
            found[name] += column[-row % step :: step]
        while any(len(column) > 2 * SPREAD for column in found.values()):
            found = {name: column[::2] for name, column in found.items()}
            step *= 2
    return found


def one_value(texts: Texts) -> set[str]:
    """Return the columns that have one value, and not a missing one."""
    return {name for name, found in texts.items() if len(set(found)) == 1 and set(found) != {""}}


def read_before(
    days: Sequence[str], names: Sequence[str], read: Callable[[Path, Sequence[str]], Texts]
) -> tuple[dict[str, Texts], list[str]]:
    """Return columns of the raw tables of days of the past; and notes on those left out.

    Tables that cannot be read are left out. Days without data.csv are passed over.
    """
    found, notes = {}, []
    for day in days:
        table = IN / "raw" / day / "data.csv"
        try:
            if table.is_file():
                found[day] = read(table, names)
        except (StageError, OSError) as error:
            notes.append(f"The raw data of {day} is compared with nothing: {reason(error)}.")
    return found, notes


def came_later(found: dict[str, Texts], names: Sequence[str]) -> list[str]:
    """Return a note on the columns that raw tables of some days of the past do not have."""
    lacking = {day: [name for name in names if name not in texts] for day, texts in found.items()}
    days = ", ".join(day for day, absent in lacking.items() if absent)
    columns = ", ".join(repr(name) for name in names if any(name in a for a in lacking.values()))
    return [f"Raw data does not have {columns} on {days}: it came later."] if days else []


def raw_days_before(day: str) -> list[str]:
    """Return the days before that have raw data, the oldest first."""
    return [folder.name for folder in find_days("raw") if folder.name < day]
