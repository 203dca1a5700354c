"""Tell of numbers that differ as texts, and are one as the floats that a model gets."""

import csv
import itertools
from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

from stageframe.csv_files import open_text, read_header
from stageframe.values import EXACT, is_missing, to_number

FIELDS = 2**15  # that are looked at as texts, of all tables together
DIGITS = 15  # that a float has at least
IF_NAMES = ": if they are but names, name the column in fit's --categorical"


def beyond(text: str) -> bool:
    """Return whether it is a whole number that a float cannot tell from the next one."""
    return text.strip().lstrip("+-").isdecimal() and abs(int(text)) >= EXACT


def inexact(name: str, value: int) -> str:
    """Return the warning of a column of numbers that holds such a one."""
    return (
        f"column {name!r} holds whole numbers such as {value}: beyond 2^53 a model cannot tell one"
        f" from the next{IF_NAMES}"
    )


def confused(tables: list[Path], names: Collection[str]) -> list[str]:
    """Return a warning of each of these columns of numbers of which different ones become the same.

    They do if they have more digits than a float; or, as codes, an e: 0e1 and 0e2. The first rows
    are looked at.
    """
    left, warnings = FIELDS, dict[str, str]()
    for table in tables if names else []:
        header = read_header(table)
        with open_text(table) as file:
            records = itertools.islice(csv.reader(file), 1, 1 + left // len(header))
            rows = [record for record in records if len(record) == len(header)]
        left -= len(rows) * len(header)
        for name, texts in zip(header, zip(*rows, strict=True), strict=False):
            if name in names and name not in warnings and (pair := one_float(texts)):
                first, second = map(repr, pair)
                warnings[name] = (
                    f"column {name!r} holds {first} and {second}, one number to a model{IF_NAMES}"
                )
    return [*warnings.values()]


def one_float(texts: Collection[str]) -> tuple[str, str] | None:
    """Return two of a column's numbers that differ but are the same float, if there are such."""
    found = defaultdict[float, dict[object, str]](dict)
    for text in map(str.strip, texts):
        code = "e" in text or "E" in text
        if not (code or len(text) > DIGITS) or is_missing(text):
            continue
        same = found[to_number(text)]
        same.setdefault(text.lstrip("+-").lower() if code else Decimal(text), text)
        if len(same) > 1:
            first, second, *_ = same.values()
            return first, second
    return None
