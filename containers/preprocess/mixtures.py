"""Tell what is wrong with a column of texts where numbers are among them."""

import math
import re
from collections.abc import Mapping

from csv_tables import OR_NAMES, not_a_number
from stageframe.csv_files import Fault
from stageframe.values import foreign_number, to_number

_TELEPHONE = re.compile(r"\+?\d{3}(?:[ .]\d{3}){2,}")


def odd_texts(column: str, texts: Mapping[str, int]) -> Fault | None:
    """Return a `fault` for find_fault, of a column that ought to hold numbers, and does not.

    texts: how often each occurs. It ought to if any of them is a number, in whatever dialect:
    however few they are, a column of both would be taken for one of names.
    """
    value = {text: to_number(text) for text in texts}
    words = {text: n for text, n in texts.items() if math.isinf(value[text])}
    foreign = [text for text in words if foreign_number(text)]
    if _are_telephones(foreign):
        foreign = []
    numbers = {text: n for text, n in texts.items() if math.isfinite(value[text])}
    numbers |= {text: words.pop(text) for text in foreign}
    if words and numbers:
        return _mixture(column, words, numbers)
    return not_a_number({column: foreign}) if foreign else None


def _are_telephones(texts: list[str]) -> bool:
    """Return whether numbers with groups of three digits are so long, and all as long, as these."""
    return len({len(text) for text in texts}) == 1 and all(map(_TELEPHONE.fullmatch, texts))


def _mixture(column: str, words: Mapping[str, int], numbers: Mapping[str, int]) -> Fault:
    """Return a `fault` that tells of the rarer kind, with the most frequent text of the other."""
    of_words = sum(words.values()) <= sum(numbers.values())
    odd, usual = (words, numbers) if of_words else (numbers, words)
    typical = max(usual, key=lambda text: (usual[text], text))
    what = "not a finite number, beside numbers" if of_words else "a number, beside texts"

    def fault(name: str, text: str) -> str | None:
        if name != column or text.replace("\r\n", "\n") not in odd:
            return None
        return (
            f"column {name!r} holds {text[:50]!r}, {what} such as {typical[:50]!r}: correct it"
            f"{OR_NAMES}"
        )

    return fault
