"""Say what is wrong with the data: in which file and row, and what to do."""

import csv
import math
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")  # among numbers; among texts only ""
NOT_TEXT = re.compile("[\\0\\udc80-\\udcff]")  # what "surrogateescape" makes of other encodings
csv.field_size_limit(2**24)  # a text may be long; with an open quote, the rest is not read as one


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/").removeprefix(f"{OUT}/")


def find_fault(
    paths: list[Path],
    fault: Callable[[str, str], str | None] = lambda _name, _text: None,
    otherwise: str = ": it changed while it was read: run the stage again",
) -> str:
    """Return what is wrong with the first row that is wrong; `fault` tells of a column's text."""
    for path in paths:
        row = 0
        try:
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
                records = csv.reader(file, strict=True)
                names = next(records)
                for row, record in enumerate(records, 1):
                    where = f"{shown(path)}, row {row}"
                    fields = record or [""]
                    if len(fields) != len(names):
                        return f"{where} has {len(fields)} fields, not {len(names)}: complete it"
                    for name, text in zip(names, fields, strict=True):
                        if NOT_TEXT.search(text):
                            return f"{where}: column {name!r} is not UTF-8: save it as UTF-8"
                        if what := fault(name, text):
                            return f"{where}: {what}"
        except csv.Error as error:
            if "new-line" not in str(error):  # a carriage return, of which `otherwise` tells
                return f"{shown(path)}, row {row + 1}: {error}: repair the quotes"
    return f"{shown(paths[0])}{otherwise}"


def not_a_number(names: Collection[str]) -> Callable[[str, str], str | None]:
    """Return a `fault` that tells of texts in these columns that are no finite numbers."""

    def fault(name: str, text: str) -> str | None:
        if name not in names or not math.isinf(to_number(text)):
            return None
        return (
            f"column {name!r} holds {text[:50]!r}, not a finite number: correct it, or name the"
            " column in fit's --categorical"
        )

    return fault


def to_number(text: str) -> float:
    """Return a field's number: NaN if it is missing, infinite if it is no finite number."""
    if text in MISSING:
        return math.nan
    try:
        return float(text) if text.isascii() and "_" not in text else math.inf
    except ValueError:
        return math.inf
