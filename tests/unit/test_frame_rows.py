"""Digests tell which rows are the same, whatever file they came in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from stageframe.rows import (
    Group,
    Known,
    RowDigests,
    from_texts,
    kept,
    share_of,
    to_texts,
    with_targets,
)


def row_digests(x: np.ndarray, columns: list[dict[str, Any]]) -> np.ndarray:
    return RowDigests(columns)(x)


COLUMNS: list[dict[str, Any]] = [
    {"name": "x", "kind": "numeric"},
    {"name": "shop", "kind": "categorical", "categories": ["1", "Bonn", "caf\u00e9"]},
]
GAP = float("nan")


def noise(rows: int, seed: int, kinds: int = 0) -> np.ndarray:
    """Digests of rows of three numbers: any, or of so many kinds each."""
    random = np.random.default_rng(seed)
    x = random.integers(0, kinds, (rows, 3)) if kinds else random.normal(size=(rows, 3))
    return row_digests(x.astype(float), [{"name": name, "kind": "numeric"} for name in "abc"])


def targets(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, rows)


@dataclass(frozen=True)
class Day:
    digests: np.ndarray
    codes: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        return with_targets(self.digests, self.codes, ["no", "yes"])

    def copies(self, week: Known) -> np.ndarray:
        return week.copies(self.digests, self.labelled, self.codes)

    def at(self, places: slice | np.ndarray) -> "Day":
        return Day(self.digests[places], self.codes[places])


def day(rows: int, seed: int, kinds: int = 0) -> Day:
    return Day(noise(rows, seed, kinds), targets(rows, seed))


def known(share: float = 1.0, **days: Day) -> Known:
    groups = {}
    for name, one in days.items():
        some = kept(one.digests, share)
        groups[name] = Group(one.digests[some], one.labelled[some], len(one.digests))
    return Known(groups, share)


def together(*days: Day) -> Day:
    return Day(np.concatenate([d.digests for d in days]), np.concatenate([d.codes for d in days]))


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


def test_rows_come_back_from_their_texts() -> None:
    digests, codes = noise(100, 1), targets(100, 1)
    found = from_texts(to_texts(digests, codes))
    order = np.argsort(digests)

    assert (digests[order].tolist(), codes[order].tolist()) == tuple(x.tolist() for x in found)
    with pytest.raises(ValueError, match="Incorrect padding"):
        from_texts({"rows": "abc", "targets": ""})


def test_copies_are_found_among_others() -> None:
    monday, tuesday = day(200, 1), day(200, 2)
    week = known(monday=monday, tuesday=tuesday)
    today = together(day(20, 3), tuesday.at(slice(20, 60)), day(140, 4))

    assert [*range(20, 60)] == np.flatnonzero(today.copies(week)).tolist()
    assert "tuesday" == week.nearest(today.labelled)


@pytest.mark.parametrize("kinds", [2, 5, 10])
def test_rows_of_few_kinds_are_no_copies_but_a_whole_day_is(kinds: int) -> None:
    days = {f"day{seed}": day(200, seed, kinds) for seed in range(6)}
    week = known(1.0, **days)
    again = days["day3"].at(np.random.default_rng(0).permutation(200))

    assert 0 == day(200, 99, kinds).copies(week).sum()
    assert 200 == again.copies(week).sum()


def test_things_that_come_every_day_are_no_copies_as_long_as_their_targets_differ() -> None:
    timetable = noise(200, 1)
    monday, tuesday, today = (Day(timetable, targets(200, seed)) for seed in (1, 2, 3))
    week = known(monday=monday, tuesday=tuesday)

    assert 0 == today.copies(week).sum()
    assert 200 == tuesday.copies(week).sum()


def test_of_many_rows_some_digests_tell() -> None:
    days = {"monday": day(400_000, 1), "tuesday": day(400_000, 2)}
    share = share_of(800_000)
    week = known(share, **days)
    some = together(days["tuesday"].at(slice(1000)), day(9000, 3)).copies(week)

    assert sum(len(group.digests) for group in week.groups.values()) == pytest.approx(
        2**15, rel=0.05
    )
    assert some.sum() == pytest.approx(1000 * share, abs=20)
    assert 0 == day(10_000, 4).copies(week).sum()


def test_numbers_to_predict_are_told_apart_and_come_back_in_single_precision() -> None:
    digests, targets = np.arange(3, dtype=np.uint64), np.array([1.5, -1e30, 0.1])
    rows, found = from_texts(to_texts(digests, targets), numbers=True)
    single = targets.astype(np.float32).tolist()

    assert (digests.tolist(), single) == (rows.tolist(), found.tolist())
    assert np.array_equal(with_targets(digests, targets), with_targets(rows, found))
    assert not np.isin(with_targets(digests, targets * 2), with_targets(rows, found)).any()
