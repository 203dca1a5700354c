"""Gaps where training rows have none: a model has no direction for what it never met; needs NumPy.

A value that was always there may be missing tomorrow, and so may every category be an unknown one.
Where no row had a gap, trees send it wherever the library happens to: LightGBM takes it for 0.
So the trainers learn, beside the rows, from copies of some of them in which a column is empty. The
copies of a column are as many of each class, weighted to the class's share, or evenly from the
least target to the largest: boosting sends them to where their mean score is the base rate, or the
mean, given the other columns.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WEIGHT = 0.5  # of a copy of the most frequent class; a row has 1
ENOUGH = 50  # gaps in the rows themselves, or one in 5000 rows: of fewer, libraries may see none
LEAST, SHARE, MOST = 96, 0.1, 2000  # copies of a column: by number, by rows, and no more than
TOTAL, SMALL = 0.1, 1000  # copies in all, by rows; of up to so many rows as many as there are rows
GROUPS = 4  # fewest, where a copy has a gap in each column of a group


class Copies(NamedTuple):
    """Copies of training rows, with gaps."""

    x: NDArray[Any]
    """(copies, features), NaN = missing; of the dtype of the rows."""
    targets: NDArray[Any]
    """(copies,), as those of the rows."""
    weights: NDArray[np.float32]
    """(copies,), up to WEIGHT."""


def copies_with_gaps(blocks: Sequence[NDArray[Any]], targets: NDArray[Any]) -> Copies | None:
    """Return copies of rows, with gaps in the columns that have next to none; or None.

    blocks: (rows, features), NaN = missing; targets: of all rows, (rows,), codes of classes, int,
    or numbers, float64. The copies are the same for the same rows; those of a column are as many
    for each class.
    """
    rows = len(targets)
    gaps = sum(np.isnan(x).sum(axis=0) for x in blocks)
    columns = np.flatnonzero((gaps < max(ENOUGH, rows / 5000)) & (gaps < rows))
    if not len(columns):
        return None
    strata = stratify(targets)
    sizes = np.array([len(places) for places in strata])
    rounds, groups = how_many(rows, len(columns), len(strata))
    gap = np.zeros((rounds * groups, blocks[0].shape[1]), bool)
    # In each round the columns fall into groups anew, so that no two of them always go together.
    shuffle = np.random.default_rng(0)
    for r in range(rounds):
        gap[r * groups + shuffle.permutation(len(columns)) % groups, columns] = True
    places = np.concatenate([spread(places, len(gap)) for places in strata])
    x = take(blocks, places)
    x[np.tile(gap, (len(strata), 1))] = np.nan
    weights = (WEIGHT * sizes / sizes.max()).astype(np.float32)
    return Copies(x, targets[places], np.repeat(weights, len(gap)))


def stratify(targets: NDArray[Any]) -> list[NDArray[np.int_]]:
    """Return the places of the rows of each class; of numbers, of all rows, the least target first.

    targets: (rows,), int or float64.
    """
    if targets.dtype.kind == "f":
        return [np.argsort(targets, kind="stable")]
    return [np.flatnonzero(targets == k) for k in np.unique(targets)]


def how_many(rows: int, columns: int, classes: int) -> tuple[int, int]:
    """Return the copies of each column and class, and the groups that the columns fall into.

    As many groups as columns, unless the copies would outnumber the rows: wide, short tables.
    """
    most = max(TOTAL * rows, min(rows, SMALL)) / classes  # of each class
    least = max(LEAST // classes, 4)
    wanted = min(max(SHARE * rows / classes, least), MOST / classes)
    rounds = int(max(min(wanted, most / columns), least))
    return rounds, int(min(columns, max(GROUPS, most // rounds)))


def spread(places: NDArray[np.int_], number: int) -> NDArray[np.int_]:
    """Return so many of these places, evenly from first to last."""
    found: NDArray[np.int_] = places[(2 * np.arange(number) + 1) * len(places) // (2 * number)]
    return found


def take(blocks: Sequence[NDArray[Any]], places: NDArray[np.int_]) -> NDArray[Any]:
    """Return the rows at these places, (places, features); blocks: (rows, features)."""
    found = np.empty((len(places), blocks[0].shape[1]), blocks[0].dtype)
    start = 0
    for x in blocks:
        here = (start <= places) & (places < start + len(x))
        found[here] = x[places[here] - start]
        start += len(x)
    return found
