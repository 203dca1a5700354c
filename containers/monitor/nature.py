"""Features that move on by nature: ids and clocks.

They lie outside their training range, which tells nothing of the data's health, and must not be
taken for drift. What changes for once, such as a temperature that rises by 30 degrees, is none of
them: it did not move on the days before.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
from drift import Feature
from stageframe.values import to_number

MANY = 3  # days before; of more than these, one may be odd
FEW = 5  # rows or less show no order
NEARLY = 0.95  # of the rows are nearly all
DAY = 86_400  # seconds
FORMS = ("", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")  # of days as texts


def moves_by_nature(
    feature: Feature,
    column: dict[str, Any],
    day: date,
    today: Sequence[str],
    before: Sequence[Sequence[str]],
) -> bool:
    """Return whether a feature is an id or a clock.

    column: that of preprocess.json; today, before: texts of the day, and of each of some days
    before it, as samples.py has them.
    """
    if feature.kind == "numeric":
        now = numbers(today)
        return is_time_of(now, day) or moves_on(feature, [*map(numbers, before), now])
    texts, known = [text for text in today if text.strip()], column["categories"]
    if len(known) > 2 * FEW and sum(column["profile"]["counts"]) <= 1.1 * len(known):
        return len(set(texts)) > 0.9 * len(texts)  # names of rows: nearly all differ, now as then
    pairs = [(times(known, form), times(texts, form)) for form in FORMS]
    return any(len(then) and len(now) and direction(then, now) for then, now in pairs)


def numbers(texts: Sequence[str]) -> np.ndarray:
    """Return those of the texts that are finite numbers, float64 (numbers,)."""
    x = np.array([to_number(text) for text in texts], float)
    found: np.ndarray = x[np.isfinite(x)]
    return found


def times(texts: Sequence[str], form: str) -> np.ndarray:
    """Return the seconds since 1970, float64 (texts,), of texts that all are times; else none.

    form: that of the day, in front of all else in a text; "" is ISO 8601, with the time.
    """
    try:
        found = [
            datetime.strptime(text.split()[0], form).replace(tzinfo=UTC)
            if form
            else datetime.fromisoformat(text.strip())
            for text in texts
        ]
    except ValueError:
        return np.empty(0)
    return np.array([one.replace(tzinfo=one.tzinfo or UTC).timestamp() for one in found])


def is_time_of(x: np.ndarray, day: date) -> bool:
    """Return whether nearly all numbers are times of that day, give or take two days.

    x: seconds since 1970 or their thousandths, millionths, billionths; or the digits of a day and
    a time, as in 20130131 and 20130131235959.
    """
    if not len(x):
        return False
    low, high = np.quantile(x, (1 - NEARLY, NEARLY))
    start = datetime.combine(day, time(), UTC).timestamp()
    if any(max(abs(low / unit - start), abs(high / unit - start)) < 3 * DAY
           for unit in (1, 1e3, 1e6, 1e9)):  # fmt: skip
        return True
    digits = int(f"{day:%Y%m%d}")
    return any(max(abs(low // unit - digits), abs(high // unit - digits)) < 3
               for unit in (1, 1e2, 1e4, 1e6, 1e9))  # fmt: skip


def direction(before: np.ndarray, after: np.ndarray) -> int:
    """Return 1 if nearly all of one day's numbers are above those of the day before, -1 below."""
    (low, high), (least, most) = (np.quantile(x, (1 - NEARLY, NEARLY)) for x in (before, after))
    return int(least > high) - int(most < low)


def moves_on(feature: Feature, samples: Sequence[np.ndarray]) -> bool:
    """Return whether a feature of numbers goes on in one direction, from day to day.

    samples: numbers of earlier days and, last, of the day. With one earlier day or none, the order
    within the days must tell, too.
    """
    *before, today = samples
    if not len(today):
        return False
    # A day that came twice says nothing.
    kept = [x for x, y in itertools.pairwise([*filter(len, before), today])
            if not np.array_equal(x, y)]  # fmt: skip
    if len(kept) > 1:
        ways = [kept]
        if len(kept) > MANY:  # a fault in one of them is no fault of today
            ways += [kept[:i] + kept[i + 1 :] for i in range(len(kept))]
        return any(goes_on([*way, today]) for way in ways)
    if kept:
        in_order = all(is_ordered(x, sparse=True) for x in (kept[0], today))
        return in_order and direction(kept[0], today) != 0
    beyond = max(feature.current[0], feature.current[-3]) > NEARLY
    return beyond and is_ordered(today, sparse=False)


def goes_on(days: Sequence[np.ndarray]) -> bool:
    """Return whether each day's numbers lie beyond those of the day before, on the same side."""
    pairs = [*itertools.pairwise(days)]
    lengths = [abs(float(np.median(after) - np.median(before))) for before, after in pairs]
    # A clock does not leap: that is another unit.
    leaps = lengths[-1] > 100 * max(lengths[:-1])
    return {direction(*pair) for pair in pairs} in ({1}, {-1}) and not leaps


def is_ordered(x: np.ndarray, *, sparse: bool) -> bool:
    """Return whether a day's numbers count something: they rise or fall, or none comes twice.

    The latter tells something only where there are so few whole numbers to choose from that chance
    would take some twice. Unless they may be `sparse`, all must be whole and differ in any case.
    """
    if len(x) <= FEW:
        return False
    steps, different = np.diff(x), len(np.unique(x)) / len(x)
    in_order = max((steps >= 0).mean(), (steps <= 0).mean()) > NEARLY
    if sparse and in_order:
        return different > 0.5
    dense = len(x) ** 2 > 10 * (x.max() - x.min() + 1)
    return bool(different == 1 and not (x % 1).any() and (in_order or dense))
