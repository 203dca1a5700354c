"""Digests of rows by which copies are known that are not exact; needs NumPy.

`ROUNDED`: the digest of a row with no more of each number than which of a few bins it is in. Of
rows that have it in common, the ones are the others rounded where so many digits or decimals less
make them equal.

`OTHER_KEY`: the digest of all of a row but its keys, which are columns of which no two rows of a
day have the same value. Rows that have it in common got other keys where the new ones have nothing
to do with the old: else they are what has changed since, such as what is on an account.

What is wanted for the latter is beside the digest. Neither is more than a first look: `rows.Known`
has what tells copies from rows that are equal for another reason.
"""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stageframe.roundings import ROUNDINGS, cuts_of
from stageframe.rows import (
    Beside,
    Digests,
    RowDigests,
    digest_of,
    kept,
    mixed,
    share_of,
    texts_at,
    texts_of,
)

EXACT, OTHER_KEY, ROUNDED = "exact", "other_key", "rounded"
NEAR_SKETCH = 2**12  # rows of which so much is kept, about
BITS, LEAST, MOST = 40, 3, 6  # that tell rows apart: of a row, and of each of its numbers
FEW_CUTS = 32
ENOUGH = 0.5  # of rows that are equal otherwise: they are so once they are rounded
BEYOND, APART = 0.8, 0.5  # share of keys that are on one side of the old ones; correlation


class Marks(NamedTuple):
    """By what rows are known again."""

    digests: Digests  # (rows,)
    beside: Beside | None = None  # (some rows, some), of those that are kept of this share
    share: float = 1.0

    def at(self, where: slice) -> "Marks":
        """Return the marks of some rows."""
        digests = self.digests[where]
        if self.beside is None:
            return Marks(digests)
        places = np.flatnonzero(kept(self.digests, self.share))
        first, end = np.searchsorted(places, [where.start, where.stop])
        return Marks(digests, self.beside[first:end], self.share)


class RowMarks:
    """Call it with rows, float64 (rows, columns), NaN = missing: their Marks of each kind."""

    def __init__(
        self, columns: Sequence[Mapping[str, Any]], near: Mapping[str, Any] | None
    ) -> None:
        """`columns` are as RowDigests wants them; `near` as `describe` has it, None: exact alone.

        Raises KeyError, TypeError or ValueError where `near` is not like that.
        """
        self._exact = RowDigests(columns)
        self._bins: list[_Bins] = []
        self._keys: list[int] = []
        self.share = 1.0
        if near is not None:
            self.share = float(near["share"])
            cuts = [near["cuts"].get(column["name"], []) for column in columns]
            self._bins = [*map(_bins_of, range(len(columns)), columns, cuts)]
            self._keys = [j for j, column in enumerate(columns) if column["name"] in near["keys"]]
        self._numbers = [one.column for one in self._bins if one.cuts is not None]
        self._key_digests = RowDigests([columns[j] for j in self._keys])
        self._number_digests = RowDigests([columns[j] for j in self._numbers])
        self.kinds = [EXACT]
        """What it makes."""
        if 0 < len(self._keys) < len(columns):
            self.kinds.append(OTHER_KEY)
        if self._numbers:
            self.kinds.append(ROUNDED)

    def __call__(self, x: NDArray[np.float64]) -> dict[str, Marks]:
        exact = self._exact(x)
        found = {EXACT: Marks(exact)}
        if OTHER_KEY in self.kinds:
            digests = exact - self._key_digests(x[:, self._keys])
            some = x[kept(digests, self.share)]
            where = sum((_places(some, self._bins[j]) for j in self._keys), np.zeros(len(some)))
            found[OTHER_KEY] = Marks(digests, where.astype(np.uint16)[:, None], self.share)
        if ROUNDED in self.kinds:
            digests = _binned(x, self._bins)
            some = x[kept(digests, self.share)][:, self._numbers]
            # At once: of a few rows at a time NumPy takes its time for each call.
            every = np.vstack([rounded(some) for rounded in ROUNDINGS])
            marks = self._number_digests(every).reshape(len(ROUNDINGS), -1).T >> np.uint64(48)
            found[ROUNDED] = Marks(digests, marks.astype(np.uint16), self.share)
        return found


class _Bins(NamedTuple):
    """What the values of a column are about."""

    column: int
    cuts: NDArray[np.float64] | None  # rising, the last is inf; None: values are codes
    digests: Digests  # of each bin, and last of a gap


def _bins_of(j: int, column: Mapping[str, Any], cuts: Sequence[float]) -> _Bins:
    texts, ends = texts_of(column), np.array([*cuts, math.inf])
    # NumPy has a gap come after inf.
    bins = np.arange(len(ends) + 1, dtype=np.uint64) if texts is None else texts
    digests = mixed(mixed(bins) + np.uint64(digest_of(column["name"])))
    return _Bins(j, ends if texts is None else None, digests)


def _binned(x: NDArray[np.float64], columns: Sequence[_Bins]) -> Digests:
    total = np.zeros(len(x), np.uint64)
    for j, cuts, digests in columns:
        if cuts is None:
            total += texts_at(x[:, j], digests)
        else:
            total += digests[_bins_in(cuts, x[:, j])]
    return total


def _bins_in(cuts: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[Any]:
    """Return what `cuts.searchsorted` does, several times faster if there are few."""
    if len(cuts) > FEW_CUTS:
        return cuts.searchsorted(values)
    values = np.ascontiguousarray(values)
    bins = np.zeros(len(values), np.uint8)
    for cut in cuts[:-1]:
        bins += values > cut
    bins[np.isnan(values)] = len(cuts)
    return bins


def _places(x: NDArray[np.float64], column: _Bins) -> NDArray[np.uint64]:
    """Return where the values of a column are, (rows,), less than 2^9: of texts, anywhere."""
    if column.cuts is None:
        return texts_at(x[:, column.column], column.digests) >> np.uint64(55)
    return column.cuts.searchsorted(x[:, column.column]).astype(np.uint64)


def joined(parts: Sequence[Mapping[str, Marks]]) -> dict[str, Marks]:
    """Return the marks of several blocks of rows, one or more, as those of one."""
    found = {}
    for kind in parts[0]:
        digests = np.concatenate([part[kind].digests for part in parts])
        beside = [one for part in parts if (one := part[kind].beside) is not None]
        rows = np.concatenate(beside) if beside else None
        found[kind] = Marks(digests, rows, parts[0][kind].share)
    return found


def describe(
    keys: Iterable[str], values: Mapping[str, NDArray[np.float64]], rows: int
) -> dict[str, Any]:
    """Return how near copies are looked for, for preprocess.json.

    keys: names of columns; values: some of each column of numbers, float64 (some,), NaN = missing;
    rows: how many there are.
    """
    bits = min(max(BITS // max(len(values), 1), LEAST), MOST)
    return {
        "share": share_of(rows, NEAR_SKETCH),
        "keys": sorted(keys),
        "cuts": {name: cuts_of(some, 2**bits) for name, some in values.items()},
    }


def are_near(kind: str, theirs: Beside, ours: Beside) -> bool:
    """Return whether rows that are equal but for what this kind leaves out are copies.

    theirs, ours: what is beside the known rows and the new ones, as RowMarks has it, (rows, some).
    """
    if theirs.shape != ours.shape:
        return False  # the known ones were rounded in other ways, by an earlier version
    if kind == OTHER_KEY:
        old, new = theirs[:, 0].astype(float), ours[:, 0].astype(float)
        if max((old < new).mean(), (old > new).mean()) >= BEYOND:
            return True
        spread = old.std() * new.std()
        return not spread or bool(((old - old.mean()) * (new - new.mean())).mean() < APART * spread)
    differ = ours[:, :1] != theirs[:, :1]
    rounded = (ours == ours[:, :1]) | (theirs == theirs[:, :1])
    return bool(((ours == theirs) & rounded & differ).mean(axis=0).max() >= ENOUGH)


def beside_of(texts: Mapping[str, str]) -> Beside:
    """Return what is beside the rows of `to_texts`. Raises KeyError or ValueError."""
    rows, beside = (base64.b64decode(texts[key], validate=True) for key in ("rows", "beside"))
    some = np.frombuffer(beside, "<u2").astype(np.uint16)
    width = len(some) * 8 // max(len(rows), 1)
    return some.reshape(len(rows) // 8, max(width, 1))
