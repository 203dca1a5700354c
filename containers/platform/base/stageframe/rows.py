"""Digests of rows: whether one has been learned from shows, whatever file it came in; needs NumPy.

The digest of a row is that of its features' names and values: neither the order of the columns nor
the spelling of a number or a category counts. Numbers are taken in single precision, so that a copy
that has been written with fewer digits is found too. A target is no part of it.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stageframe.values import same

SKETCH = 2**15  # digests of a table that are kept, about: those of all rows, if they are fewer
NO_EVIDENCE = 2  # rows that are equal to others say nothing
FEW_ROWS, FEW_KINDS = 20, 5  # of them two days may be equal by chance
_GAP = 0x9E3779B97F4A7C15
_ALL = 2.0**64

Digests = NDArray[np.uint64]


def row_digests(x: NDArray[np.float64], columns: Sequence[Mapping[str, Any]]) -> Digests:
    """Return the digest of each row, uint64 (rows,).

    x: float64 (rows, columns), NaN = missing; columns: of preprocess.json, by `name`, `kind` and
    `categories`, whose values are codes.
    """
    total = np.zeros(len(x), np.uint64)
    for j, column in enumerate(columns):
        if column["kind"] == "categorical":
            texts = [_digest(same(text)) for text in column["categories"]]
            codes = np.nan_to_num(x[:, j], nan=len(texts)).astype(np.int64)
            values = np.array([*texts, _GAP], np.uint64)[np.clip(codes, 0, len(texts))]
        else:
            with np.errstate(over="ignore"):
                single = x[:, j].astype(np.float32) + np.float32(0)  # no -0.0
            values = single.view(np.uint32).astype(np.uint64)
            values[np.isnan(single)] = _GAP
        total += _mixed(_mixed(values) + np.uint64(_digest(column["name"])))
    return total


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _mixed(values: Digests) -> Digests:
    """Return the values with their bits mixed: SplitMix64 (Steele et al., 2014), wrapping round."""
    values = values + np.uint64(_GAP)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Digests = values ^ (values >> np.uint64(31))
    return mixed


def share_of(rows: int) -> float:
    """Return which share of a table's digests is kept of so many rows."""
    return min(1.0, SKETCH / max(rows, 1))


def kept(digests: Digests, share: float) -> NDArray[np.bool_]:
    """Return which digests are kept, bool (rows,): equal ones all, or none of them."""
    within: NDArray[np.bool_] = digests.astype(float) < share * _ALL
    return within | (share >= 1)


def to_text(digests: Digests) -> str:
    """Return digests as preprocess.json has them: sorted, 8 bytes each, the least first, base64."""
    return base64.b64encode(np.sort(digests).astype("<u8").tobytes()).decode()


def from_text(text: str) -> Digests:
    """Return the digests of `to_text`. Raises ValueError for another text."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<u8").astype(np.uint64)


@dataclass(frozen=True)
class Known:
    """Rows that a model has learned from: groups of them, such as days, by name."""

    groups: Mapping[str, Digests]
    """Those digests of each that are kept."""
    rows: Mapping[str, int]
    """How many rows each has in all."""
    share: float
    """Which share of the digests is kept."""

    def copies(self, digests: Digests) -> NDArray[np.bool_]:
        """Return which of the kept digests of a day's rows are those of known rows, bool (rows,).

        None are, where chance explains them: rows of a few categories are equal to others now and
        then. How often two rows of one day are equal tells how many that would be at most.
        """
        looked_at = kept(digests, self.share)
        if any(self._is(name, digests, digests[looked_at]) for name in self.groups):
            return looked_at
        found = np.isin(digests, np.concatenate([*self.groups.values(), np.zeros(0, np.uint64)]))
        found &= looked_at
        alike = max(
            [_alike(digests, len(digests), 1.0)]
            + [_alike(group, self.rows[name], self.share) for name, group in self.groups.items()]
        )
        by_chance = looked_at.sum() * -math.expm1(-alike * sum(self.rows.values()))
        if found.sum() <= by_chance + 3 * math.sqrt(by_chance) + NO_EVIDENCE:
            found[:] = False
        return found

    def _is(self, name: str, digests: Digests, some: Digests) -> bool:
        """Return whether rows, `some` of them kept, are those of a group, and not by chance."""
        group = self.groups[name]
        return (
            len(digests) == self.rows[name]
            and len(group) >= FEW_ROWS
            and len(np.unique(group)) >= FEW_KINDS
            and np.array_equal(np.sort(some), np.sort(group))
        )

    def nearest(self, digests: Digests) -> str:
        """Return the name of the group that has the most of these digests."""
        return max(self.groups, key=lambda name: int(np.isin(digests, self.groups[name]).sum()))


def _alike(digests: Digests, rows: int, share: float) -> float:
    """Return how likely two of so many rows are equal, of which this share of digests is kept."""
    counts = np.unique(digests, return_counts=True)[1].astype(float)
    pairs = float((counts * (counts - 1)).sum()) / share
    return pairs / (rows * (rows - 1)) if rows > 1 else 0.0
