"""From which probability on a row is called to be of the second of two classes; needs NumPy."""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stageframe.command import Parameter
from stageframe.csv_files import read_header
from stageframe.errors import WRONG_USAGE, StageError
from stageframe.files import IN, shown
from stageframe.tables import read_table

VALIDATION = IN / "split" / "val.csv"
EVEN = 0.5  # the likelier class is the one that is predicted

Scorer = Callable[[NDArray[np.float64]], Any]
"""Return the probability of the second class, (rows,), of (rows, features), NaN = missing."""


def parse(text: str) -> float | str:
    """Be the kind: a number between 0 and 1, f1 or share."""
    if text in ("f1", "share"):
        return text
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return float(text)


parse.__name__ = "number, f1 or share"  # argparse says: invalid number, f1 or share value

THRESHOLD = Parameter(
    "threshold",
    parse,
    EVEN,
    "probability above which the second of two classes is predicted: a number, f1 (where that is"
    " best in validation), or share (as many are predicted there as training had)",
)


def require_two_classes(asked: float | str, classes: list[str]) -> None:
    """Raise StageError, before there is a model, if there is no such threshold to choose."""
    if asked != EVEN and len(classes) != 2:
        raise StageError(
            f"--threshold {asked} is for two classes, the target has {len(classes)}: leave it out",
            WRONG_USAGE,
        )
    if isinstance(asked, str):
        read_header(VALIDATION)  # 66 where it is not there


def choose_threshold(
    asked: float | str, names: list[str], classes: list[str], share: float, score: Scorer
) -> float:
    """Return the threshold that was asked for, of two classes; f1 and share go by split/val.csv.

    names: of the features; share: of the second class in training. Raises StageError (65) where
    val.csv has no row of the second class, of which f1 is told.
    """
    if not isinstance(asked, str):
        return asked
    # Here, and not in other processes: the trainers' threads do not go along into these.
    parts = [(score(x), y) for x, y in read_table(VALIDATION, names, classes)]
    scores, truth = (np.concatenate(part) for part in zip(*parts, strict=True))
    if asked == "share":
        return best_share(scores.astype(float), share)
    if not truth.any():
        raise StageError(
            f"{shown(VALIDATION)} has no row of class {classes[1]!r}, so --threshold f1 cannot be"
            " told: validate on more days, or give a number"
        )
    return best_f1(scores.astype(float), truth == 1)


def best_f1(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return the threshold of the highest F1; scores, and what came true, bool: (rows,)."""
    steps = levels(scores)
    called, hits = above(scores, steps), above(scores[truth], steps)
    return nearest(steps, 2 * hits / (called + truth.sum()))


def best_share(scores: NDArray[np.float64], share: float) -> float:
    """Return the threshold above which the share of the scores, (rows,), is nearest to `share`."""
    steps = levels(scores)
    return nearest(steps, -abs(above(scores, steps) - share * len(scores)))


def levels(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 0, the scores that differ, in order, and 1: a threshold is between two of these."""
    return np.unique(np.concatenate([[0.0], scores, [1.0]]))


def above(scores: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.int_]:
    """Return how many scores are above each step but the last, int (steps - 1,)."""
    return len(scores) - np.searchsorted(np.sort(scores), steps[:-1], side="right")


def nearest(steps: NDArray[np.float64], worth: NDArray[np.floating]) -> float:
    """Return the best threshold, that nearest to EVEN if there are several.

    worth: of a threshold between each step and the next, (steps - 1,).
    """
    best = np.flatnonzero(worth == worth.max())
    middles = (steps[best] + steps[best + 1]) / 2
    k = best[abs(middles - EVEN).argmin()]
    return between(float(steps[k]), float(steps[k + 1]))


def between(low: float, high: float) -> float:
    """Return the middle, with as few digits as tell it from both; or `low`: none is between."""
    middle = (low + high) / 2
    rounded = [*(round(middle, digits) for digits in range(2, 18)), middle]
    return next((value for value in rounded if low < value < high), low)
