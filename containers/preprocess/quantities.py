"""Tell quantities that are written in several parts, or with a sign: 5h 37m, 5'11", ~5, 1/2."""

import re
from collections.abc import Mapping

from stageframe.values import is_missing
from units import MANY, MANY_FRACTIONS, Numbers, nearly_all

FEW = 0.1  # of a column's texts have to be in several parts, where others need but one: 45m, 1h 5m
_NUMBER = r"\d+(?:[.,]\d+)?"
# Words of a code are any letters, so these are known ones.
_UNITS = "|".join(
    (
        "d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|w|weeks?|y|yrs?|years?|mo|months?",
        "ft|feet|foot|in|inch|inches|yd|lbs?|oz|st|kg|g|km|cm|mm|['\"\u2032\u2033\u00b0]",
    )
)
_SIGNS = r"[~\u2248<>\u2264\u2265\u00b1]|[<>]=|(?:ca|approx)\.?|circa|about"
_PARTS = re.compile(rf"(?:{_NUMBER}\s?(?:{_UNITS})[\s,]*){{1,4}}|\d+\s?['\u2032]\s?{_NUMBER}")
_SIGNED = re.compile(
    rf"(?:{_SIGNS})\s?{_NUMBER}(?:\s?(?:{_UNITS}))?|{_NUMBER}(?:\s?(?:{_UNITS}))?\s?\+"
)
_FRACTIONS = re.compile(r"(?:\d+\s)?\d+/\d+")


def written_quantities(texts: Mapping[str, int]) -> Numbers | None:
    """Return what a column of these texts, none of which is a number alone, holds of such numbers.

    texts: how often each occurs. Many different ones are no names; fractions may be days as well.
    """
    words = [text.strip() for text in texts if not is_missing(text)]
    for pattern, what in (
        (_PARTS, "in several units"),
        (_SIGNED, "with a sign of more, less or about"),
        (_FRACTIONS, "written as fractions"),
    ):
        found = [match[0] for match in nearly_all(pattern, words)]
        if not found:
            continue
        in_parts = sum(len(re.findall(_NUMBER, text)) > 1 for text in found)
        if pattern is _PARTS and in_parts < FEW * len(found):
            continue
        values = len(set(found))
        if pattern is _FRACTIONS:
            return Numbers(found, False, what) if values > MANY else None
        broken = any(re.search(r"\d[.,]\d", text) for text in found)
        certain = values > (MANY_FRACTIONS if broken else MANY)
        return Numbers(found, certain, what) if certain or values > 2 else None
    return None
