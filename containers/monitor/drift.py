"""How far a day's rows are from those that the model was trained on.

Evidently and NannyML measure this too, but bring scikit-learn, SciPy and Plotly along: several
hundred MB for the few lines of the population stability index.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stageframe.tables import read_texts, to_floats

SMOOTHING = 0.5  # rows added to every bin, so that an empty one does not make the index infinite
MAX_UNSEEN = 20  # categories that are listed
SAMPLE = 1000  # rows of a day that show whether a feature has one value a day
MAX_TEXTS = 10_000  # of a column, counted exactly: more would take memory without end
Z99 = 2.3263478740408408  # a normal variable is below it in 99 of 100 cases


class Feature(NamedTuple):
    """A feature, then and now. Shares are of the rows; bins as in `labels`, missing the last."""

    name: str
    kind: str
    psi: float
    chance: float  # the index that 99 of 100 days stay below if nothing but chance is at work
    missing: float
    missing_reference: float
    unseen: list[str]  # categories that training did not have, the most frequent first
    by_day: bool  # one value in all rows of a day: it goes with the calendar, and is not judged
    labels: list[str]
    reference: list[float]
    current: list[float]

    def drifted(self, limit: float) -> bool:
        """Whether the index is above the limit, and above what chance explains."""
        return not self.by_day and self.psi > max(limit, self.chance)


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the population stability index of two histograms, counts (bins,) of the same bins.

    Σ (q - p) ln(q / p) over the bins' shares p and q: Siddiqi, "Credit Risk Scorecards" (2006).
    The rule of thumb: up to 0.1 no change to speak of, above 0.2 (some say 0.25) a large one.
    SMOOTHING is added to each count; bins that both lack are left out.
    """
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


def compare(
    columns: Sequence[dict[str, Any]], table: Path, earlier: Iterable[Path]
) -> tuple[int, list[Feature]]:
    """Return the rows of a raw table, and its features against their profiles in preprocess.json.

    Each of `columns` has name, kind, profile and, if categorical, categories. The `earlier` tables
    tell which features have one value a day.
    """
    names = [column["name"] for column in columns]
    rows, counts = 0, [new_counts(column) for column in columns]
    unseen: list[Counter[str]] = [Counter() for _ in columns]
    codes = [{text: i for i, text in enumerate(c.get("categories", []))} for c in columns]
    for row, texts in read_texts(table, names):
        for column, count, new, code, values in zip(
            columns, counts, unseen, codes, texts, strict=True
        ):
            if column["kind"] == "numeric":
                x = to_floats(table, column["name"], row, values)
                gone = np.isnan(x)
                edges = column["profile"]["edges"]
                bins = np.searchsorted(edges, x[~gone], side="right")
                count[:-1] += np.bincount(bins, minlength=len(count) - 1)
                count[-1] += gone.sum()
                continue
            for text, n in Counter(values).items():
                count[code.get(text, -2) if text else -1] += n
                if text and text not in code and (text in new or len(new) < MAX_TEXTS):
                    new[text] += n
        rows = row + len(texts[0])
    single = set(names)
    for path in [table, *earlier]:
        single &= one_value(path, [name for name in names if name in single])
    return rows, [
        feature(column, count, new, by_day=column["name"] in single)
        for column, count, new in zip(columns, counts, unseen, strict=True)
    ]


def new_counts(column: dict[str, Any]) -> np.ndarray:
    """Return zeros, int (bins,): numeric bins, or categories and other; the last is missing."""
    profile = column["profile"]
    return np.zeros(len(profile["counts"]) + (1 if column["kind"] == "numeric" else 2), int)


def one_value(table: Path, names: Sequence[str]) -> set[str]:
    """Return the columns that have one value, and not a missing one, in the first SAMPLE rows."""
    if not names:
        return set()
    _, texts = next(iter(read_texts(table, names)))
    values = {name: set(column[:SAMPLE]) for name, column in zip(names, texts, strict=True)}
    return {name for name, found in values.items() if len(found) == 1 and found != {""}}


def feature(
    column: dict[str, Any], current: np.ndarray, unseen: Counter[str], *, by_day: bool
) -> Feature:
    """Return a feature from its profile and the day's counts."""
    profile, numeric = column["profile"], column["kind"] == "numeric"
    other = [] if numeric else [profile["other"]]
    reference = np.array([*profile["counts"], *other, profile["missing"]])
    labels = intervals(profile["edges"]) if numeric else [*column["categories"], "(other)"]
    n, m = max(1, reference.sum()), max(1, current.sum())
    ranked = sorted(unseen, key=lambda text: (-unseen[text], text))
    return Feature(
        name=column["name"],
        kind=column["kind"],
        psi=psi(reference, current),
        chance=chance(reference, current),
        missing=float(current[-1] / m),
        missing_reference=float(reference[-1] / n),
        unseen=ranked[:MAX_UNSEEN],
        # A value that is missing or that the model has never met is no matter of the calendar.
        by_day=by_day and not unseen and not current[-1],
        labels=[*labels, "(missing)"],
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
