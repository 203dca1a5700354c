"""What the values that a model does not know tell of a column of categories."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any
from unicodedata import combining, normalize

from stageframe import StageError

FEW, MANY = 10, 30  # values: they tell nothing of their column; they tell enough
KNOWN = 0.05  # share of a column's values that a model has to know at least
SHOWN = 3  # variants of a column

_DAY = re.compile(
    r"(\d{4}[./-]\d\d?[./-]\d\d?|\d\d?[./-]\d\d?[./-](\d\d){1,2})([ T,]+[\d:.]+\s*([AP]M)?)?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[\s_./-]+")


def check_known(
    column: Mapping[str, Any], days: int, known: int, unknown: int, unseen: Counter[str]
) -> list[str]:
    """Return warnings of a column; raise StageError (65) where nearly nothing is known any more.

    days: of training; known, unknown: how many values are a category, and none; unseen: some of
    the latter. Values that hardly ever come again, such as names of people, are new by nature; and
    one value in all rows may be that of the day, unless days had several then.
    """
    if not column.get("categories") or is_fickle(column) or all(map(is_time, unseen)):
        return []
    near = variants(unseen, column["categories"])
    pairs = " and ".join(f"{text[:50]!r} for {usual[:50]!r}" for text, usual in near.items())
    if unknown < FEW or known >= KNOWN * (known + unknown):
        spelled = f"column {column['name']!r} holds {pairs}, which to the model is another value"
        return [f"{spelled}: spell it as then"] if near else []
    sentence = (
        f"of {known + unknown} values of column {column['name']!r} the model knows {known}:"
        f" {pairs or _some(text for text, _ in unseen.most_common(2))} are not among those that it"
        f" has learned, such as {_some(column['categories'])}: spell them as then, or train on them"
    )
    several = len(column["categories"]) >= 2 * days and unknown >= MANY
    if near or len(unseen) > 1 or several:
        raise StageError(f"raw, data.csv: {sentence}")
    return [sentence] if max(len(column["categories"]), days) > 1 else []


def _some(texts: Iterable[str]) -> str:
    return " and ".join(repr(text[:50]) for text in islice(texts, 2))


def variants(unseen: Counter[str], categories: list[str]) -> dict[str, str]:
    """Return some of the unseen texts, each with the category that it seems to be.

    They differ in case, accents, or in blanks and dashes between words.
    """
    known = {bare(text): text for text in categories}
    pairs = ((text, known.get(bare(text), "")) for text, _ in unseen.most_common())
    return dict(islice((pair for pair in pairs if pair[1]), SHOWN))


def bare(text: str) -> str:
    """Return a text without case, accents, and what is between its words."""
    letters = normalize("NFKD", text.strip())
    return _BETWEEN.sub(" ", "".join(c for c in letters if not combining(c))).casefold()


def is_time(text: str) -> bool:
    """Return whether a text is a day or a time, as ISO 8601 has it, or nearly: new by nature."""
    with suppress(ValueError):
        datetime.fromisoformat(text.strip())
        return True
    return bool(_DAY.fullmatch(text.strip()))


def is_fickle(column: Mapping[str, Any]) -> bool:
    """Return whether the values of a column of categories hardly came twice at fit."""
    profile = column.get("profile", {})
    counts, other = profile.get("counts", []), profile.get("other", 0)
    return bool(counts) and (sum(counts) < 3 * len(counts) or other > sum(counts))
