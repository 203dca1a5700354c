"""Count what the rows are like, column by column."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from stageframe.values import to_number


class Counts(NamedTuple):
    """What there is in each column of some rows."""

    bins: list[np.ndarray]
    """How many values are in each bin, int (bins,)."""
    missing: np.ndarray
    """How many are missing, int (columns,)."""
    other: np.ndarray
    """How many are texts that are no category."""


class Profile:
    """What the rows are like, column by column: data of another day can be compared with it."""

    def __init__(
        self,
        columns: list[dict[str, Any]],
        texts: dict[str, Counter[str]],
        sample: dict[str, np.ndarray],
    ) -> None:
        """Choose the bins: of numbers by what `survey` returned; of categories, one for each."""
        self._columns = columns
        self._edges = []
        for column in columns:
            if column["kind"] == "categorical":
                self._edges.append(np.arange(1.0, len(column["categories"])))
            elif column["name"] in sample:
                values = sample[column["name"]]
                self._edges.append(decile_edges(*np.unique(values, return_counts=True)))
            else:  # numbers that pandas cannot hold, and were read as texts
                found = texts[column["name"]]
                numbers = [to_number(text) for text in found]
                values, which = np.unique(numbers, return_inverse=True)
                self._edges.append(decile_edges(values, np.bincount(which, [*found.values()])))
        self._counts = [np.zeros(len(edges) + 1, int) for edges in self._edges]
        self._missing = np.zeros(len(columns), int)
        self.other = np.zeros(len(columns), int)

    def count(self, x: np.ndarray, unknown: np.ndarray) -> Counts:
        """Return what `add` adds of rows as `encode` has them."""
        empty = np.isnan(x)
        counts = []
        for j, edges in enumerate(self._edges):
            bins = edges.searchsorted(x[~empty[:, j], j], side="right")
            counts.append(np.bincount(bins, minlength=len(edges) + 1))
        return Counts(counts, empty.sum(axis=0) - unknown, unknown)

    def add(self, found: Counts) -> None:
        """Add what was counted."""
        self._missing += found.missing
        self.other += found.other
        self._counts = [a + b for a, b in zip(self._counts, found.bins, strict=True)]

    def described(self) -> list[dict[str, Any]]:
        """Return the columns with their profiles, as preprocess.json has them."""
        described = []
        for j, column in enumerate(self._columns):
            counts, missing = self._counts[j].tolist(), int(self._missing[j])
            if column["kind"] == "numeric":
                profile = {"edges": self._edges[j].tolist(), "counts": counts, "missing": missing}
            else:
                counts = counts[: len(column["categories"])]  # of none there is a bin all the same
                profile = {"counts": counts, "other": int(self.other[j]), "missing": missing}
            described.append({**column, "profile": profile})
        return described


def decile_edges(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return what parts these values into tenths, float64 (edges,): 9 edges, rising, or fewer.

    values: float64 (values,), sorted; counts: how often each occurs; NaN are left out. A bin
    begins at its edge, which is one of the values. One that makes up more than a tenth has a bin
    of its own, so that a flag, or a column that is mostly 0, has its bins too. A single value has
    no edge.
    """
    values, counts = values[~np.isnan(values)], counts[~np.isnan(values)]
    if not len(values):
        return values
    total = np.cumsum(counts)
    deciles, times = np.unique(
        np.searchsorted(10 * total, total[-1] * np.arange(1, 10)), return_counts=True
    )
    after = deciles[(times > 1) | (deciles == 0)] + 1
    begins = np.union1d(deciles[deciles > 0], after[after < len(values)])
    edges: np.ndarray = values[begins] + 0.0  # no -0.0
    return edges
