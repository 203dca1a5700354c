"""The labels of a day: what came true, for those of its rows of which it is known."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from stageframe import StageError, shown
from stageframe.tables import read_header, read_texts
from stageframe.values import is_missing, places, same, to_number

MISSING, UNKNOWN = -1, -2  # beside the classes' indices
MAX_UNKNOWN = 1000  # labels of no class that are told apart


class Labels(NamedTuple):
    """What is said of the labels of a day."""

    rows: int  # of target.csv; the rows of the day after them have no label
    given: int  # rows that have a label, whether the model knows it or not
    strange: int  # rows that have one that is no class of the model, or no number
    unknown: Counter[str]  # such labels, and how many rows have them


def read_labels(path: Path, classes: list[str], rows: int) -> tuple[np.ndarray, Labels]:
    """Return target.csv for so many predicted rows, int (rows,), and what is to be said of it.

    It has indices of the classes, MISSING and UNKNOWN. Rows belong together in their order. A label
    may be spelled otherwise than its class: `same` says what is the same. Fewer labels than rows
    are those of the first rows. Raises StageError (65) for more.
    """
    require_target(path)
    spelled = places(classes)
    code = {label: i for i, label in enumerate(classes)}
    unknown: Counter[str] = Counter()
    parts = [np.empty(0, int)]
    for _, (texts,) in read_texts(path, ["target"]):
        for text, n in Counter(texts).items():
            if text not in code:
                other = MISSING if is_missing(text) else UNKNOWN
                code[text] = spelled.get(same(text), other)
            if code[text] == UNKNOWN and (text in unknown or len(unknown) < MAX_UNKNOWN):
                unknown[text] += n
        parts.append(np.array([code[text] for text in texts], int))
    found = np.concatenate(parts)
    check_rows(path, found != MISSING, rows)
    codes = np.full(rows, MISSING)
    codes[: len(found)] = found[:rows]
    given, strange = int((codes != MISSING).sum()), int((codes == UNKNOWN).sum())
    return codes, Labels(min(len(found), rows), given, strange, unknown)


def read_number_labels(path: Path, rows: int) -> tuple[np.ndarray, Labels]:
    """Return target.csv for so many predicted numbers, float64 (rows,), as `read_labels` does.

    NaN = no label; infinite is what is no number.
    """
    require_target(path)
    unknown: Counter[str] = Counter()
    parts = [np.empty(0)]
    for _, (texts,) in read_texts(path, ["target"]):
        parts.append(np.array([to_number(text) for text in texts], float))
        odd = [texts[i] for i in np.flatnonzero(np.isinf(parts[-1])).tolist()]
        for text, n in Counter(odd).items():
            if text in unknown or len(unknown) < MAX_UNKNOWN:
                unknown[text] += n
    found = np.concatenate(parts)
    check_rows(path, ~np.isnan(found), rows)
    numbers = np.full(rows, np.nan)
    numbers[: len(found)] = found[:rows]
    given, strange = int((~np.isnan(numbers)).sum()), int(np.isinf(numbers).sum())
    return numbers, Labels(min(len(found), rows), given, strange, unknown)


def require_target(path: Path) -> None:
    """Raise StageError (65) for a table that has other columns than target."""
    if (names := read_header(path)) != ["target"]:
        raise StageError(f"{shown(path)} has columns {names}: it must have one, target")


def check_rows(path: Path, given: np.ndarray, rows: int) -> None:
    """Raise StageError (65) where labels are given, bool (labels,), beyond so many rows."""
    if given[rows:].any():
        raise StageError(
            f"{shown(path)} has {len(given)} rows, predictions.csv of that day {rows}: give each"
            " prediction its target"
        )


def few_of(unknown: Counter[str]) -> str:
    """Return the most frequent of the labels that are unknown, and how many rows have them."""
    ranked = sorted(unknown, key=lambda text: (-unknown[text], text))
    named = ", ".join(f"{text[:50]!r} ({unknown[text]})" for text in ranked[:3])
    return f"{named} and others" if len(ranked) > 3 else named
