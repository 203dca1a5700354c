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
# 1,234,567 and, as in India, 12,34,567. Without a zero in front: that is of a code or a telephone.
_GROUPED = r"[1-9]\d{0,2}(?:[ ,.'\u2019]\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}"
# What _ALIKE makes of any sign of a currency, also after letters (US$); and letters that are one.
_MONEY = r"[A-Za-z]{0,3}\$|(?:USD|EUR|GBP|JPY|CHF|INR|kr|z\u0142|Rs|K\u010d|Ft|Rp)\.?"
_FOREIGN = re.compile(
    rf"(?P<money>{_MONEY})?\s*[+-]?\s*(?P<money2>{_MONEY})?\s*(?P<percent>%)?\s*"
    rf"(?:(?:(?P<grouped>{_GROUPED})|\d+)(?:(?P<mark>[.,])(?:\d+|--?))?|(?P<mark2>[.,])\d+)"
    r"(?:[eE][+-]?\d+)?"
    rf"\s*(?:(?P<percent2>%)|(?P<money3>{_MONEY}))?\s*(?P<behind>-)?",
    re.ASCII,
)
_SIGNS = {
    "a percent sign": ("percent", "percent2"),
    "a currency": ("money", "money2", "money3"),
    "a minus sign behind": ("behind",),
}
_AROUND = (
    (re.compile(r"\((.+)\)"), "brackets"),
    (re.compile(r"['\u2018\u2019`](.+)"), "a leading apostrophe"),
    (re.compile(r'="?([^"]+)"?'), "an equals sign"),
    (re.compile(r'"(.+)"'), "quotes of their own"),
)
_NEVER = re.compile(r"\D*|.{60,}|.*[^\W\d_]{4}.*", re.DOTALL)  # of no number: for most texts, quick
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


class _Alike(dict[int, str]):
    """For str.translate: the ASCII symbol that means the same in a number as one that is not."""

    def __missing__(self, code: int) -> str:
        symbol = chr(code)
        kind = "" if symbol.isascii() else unicodedata.category(symbol)
        if kind == "Nd":
            symbol = str(unicodedata.decimal(symbol))
        self[code] = {"Sc": "$", "Zs": " "}.get(kind, symbol)
        return self[code]


_MINUS, _PERCENT = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "\u066a\u2030\ufe6a\uff05"
_ALIKE = _Alike(dict.fromkeys(map(ord, _MINUS), "-") | dict.fromkeys(map(ord, _PERCENT), "%"))


def foreign_number(text: str) -> str:
    """Return what makes a text a number of another dialect, such as "a decimal comma"; "" if none.

    1,5 and 1.234,50 and 1 234 and 12% and $5 and (5) are numbers for people; for float() they are
    not. Any sign of a currency is known by its category in Unicode (Sc).
    """
    if _NEVER.fullmatch(text) or math.isfinite(to_number(text)):
        return ""
    written = text if text.isascii() else text.translate(_ALIKE)
    if written is not text and math.isfinite(to_number(written)):
        return f"the symbol {next(symbol for symbol in text if not symbol.isascii())!r}"
    text = text.strip()
    for pattern, what in () if text[0].isalnum() else _AROUND:
        inside = pattern.fullmatch(text)
        if inside and (math.isfinite(to_number(inside[1])) or foreign_number(inside[1])):
            return what
    return _dialect_of(written.strip())


def _dialect_of(text: str) -> str:
    found = _FOREIGN.fullmatch(text)
    if not found:
        return ""
    for sign, names in _SIGNS.items():
        if any(found[name] for name in names):
            return sign
    if re.fullmatch(r"[^,.]*\d,\d{3}", text):
        return "a decimal comma or a thousands separator"
    if "," in (found["mark"], found["mark2"]):
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
