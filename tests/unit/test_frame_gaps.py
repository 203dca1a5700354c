"""Gaps that training rows do not have: which copies of rows trainers learn from beside the rows."""

import numpy as np
import pytest
from stageframe import gaps
from stageframe.gaps import Copies, copies_with_gaps, how_many


def table(rows: int, columns: int, rare: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Rows without a gap, float64 (rows, columns), of which no two are alike; and their classes."""
    x = np.arange(rows * columns, dtype=float).reshape(rows, columns)
    return x, (np.arange(rows) < rare * rows).astype(int)


def made(x: np.ndarray, y: np.ndarray, blocks: int = 1) -> Copies:
    found = copies_with_gaps(np.array_split(x, blocks), y)
    assert found is not None
    return found


def test_a_copy_is_a_row_of_its_class_but_for_its_gap() -> None:
    x, y = table(1000, 3)
    copies = made(x, y)
    gap = np.isnan(copies.x)
    rows = np.nanmax(copies.x, axis=1).astype(int) // 3
    same = np.where(gap, x[rows], copies.x)

    assert {1} == set(gap.sum(axis=1))
    assert x[rows].tolist() == same.tolist()
    assert y[rows].tolist() == copies.targets.tolist()


@pytest.mark.parametrize("rare", [0.5, 0.05, 0.01])
def test_the_copies_of_each_column_have_the_share_of_each_class(rare: float) -> None:
    x, y = table(400, 5, rare)
    copies = made(x, y)

    for gap in np.isnan(copies.x).T:
        shares = np.bincount(copies.targets[gap], copies.weights[gap])
        assert pytest.approx([1 - rare, rare], abs=1e-6) == shares / shares.sum()


def test_copies_come_from_all_over_the_table() -> None:
    x, y = table(10_000, 2)
    y = np.arange(10_000) % 2
    copies = made(x, y)
    rows = np.nanmax(copies.x, axis=1) // 2

    assert {0} == set(np.diff(np.histogram(rows, bins=10, range=(0, 10_000))[0]))


def test_columns_with_gaps_of_their_own_and_empty_ones_need_none() -> None:
    x, y = table(1000, 4)
    x[: gaps.ENOUGH, 1] = np.nan
    x[: gaps.ENOUGH - 1, 2] = np.nan
    x[:, 3] = np.nan
    copies = made(x[:], y)
    given = np.isnan(copies.x).all(axis=0), np.isnan(copies.x).sum(axis=0)

    assert [False, False, False, True] == given[0].tolist()
    assert given[1][1] < gaps.LEAST <= min(given[1][0], given[1][2])
    assert copies_with_gaps([x[:, [1, 3]]], y) is None


def test_blocks_and_their_precision_do_not_matter() -> None:
    x, y = table(999, 3)
    one, many = made(x, y), made(x.astype(np.float32), y, blocks=7)

    assert ["float64", "float32"] == [str(copies.x.dtype) for copies in (one, many)]
    assert np.array_equal(one.x, many.x, equal_nan=True)
    assert one.targets.tolist() == many.targets.tolist()


@pytest.mark.parametrize(
    ("rows", "columns", "classes"),
    [(20, 1, 2), (200, 1, 2), (200, 30, 2), (200, 1000, 3), (20_000, 30, 3), (10**7, 20, 2)],
)
def test_copies_are_enough_for_each_column_and_few_in_all(
    rows: int, columns: int, classes: int
) -> None:
    rounds, groups = how_many(rows, columns, classes)
    total = rounds * groups * classes

    assert gaps.LEAST <= rounds * classes <= gaps.MOST
    assert total <= max(
        gaps.TOTAL * rows, rows if rows <= gaps.SMALL else 0, gaps.GROUPS * gaps.LEAST
    )
    assert groups == columns or groups >= gaps.GROUPS


def test_columns_that_share_their_copies_do_not_always_go_together() -> None:
    x, y = table(200, 30)
    gap = np.isnan(made(x, y).x)
    together = gap.T.astype(int) @ gap
    pairs = together[~np.eye(30, dtype=bool)] / gap.sum(axis=0).max()

    assert 1 < gap.sum(axis=1).min()
    assert 0.6 > pairs.max()


def test_a_class_of_one_row_and_a_class_of_none_have_their_share() -> None:
    x, _ = table(50, 2)
    copies = made(x, np.array([0] * 49 + [2]))

    assert {0, 2} == set(copies.targets.tolist())
    assert pytest.approx(1 / 49) == (copies.weights[copies.targets == 2] / gaps.WEIGHT).max()


def test_the_copies_of_numbers_are_evenly_from_the_least_to_the_largest() -> None:
    x, _ = table(2000, 4)
    y = np.random.default_rng(0).exponential(size=2000)
    copies = made(x, y)

    assert {gaps.WEIGHT} == set(copies.weights.tolist())
    for gap in np.isnan(copies.x).T:
        assert pytest.approx(y.mean(), rel=0.1) == copies.targets[gap].mean()
        assert pytest.approx(np.median(y), rel=0.1) == np.median(copies.targets[gap])
