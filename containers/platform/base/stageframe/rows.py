"""Digests of rows: whether one has been learned from shows, whatever file it came in; needs NumPy.

The digest of a row is that of its features' names and values: neither the order of the columns nor
the spelling of a number or a category counts. Numbers are taken in single precision, so that a copy
that went through it is found too. A target is no part of it: `with_targets`. `near_rows` has
digests by which copies are known that are not exact.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stageframe.values import same

SKETCH = 2**15  # digests of a table that are kept, about: those of all rows, if they are fewer
NO_EVIDENCE = 2  # rows that are equal to others say nothing
FEW_ROWS, FEW_KINDS = 20, 5  # of them two days may be equal by chance
DIFFER = 0.2  # of the targets that tell something; where more differ, rows are no copies
_GAP = 0x9E3779B97F4A7C15
_ALL = 2.0**64

Digests = NDArray[np.uint64]
Beside = NDArray[np.uint16]  # (rows, some): what `near_rows` wants to know of a row


class RowDigests:
    """Call it with rows, float64 (rows, columns), NaN = missing: their digests, uint64 (rows,)."""

    def __init__(self, columns: Sequence[Mapping[str, Any]]) -> None:
        """`columns` of preprocess.json, by `name`, `kind` and `categories`, whose values are codes.

        What is the same for all blocks of a table, the digests of texts, is made here.
        """
        self._columns = [
            (np.uint64(digest_of(column["name"])), texts_of(column)) for column in columns
        ]

    def __call__(self, x: NDArray[np.float64]) -> Digests:
        total = np.zeros(len(x), np.uint64)
        for j, (name, texts) in enumerate(self._columns):
            values = _bits(x[:, j]) if texts is None else texts_at(x[:, j], texts)
            total += mixed(mixed(values) + name)
        return total


def texts_of(column: Mapping[str, Any]) -> Digests | None:
    """Return the digests of a column's categories and, last, of a gap; None of one of numbers."""
    if column["kind"] != "categorical":
        return None
    return np.array([*(digest_of(same(text)) for text in column["categories"]), _GAP], np.uint64)


def _bits(numbers: NDArray[np.float64]) -> Digests:
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32) + np.float32(0)  # no -0.0
    values = single.view(np.uint32).astype(np.uint64)
    values[np.isnan(single)] = _GAP
    return values


def texts_at(codes: NDArray[np.float64], texts: Digests) -> Digests:
    """Return the digest of each code's category, uint64 (rows,); texts: as `texts_of`."""
    gap = len(texts) - 1
    found: Digests = texts[np.clip(np.nan_to_num(codes, nan=gap).astype(np.int64), 0, gap)]
    return found


def with_targets(digests: Digests, targets: NDArray[Any], classes: Sequence[str] = ()) -> Digests:
    """Return the digests of rows and their targets, uint64 (rows,).

    targets: (rows,), codes of `classes`, int; without classes numbers, float64.
    """
    if not classes:
        return digests + mixed(mixed(_bits(targets)) + np.uint64(digest_of("=")))
    labels = np.array([digest_of(f"= {same(label)}") for label in classes], np.uint64)
    marks: Digests = mixed(labels)[targets]  # of each class once, not of each row
    return digests + marks


def digest_of(text: str) -> int:
    """Return the digest of a text, 64 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def mixed(values: Digests) -> Digests:
    """Return the values with their bits mixed: SplitMix64 (Steele et al., 2014), wrapping round."""
    values = values + np.uint64(_GAP)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Digests = values ^ (values >> np.uint64(31))
    return found


def share_of(rows: int, sketch: int = SKETCH) -> float:
    """Return which share of a table's digests is kept of so many rows."""
    return min(1.0, sketch / max(rows, 1))


def kept(digests: Digests, share: float) -> NDArray[np.bool_]:
    """Return which digests are kept, bool (rows,): equal ones all, or none of them."""
    within: NDArray[np.bool_] = digests.astype(float) < share * _ALL
    return within | (share >= 1)


def to_texts(
    digests: Digests, targets: NDArray[Any], beside: Beside | None = None
) -> dict[str, str]:
    """Return rows as preprocess.json has them, in base64, the least digest first.

    A digest has 8 bytes; a target, (rows,), has one if it is the code of a class, int; a number,
    float64, has 4, of single precision; what is `beside` 2 for each. The least byte is first.
    """
    order = np.lexsort((targets, digests))
    form = "<f4" if targets.dtype.kind == "f" else "u1"
    columns = {"rows": digests[order].astype("<u8"), "targets": targets[order].astype(form)}
    if beside is not None:
        columns["beside"] = beside[order].astype("<u2")
    return {name: base64.b64encode(x.tobytes()).decode() for name, x in columns.items()}


def from_texts(texts: Mapping[str, str], *, numbers: bool = False) -> tuple[Digests, NDArray[Any]]:
    """Return digests and targets of `to_texts`, int, or float64 if they are numbers.

    Raises ValueError for other texts.
    """
    rows, targets = (base64.b64decode(texts[name], validate=True) for name in ("rows", "targets"))
    digests = np.frombuffer(rows, "<u8").astype(np.uint64)
    found = np.frombuffer(targets, "<f4" if numbers else "u1").astype(float if numbers else int)
    if len(digests) != len(found):
        raise ValueError("as many targets as rows are wanted")
    return digests, found


class Group(NamedTuple):
    """Rows that a model has learned from, such as those of a day."""

    digests: Digests
    """Those that are kept."""
    labelled: Digests
    """The same `with_targets`."""
    rows: int
    """How many there are in all."""
    beside: Beside | None = None
    """What is known of them, for `are_near`, as far as they are kept of `Known.looked_at`."""


@dataclass(frozen=True)
class Known:
    """Rows that a model has learned from, in groups, by name."""

    groups: Mapping[str, Group]
    share: float
    """Which share of the digests is kept."""
    are_near: Callable[[Beside, Beside], bool] | None = None
    """Where rows of equal digests may differ: whether known ones and a day's, which have this
    beside them, are one another's copies. None: rows of equal digests are equal."""
    looked_at: float = 1.0
    """Of which share of the digests there is something beside them."""

    def copies(
        self,
        digests: Digests,
        labelled: Digests,
        targets: NDArray[Any],
        beside: Beside | None = None,
        among: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Return which of a day's rows, as far as they are kept, are known ones, bool (rows,).

        labelled: the digests `with_targets`; targets: (rows,), as there; beside: of those rows that
        are kept of `looked_at`; among: those that may be copies, bool (rows,). None are, where rows
        are equal for another reason: by chance, as rows of a few categories are now and then (how
        often two rows of one day are equal tells how many that would be at most); or because the
        same things come every day, as in a timetable: then their targets differ.
        """
        looked_at = kept(digests, self.share)
        if among is not None:
            looked_at &= among
        values, counts = np.unique(targets, return_counts=True)
        usual = values[counts.argmax()]
        few = FEW_ROWS if self.are_near else NO_EVIDENCE
        alike: float | None = None
        found = np.zeros(len(digests), bool)
        for group in self.groups.values():
            if not self.are_near and _are_all(group, labelled[looked_at], len(digests)):
                return looked_at
            equal = looked_at & are_among(digests, group.digests)
            if equal.sum() <= few:
                continue
            if alike is None:
                alike = self._alike(digests)
            agree = equal & are_among(labelled, group.labelled)
            by_chance = looked_at.sum() * -math.expm1(-alike * group.rows)
            differ, telling = (equal & ~agree).sum(), (equal & ((targets != usual) | ~agree)).sum()
            if (
                equal.sum() > by_chance + 3 * math.sqrt(by_chance) + few
                and telling
                and differ <= DIFFER * telling
                and self._say_so(group, digests, labelled, agree, beside)
            ):
                found |= agree
        return found

    def _alike(self, digests: Digests) -> float:
        """Return how likely two rows of one day are equal, of this one or of those known."""
        known = (_alike(group.digests, group.rows, self.share) for group in self.groups.values())
        return max(_alike(digests, len(digests), 1.0), *known)

    def _say_so(
        self,
        group: Group,
        digests: Digests,
        labelled: Digests,
        agree: NDArray[np.bool_],
        beside: Beside | None,
    ) -> bool:
        """Return whether rows that agree with known ones are copies by what is beside them."""
        if self.are_near is None or beside is None or group.beside is None:
            return self.are_near is None
        theirs = group.labelled[kept(group.digests, self.looked_at)]
        looked_at = kept(digests, self.looked_at)
        asked = agree[looked_at]
        order = np.argsort(theirs)
        at = order[np.searchsorted(theirs, labelled[looked_at][asked], sorter=order)]
        return bool(asked.any()) and self.are_near(group.beside[at], beside[asked])

    def nearest(self, labelled: Digests) -> str:
        """Return the name of the group that has the most of these rows."""
        shared = {
            name: are_among(labelled, group.labelled).sum() for name, group in self.groups.items()
        }
        return max(shared, key=lambda name: int(shared[name]))


def are_among(digests: Digests, known: Digests) -> NDArray[np.bool_]:
    """Return which digests are among known ones, bool (rows,); sooner than np.isin."""
    if not len(known):
        return np.zeros(len(digests), bool)
    known = np.sort(known)
    found: NDArray[np.bool_] = (
        known[np.searchsorted(known, digests).clip(max=len(known) - 1)] == digests
    )
    return found


def _are_all(group: Group, labelled: Digests, rows: int) -> bool:
    """Return whether so many rows, some of them kept, are those of a group, and not by chance."""
    return (
        rows == group.rows
        and len(group.digests) >= FEW_ROWS
        and len(np.unique(group.digests)) >= FEW_KINDS
        and np.array_equal(np.sort(labelled), np.sort(group.labelled))
    )


def _alike(digests: Digests, rows: int, share: float) -> float:
    """Return how likely two of so many rows are equal, of which this share of digests is kept."""
    counts = np.unique(digests, return_counts=True)[1].astype(float)
    pairs = float((counts * (counts - 1)).sum()) / share
    return pairs / (rows * (rows - 1)) if rows > 1 else 0.0
