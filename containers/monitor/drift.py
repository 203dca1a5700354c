"""How far a day's rows are from those that the model was trained on.

Evidently and NannyML measure this too, but bring scikit-learn, SciPy and Plotly along: several
hundred MB for the few lines of the population stability index.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stageframe.tables import read_texts, to_floats
from stageframe.values import is_missing, places, same

SMOOTHING = 0.5  # rows added to every bin, so that an empty one does not make the index infinite
UNKNOWN, MISSING = -2, -1  # places of the bins that are no number's and no category's
MAX_UNSEEN = 20  # values that are listed
MAX_TEXTS = 10_000  # of a column, counted exactly: more would take memory without end
Z99 = 2.3263478740408408  # a normal variable is below it in 99 of 100 cases


class Feature(NamedTuple):
    """A feature, then and now. Shares are of the rows; bins as in `labels`, missing the last.

    A value is unknown if training did not have it, or so rarely that it became no category.
    """

    name: str
    kind: str
    psi: float
    chance: float  # the index that 99 of 100 days stay below if nothing but chance is at work
    rows: int
    rows_reference: int
    missing: float
    missing_reference: float
    unknown: float
    unknown_reference: float
    unseen: list[str]  # values that training did not have, the most frequent first
    labels: list[str]
    reference: list[float]
    current: list[float]
    by_day: bool = False  # one value in all rows of a day: it goes with the calendar
    by_nature: bool = False  # an id or a clock: it lies outside its training range by nature
    ignored: bool = False  # somebody said so

    @property
    def judged(self) -> bool:
        """Whether it can have drifted."""
        return not (self.by_day or self.by_nature or self.ignored)

    def drifted(self, limit: float) -> bool:
        """Whether the index is above the limit, and above what chance explains."""
        return self.judged and self.psi > max(limit, self.chance)


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the population stability index of two histograms, counts (bins,) of the same bins.

    Σ (q - p) ln(q / p) over the bins' shares p and q: Siddiqi, "Credit Risk Scorecards" (2006).
    The rule of thumb: up to 0.1 no change to speak of, above 0.2 (some say 0.25) a large one.
    SMOOTHING is added to each count; bins that both lack are left out. It is 0 where either has no
    rows.
    """
    if not reference.sum() or not current.sum():
        return 0.0
    used = (reference > 0) | (current > 0)
    p, q = ((h[used] + SMOOTHING) / (h[used] + SMOOTHING).sum() for h in (reference, current))
    return float(((q - p) * np.log(q / p)).sum())


def chance(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the 99 % quantile of the index if both histograms are drawn from one distribution.

    Then it is about (1/n + 1/m) times a chi-squared variable with bins - 1 degrees of freedom, so
    that its mean is (bins - 1)(1/n + 1/m): Yurdakul and Naranjo, "Statistical properties of the
    population stability index" (Journal of Risk Model Validation 14, 2020). The quantile is that
    of Wilson and Hilferty (1931).
    """
    freedom = int(((reference > 0) | (current > 0)).sum()) - 1
    if freedom < 1 or not reference.sum() or not current.sum():
        return 0.0
    part = 2 / (9 * freedom)
    quantile = freedom * (1 - part + Z99 * math.sqrt(part)) ** 3
    return float(quantile * (1 / reference.sum() + 1 / current.sum()))


def compare(columns: Sequence[dict[str, Any]], table: Path) -> tuple[int, list[Feature]]:
    """Return the rows of a raw table, and its features against their profiles in preprocess.json.

    Each of `columns` has name, kind, profile and, if categorical, categories.
    """
    names = [column["name"] for column in columns]
    rows, counts = 0, [new_counts(column) for column in columns]
    unseen: list[Counter[str]] = [Counter() for _ in columns]
    codes = [Codes(column) for column in columns]
    for row, texts in read_texts(table, names):
        for column, count, new, code, values in zip(
            columns, counts, unseen, codes, texts, strict=True
        ):
            if column["kind"] == "numeric" and not is_empty(column):
                x = to_floats(table, column["name"], row, values)
                gone = np.isnan(x)
                edges = column["profile"]["edges"]
                bins = np.searchsorted(edges, x[~gone], side="right")
                count[:-2] += np.bincount(bins, minlength=len(count) - 2)
                count[-1] += gone.sum()
                continue
            for text, n in Counter(values).items():
                place = code.of(text)
                count[place] += n
                if place == UNKNOWN and (text in new or len(new) < MAX_TEXTS):
                    new[text] += n
        rows = row + len(texts[0])
    return rows, [
        feature(column, count, new)
        for column, count, new in zip(columns, counts, unseen, strict=True)
    ]


def is_empty(column: dict[str, Any]) -> bool:
    """Return whether a column of numbers had none in training: of any value nothing is known."""
    return column["kind"] == "numeric" and not any(column["profile"]["counts"])


class Codes:
    """Which bin a text is in: that of its category, however it is spelled; UNKNOWN or MISSING."""

    def __init__(self, column: dict[str, Any]) -> None:
        """`column`: categorical, or of numbers of which training had none."""
        texts = column.get("categories", [])
        self._missing = is_missing if column["kind"] == "numeric" else is_blank
        self._spelled = places(texts)
        self._found = {text: i for i, text in enumerate(texts)}

    def of(self, text: str) -> int:
        """Return the place of its bin."""
        if text in self._found:
            return self._found[text]
        code = MISSING if self._missing(text) else self._spelled.get(same(text), UNKNOWN)
        if len(self._found) < MAX_TEXTS:
            self._found[text] = code
        return code


def is_blank(text: str) -> bool:
    """Return whether a field of a column of texts is missing."""
    return not text.strip()


def new_counts(column: dict[str, Any]) -> np.ndarray:
    """Return zeros, int (bins,): of numbers or categories; the last two are unknown and missing."""
    return np.zeros(len(column["profile"]["counts"]) + 2, int)


def feature(column: dict[str, Any], current: np.ndarray, unseen: Counter[str]) -> Feature:
    """Return a feature from its profile and the day's counts."""
    profile = column["profile"]
    reference = np.array([*profile["counts"], profile.get("other", 0), profile["missing"]])
    numeric = column["kind"] == "numeric"
    labels = intervals(profile["edges"]) if numeric else column["categories"]
    n, m = max(1, reference.sum()), max(1, current.sum())
    ranked = sorted(unseen, key=lambda text: (-unseen[text], text))
    return Feature(
        name=column["name"],
        kind=column["kind"],
        psi=psi(reference, current),
        chance=chance(reference, current),
        rows=int(current.sum()),
        rows_reference=int(reference.sum()),
        missing=float(current[MISSING] / m),
        missing_reference=float(reference[MISSING] / n),
        unknown=float(current[UNKNOWN] / m),
        unknown_reference=float(reference[UNKNOWN] / n),
        unseen=ranked[:MAX_UNSEEN],
        labels=[*labels, "(other)", "(missing)"],
        reference=(reference / n).tolist(),
        current=(current / m).tolist(),
    )


def intervals(edges: Sequence[float]) -> list[str]:
    """Return names for the bins between these edges."""
    if not edges:
        return ["any number"]
    texts = [f"{edge:.4g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(texts)]
    return [f"below {texts[0]}", *between, f"{texts[-1]} and above"]
