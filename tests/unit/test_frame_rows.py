"""Digests tell which rows are the same, whatever file they came in."""

from typing import Any

import numpy as np
import pytest
from stageframe.rows import Known, from_text, kept, row_digests, share_of, to_text

COLUMNS: list[dict[str, Any]] = [
    {"name": "x", "kind": "numeric"},
    {"name": "shop", "kind": "categorical", "categories": ["1", "Bonn", "caf\u00e9"]},
]
GAP = float("nan")


def known(share: float = 1.0, **groups: np.ndarray) -> Known:
    rows = {name: len(group) for name, group in groups.items()}
    return Known({name: group[kept(group, share)] for name, group in groups.items()}, rows, share)


def noise(rows: int, seed: int, kinds: int = 0) -> np.ndarray:
    """Digests of rows of three numbers: any, or of so many kinds each."""
    random = np.random.default_rng(seed)
    x = random.integers(0, kinds, (rows, 3)) if kinds else random.normal(size=(rows, 3))
    return row_digests(x.astype(float), [{"name": name, "kind": "numeric"} for name in "abc"])


def test_neither_order_nor_spelling_counts() -> None:
    one = row_digests(np.array([[0.1, 1], [-0.0, 2], [GAP, 0]]), COLUMNS)
    shop = {**COLUMNS[1], "categories": ["cafe\u0301", "Bonn", "1.0"]}
    other = row_digests(np.array([[1, 0.1], [0, 0.0], [2, GAP]]), [shop, COLUMNS[0]])

    assert one.tolist() == other.tolist()


def test_a_copy_with_fewer_digits_is_the_same_to_single_precision() -> None:
    x = np.array([[1 / 3, 0]])

    assert row_digests(x, COLUMNS) == row_digests(x.astype(np.float32).astype(float), COLUMNS)


@pytest.mark.parametrize("other", [(0.2, 1), (0.1, 0), (0.1, GAP), (GAP, 1)])
def test_another_value_is_another_row(other: tuple[float, float]) -> None:
    one, two = row_digests(np.array([(0.1, 1), other]), COLUMNS)

    assert one != two


def test_values_do_not_change_places() -> None:
    columns = [{"name": name, "kind": "numeric"} for name in "ab"]
    one, two = row_digests(np.array([[1.0, 2.0], [2.0, 1.0]]), columns)

    assert one != two


def test_digests_come_back_from_their_text() -> None:
    digests = noise(100, 1)

    assert np.sort(digests).tolist() == from_text(to_text(digests)).tolist()
    with pytest.raises(ValueError, match="Incorrect padding"):
        from_text("abc")


def test_copies_are_found_among_others() -> None:
    monday, tuesday, today = noise(200, 1), noise(200, 2), noise(200, 3)
    today[20:60] = tuesday[20:60]
    week = known(monday=monday, tuesday=tuesday)
    found = week.copies(today)

    assert [*range(20, 60)] == np.flatnonzero(found).tolist()
    assert "tuesday" == week.nearest(today)


@pytest.mark.parametrize("kinds", [2, 5, 10])
def test_rows_of_few_kinds_are_no_copies_but_a_whole_day_is(kinds: int) -> None:
    days = {f"day{seed}": noise(200, seed, kinds) for seed in range(6)}
    week = known(1.0, **days)

    assert 0 == week.copies(noise(200, 99, kinds)).sum()
    assert 200 == week.copies(np.random.default_rng(0).permutation(days["day3"])).sum()


def test_of_many_rows_some_digests_tell() -> None:
    days = {"monday": noise(400_000, 1), "tuesday": noise(400_000, 2)}
    share = share_of(800_000)
    week = known(share, **days)
    some = week.copies(np.concatenate([days["tuesday"][:1000], noise(9000, 3)]))

    assert sum(map(len, week.groups.values())) == pytest.approx(2**15, rel=0.05)
    assert some.sum() == pytest.approx(1000 * share, abs=20)
    assert 0 == week.copies(noise(10_000, 4)).sum()
