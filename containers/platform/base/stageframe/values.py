"""What the text of a field means: missing, a number, a class. One rule for every stage."""

import math
import re
from collections.abc import Collection, Iterable

# A gap among numbers; among texts only the empty field is one.
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")
# NUL, and what errors="surrogateescape" makes of bytes that are not UTF-8.
NOT_TEXT = re.compile("[\\0\\udc80-\\udcff]")


def to_number(text: str, missing: Collection[str] = MISSING) -> float:
    """Return a field's number: NaN if it is missing, infinite if it is no finite number."""
    if text in missing:
        return math.nan
    try:
        return float(text) if text.isascii() and "_" not in text else math.inf
    except ValueError:
        return math.inf


def all_numbers(texts: Iterable[str]) -> bool:
    """Return whether all are finite numbers, or missing."""
    return not any(math.isinf(to_number(text)) for text in texts)


def plain(text: str) -> str:
    """Return a number as one writes it: 1 for 1.0, 01 and 1e0. Raises ValueError if it is none.

    Whole numbers are exact beyond 53 bits: 09007199254740993 is 9007199254740993.
    """
    if whole := re.fullmatch(r"\s*([+-]?)0*(\d+)\s*", text, re.ASCII):
        return str(int(whole[1] + whole[2]))  # int() takes 4300 digits
    value = to_number(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return repr(int(value) if value.is_integer() else value)
