"""What may be wrong with classes: spellings, days that lack some of them, too few rows."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

BY_CHANCE = 0.001  # so likely has it to be that as many days lack a class
SHOWN = 3  # of many days or classes


def class_warnings(daily: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return what may be wrong; daily: of each day, the oldest first, the rows of each class."""
    return [*spelled_twice(daily), *absent(daily), *too_few(daily)]


def totals(daily: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return the rows of each class, of all days."""
    found: dict[str, int] = defaultdict(int)
    for counts in daily.values():
        for label, rows in counts.items():
            found[label] += rows
    return dict(sorted(found.items()))


def spelled_twice(daily: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a warning of each class that differs from another in case or an end mark alone."""
    first = dict[str, str]()
    return [
        f"the classes {before!r} and {label!r} are two: spell them alike, if they are one"
        for label in totals(daily)
        if (before := first.setdefault(label.casefold().rstrip(" .,;:!"), label)) != label
    ]


def absent(daily: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a warning of classes that some days lack, more of them than chance explains.

    So it is where days spell their classes in different ways: 0 and 1, 1 and 2, yes and no.
    """
    rows = {day: sum(counts.values()) for day, counts in daily.items()}
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for label, n in totals(daily).items():
        days = tuple(day for day, counts in daily.items() if not counts.get(label))
        share = n / sum(rows.values())
        if days and _chance(len(days), sum((1 - share) ** m for m in rows.values())) < BY_CHANCE:
            lacking[days].append(label)
    return [
        f"there is no row of {_named(labels)} on {_listed(days)}, but on other days there is: spell"
        " classes alike on all days, if it is for that"
        for days, labels in lacking.items()
    ]


def _chance(found: int, expected: float) -> float:
    """Return how likely, at most, so many or more events are (Chernoff's bound for Poisson's)."""
    if found <= expected:
        return 1.0
    return math.exp(found - expected) * (expected / found) ** found


def too_few(daily: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a warning of classes that no model can both learn and be measured by."""
    found = []
    if single := [label for label, rows in totals(daily).items() if rows == 1]:
        have = "have one row each" if len(single) > 1 else "has one row"
        found.append(
            f"{_named(single)} {have}, to be learned from or validated with: provide more of them"
        )
    *earlier, newest = daily
    classes = {label for day in earlier for label, rows in daily[day].items() if rows}
    if len(classes) == 1:
        found.append(
            f"all days before {newest} have rows of {_named([*classes])} alone, and the newest day"
            " is to validate with: provide rows of another class on an earlier day"
        )
    return found


def _named(labels: Sequence[str]) -> str:
    return f"class{'es' if len(labels) > 1 else ''} {_listed([repr(label) for label in labels])}"


def _listed(texts: Sequence[str]) -> str:
    """Return some of the texts, in words."""
    if len(texts) > SHOWN + 1:
        return f"{', '.join(texts[:SHOWN])} and {len(texts) - SHOWN} more"
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
