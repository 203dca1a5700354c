"""Tell numbers with a unit, such as 12.5 kg, from codes and names that have a number in them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from csv_tables import OR_NAMES
from stageframe.csv_files import Fault
from stageframe.values import is_missing

# Of a column's texts so many have to be such numbers, and so many of these to have one unit.
NEARLY_ALL = 0.9
FIRST = 200  # texts tell whether it is worth looking at all
# So many different ones are no names any more: whole numbers, and those that have a fraction.
MANY, MANY_FRACTIONS = 20, 5
OFTEN = 5  # rows of each value: it is rather a name
FRACTIONS = 0.1  # share of the numbers that makes a column of fractions
UNITS = 6  # of one column, where it has fractions: 1.5 kB, 2 MB

_NUMBER = (
    r"[+\u2212-]?(?P<number>(?:[1-9]\d{0,2}(?:[ ,.'\u00a0\u202f\u2019]\d{3})+|\d+))"
    r"(?P<fraction>[.,]\d+)?(?:[eE][+-]?\d+)?"
)
# A unit is words of letters and signs, m2 and km/h among them; but neither 3rd nor 5 pm.
_BEHIND = re.compile(
    _NUMBER
    + r"\s?(?!(?:st|nd|rd|th|[ap]\.?m\.?)\b)(?P<unit>[^\W\d_]{1,12}[^\w\s,;:\-]?(?:[ /\u00b7*]?"
    r"[^\W\d_]{1,12})?(?:[23]|[\u00b2\u00b3]|\^[23])?|[\u00b0\u2032\u2033'\"][CFK]?)",
    re.IGNORECASE,
)
# Before a number a single letter, or more than three, are rather those of a code or a name.
_BEFORE = re.compile(r"(?P<unit>[^\W\d_]{2,3}\.?)\s?" + _NUMBER)
_CURRENCY = re.compile("[A-Z]{3}")
_FAMILIES = (
    frozenset(("ms", "s", "sec", "m", "min", "h", "hr", "hrs", "d", "w", "y", "days", "hours")),
    frozenset(("k", "K", "M", "m", "B", "b", "bn", "G", "T", "mn", "mio")),
)


class Numbers(NamedTuple):
    """Texts of a column that are numbers with a unit, or written in another way."""

    texts: list[str]
    """One of each."""
    certain: bool
    """Whether they are numbers without a doubt; else, they may well be names, such as sizes."""
    what: str = "with a unit"

    def fault(self, column: str) -> Fault:
        """Return a `fault` for find_fault: it tells of the first of them."""

        def fault(name: str, text: str) -> str | None:
            if name != column or text.strip() not in self.texts:
                return None
            beside = next(other for other in [*self.texts, text] if other != text.strip())
            return (
                f"column {name!r} holds {text[:50]!r} and {beside[:50]!r}, numbers {self.what}:"
                f" write them like 1234.5{OR_NAMES}"
            )

        return fault

    def warning(self, column: str) -> str:
        """Return the warning that they are taken for names."""
        texts = " and ".join(repr(text[:50]) for text in self.texts[:2])
        return (
            f"column {column!r} holds {texts}, names to a model: if they are numbers, write them"
            " like 1234.5; if not, name the column in fit's --categorical"
        )


def numbers_with_unit(texts: Mapping[str, int]) -> Numbers | None:
    """Return what a column of these texts, none of which is a number alone, holds of such numbers.

    texts: how often each occurs. Where the unit is behind the number, many different numbers are no
    names: more than 20 whole ones, or more than 5 with fractions, or any with fractions that hardly
    come again. Where letters are before the number, they are rather a code: only fractions tell for
    sure. Numbers with zeros in front, or of seven digits and more, are codes.
    """
    words = {text.strip(): n for text, n in texts.items() if not is_missing(text)}
    for pattern in (_BEHIND, _BEFORE):
        found = nearly_all(pattern, [*words])
        if found and not any(map(_is_code, found)):
            judge = _judge_behind if pattern is _BEHIND else _judge_before
            return judge(found, sum(words.values()))
    return None


def nearly_all(pattern: re.Pattern[str], texts: Sequence[str]) -> list[re.Match[str]]:
    """Return the matches of those texts that are of this pattern; none if not nearly all are."""
    for some in (texts[:FIRST], texts):
        found = [match for text in some if (match := pattern.fullmatch(text))]
        if len(found) < NEARLY_ALL * len(some):
            return []
    return found


def _is_code(match: re.Match[str]) -> bool:
    number = match["number"]
    whole = not match["fraction"]
    return whole and (
        (number[0] == "0" and len(number) > 1) or (len(number) > 6 and number.isdigit())
    )


def _judge_behind(found: list[re.Match[str]], rows: int) -> Numbers | None:
    """Return the numbers of matches, one of each text, with the unit behind; None for names."""
    values, fractions = _numbers_of(found)
    if not _have_one_unit(found, UNITS if fractions else 1):
        return None
    certain = values > (MANY_FRACTIONS if fractions else MANY)
    certain |= fractions and values > 1 and rows < OFTEN * values
    return Numbers([match[0] for match in found], certain) if certain or values > 2 else None


def _judge_before(found: list[re.Match[str]], rows: int) -> Numbers | None:
    """Likewise with letters before: those of a code have no blank behind them, or no fractions."""
    values, fractions = _numbers_of(found)
    spaced = all(match[0][len(match["unit"])].isspace() for match in found)
    many = values > MANY or (spaced and (values > MANY_FRACTIONS or rows < OFTEN * values))
    # Three capitals may be those of a currency (ISO 4217).
    currency = spaced and values > MANY and all(_CURRENCY.fullmatch(m["unit"]) for m in found)
    certain = fractions and many and values > 1
    if (certain or currency) and _have_one_unit(found, 1):
        return Numbers([match[0] for match in found], certain)
    return None


def _numbers_of(found: list[re.Match[str]]) -> tuple[int, bool]:
    """Return how many numbers there are, and whether many have fractions, or thousands."""
    values = len({match.group("number", "fraction") for match in found})
    broken = sum(bool(match["fraction"]) or not match["number"].isdigit() for match in found)
    return values, broken >= FRACTIONS * len(found)


def _have_one_unit(found: list[re.Match[str]], most: int) -> bool:
    """Return whether nearly all have the same unit, or units of one family, or `most` in all."""
    units = Counter(match["unit"] for match in found)
    _, n = units.most_common(1)[0]
    family = any(units.keys() <= family for family in _FAMILIES)
    return n >= NEARLY_ALL * len(found) or family or len(units) <= most
