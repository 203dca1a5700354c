"""The labels of a day: what came true, for those of its rows of which it is known."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from stageframe import StageError, shown
from stageframe.tables import read_header, read_texts
from stageframe.values import is_missing, places, same

MISSING, UNKNOWN = -1, -2  # beside the classes' indices
MAX_UNKNOWN = 1000  # labels of no class that are told apart


class Labels(NamedTuple):
    """What is said of the labels of a day."""

    rows: int  # of target.csv; the rows of the day after them have no label
    given: int  # rows that have a label, whether the model knows it or not
    strange: int  # rows that have one that is no class of the model
    unknown: Counter[str]  # labels of no class, and how many rows have them


def read_labels(path: Path, classes: list[str], rows: int) -> tuple[np.ndarray, Labels]:
    """Return target.csv for so many predicted rows, int (rows,), and what is to be said of it.

    It has indices of the classes, MISSING and UNKNOWN. Rows belong together in their order. A label
    may be spelled otherwise than its class: `same` says what is the same. Fewer labels than rows
    are those of the first rows. Raises StageError (65) for more.
    """
    if (names := read_header(path)) != ["target"]:
        raise StageError(f"{shown(path)} has columns {names}: it must have one, target")
    spelled = places(classes)
    code = {label: i for i, label in enumerate(classes)}
    unknown: Counter[str] = Counter()
    parts = [np.empty(0, int)]
    for _, (texts,) in read_texts(path, names):
        for text, n in Counter(texts).items():
            if text not in code:
                other = MISSING if is_missing(text) else UNKNOWN
                code[text] = spelled.get(same(text), other)
            if code[text] == UNKNOWN and (text in unknown or len(unknown) < MAX_UNKNOWN):
                unknown[text] += n
        parts.append(np.array([code[text] for text in texts], int))
    found = np.concatenate(parts)
    if (found[rows:] != MISSING).any():
        raise StageError(
            f"{shown(path)} has {len(found)} rows, predictions.csv of that day {rows}: give each"
            " prediction its target"
        )
    codes = np.full(rows, MISSING)
    codes[: len(found)] = found[:rows]
    given, strange = int((codes != MISSING).sum()), int((codes == UNKNOWN).sum())
    return codes, Labels(min(len(found), rows), given, strange, unknown)


def few_of(unknown: Counter[str]) -> str:
    """Return the most frequent of the labels that are no class, and how many rows have them."""
    ranked = sorted(unknown, key=lambda text: (-unknown[text], text))
    named = ", ".join(f"{text[:50]!r} ({unknown[text]})" for text in ranked[:3])
    return f"{named} and others" if len(ranked) > 3 else named
