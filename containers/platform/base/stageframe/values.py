"""What the text of a field means: missing, a number, a class. One rule for every stage."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

# A gap among numbers, in any case; among texts only a field of blanks is one.
GAPS = frozenset(
    ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "\\n", "?", "-", "--")
)
# NUL, and what errors="surrogateescape" makes of bytes that are not UTF-8.
NOT_TEXT = re.compile("[\\0\\udc80-\\udcff]")
# Beyond it a float cannot tell one whole number from the next.
EXACT = 2**53

_WHOLE = re.compile(r"\s*([+-]?)0*(\d+)(?:\.0*)?\s*", re.ASCII)
_GROUPED = r"\d{1,3}(?:[ \u00a0\u202f,.'\u2019]\d{3})+"
_MONEY = r"[$\u20ac\u00a3\u00a5\u20b9]|(?:USD|EUR|GBP|JPY|CHF|INR)"
_FOREIGN = re.compile(
    rf"(?P<money>{_MONEY})?\s*[+\u2212-]?\s*(?P<money2>{_MONEY})?\s*"
    rf"(?:(?P<grouped>{_GROUPED})|\d+)?(?:(?P<mark>[.,])\d+)?(?:[eE][+-]?\d+)?"
    rf"\s*(?:(?P<percent>[%\u2030])|(?P<money3>{_MONEY}))?",
    re.ASCII,
)
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)


def is_missing(text: str) -> bool:
    """Return whether a field of a column of numbers is a gap."""
    return not text or text.strip().lower() in GAPS


def to_number(text: str) -> float:
    """Return a field's number: NaN if it is missing, infinite if it is no finite number."""
    try:
        return float(text) if text.isascii() and "_" not in text else math.inf
    except ValueError:
        return math.nan if is_missing(text) else math.inf


def all_numbers(texts: Iterable[str]) -> bool:
    """Return whether all are finite numbers, or missing."""
    return not any(math.isinf(to_number(text)) for text in texts)


def foreign_number(text: str) -> str:
    """Return what makes a text a number of another dialect, such as "a decimal comma"; "" if none.

    1,5 and 1.234,50 and 1 234 and 12% and $5 are numbers for people; for float() they are not.
    """
    text = text.strip()
    found = _FOREIGN.fullmatch(text)
    if not found or not any(map(str.isdigit, text)) or math.isfinite(to_number(text)):
        return ""
    if found["percent"]:
        return "a percent sign"
    if found["money"] or found["money2"] or found["money3"]:
        return "a currency"
    if re.fullmatch(r"[^,.]*\d,\d{3}", text):
        return "a decimal comma or a thousands separator"
    if found["mark"] == ",":
        return "a decimal comma"
    return "a thousands separator" if found["grouped"] and not _ADDRESS.fullmatch(text) else ""


def plain(text: str) -> str:
    """Return a number as one writes it: 1 for 1.0, 01 and 1e0. Raises ValueError if it is none.

    Whole numbers are exact beyond 53 bits: 09007199254740993 is 9007199254740993.
    """
    if whole := _WHOLE.fullmatch(text):
        return str(int(whole[1] + whole[2]))  # int() takes 4300 digits
    value = to_number(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return repr(int(value) if value.is_integer() else value)


def same(text: str) -> str:
    """Return what all spellings of a class or a category have in common, for comparing them.

    Of a number its value: 1 = 1.0 = 01. Of true and false the word, in any case. Of another text
    the text: composed as Unicode has it (NFC), without the blanks around it.
    """
    try:
        return plain(text)
    except ValueError:
        text = unicodedata.normalize("NFC", text).strip()
        return text.lower() if text.lower() in ("true", "false") else text


def places(texts: Sequence[str]) -> dict[str, int]:
    """Return where each value is among texts, by `same`; of two that are the same, the first."""
    return {same(text): i for i, text in reversed([*enumerate(texts)])}
