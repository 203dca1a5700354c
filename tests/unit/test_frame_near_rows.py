"""Rows are known again by other digests where they were rounded, or got another key."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from stageframe.near_rows import (
    EXACT,
    OTHER_KEY,
    ROUNDED,
    Marks,
    RowMarks,
    are_near,
    beside_of,
    describe,
    joined,
)
from stageframe.roundings import (
    about,
    cuts_of,
    decimals_rounded_to,
    fractions_rounded_to,
    rounded_to,
)
from stageframe.rows import Group, Known, to_texts, with_targets

GAP = float("nan")


class Day(NamedTuple):
    x: np.ndarray
    codes: np.ndarray

    def at(self, where: slice) -> "Day":
        return Day(self.x[where], self.codes[where])


def noise(seed: int, rows: int = 500, width: int = 4) -> Day:
    random = np.random.default_rng(seed)
    return Day(random.normal(size=(rows, width)), random.integers(0, 2, rows))


def kinds(seed: int, rows: int = 500, *, values: int = 4, width: int = 4) -> Day:
    """Rows of small whole numbers that tell all of their target."""
    x = np.random.default_rng(seed).integers(0, values, (rows, width)).astype(float)
    return Day(x, x.sum(axis=1).astype(int) % 2)


def counted(day: Day, first: int) -> Day:
    """The same rows, counted in a column of their own."""
    return Day(np.column_stack([np.arange(len(day.x)) + float(first), day.x]), day.codes)


def together(*days: Day) -> Day:
    return Day(np.vstack([day.x for day in days]), np.concatenate([day.codes for day in days]))


def columns_of(x: np.ndarray) -> list[dict[str, Any]]:
    return [{"name": f"c{j}", "kind": "numeric"} for j in range(x.shape[1])]


def found(kind: str, learned: list[Day], today: Day, keys: tuple[str, ...] = ()) -> np.ndarray:
    """Which rows of today are copies of this kind."""
    every = np.vstack([*(day.x for day in learned), today.x])
    columns = columns_of(every)
    values = {column["name"]: every[:, j] for j, column in enumerate(columns)}
    marks_of = RowMarks(columns, describe(keys, values, len(every)))
    labels = ["no", "yes"]
    groups = {}
    for n, day in enumerate(learned):
        digests, beside, _ = marks_of(day.x)[kind]
        labelled = with_targets(digests, day.codes, labels)
        groups[f"day{n}"] = Group(digests, labelled, len(day.x), beside)
    digests, beside, share = marks_of(today.x)[kind]
    known = Known(groups, 1.0, partial(are_near, kind), share)
    return known.copies(digests, with_targets(digests, today.codes, labels), today.codes, beside)


def spelled(form: str, x: np.ndarray) -> np.ndarray:
    return np.array([float(format(value, form)) for value in x.ravel()]).reshape(x.shape)


def in_half(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float16).astype(float)


ROUNDINGS: list[Callable[[np.ndarray], np.ndarray]] = [
    *(partial(spelled, form) for form in (".7g", ".6g", ".4g", ".3g", ".3f", ".2f")),
    in_half,
]


@pytest.mark.parametrize("rounded", ROUNDINGS)
@pytest.mark.parametrize("width", [3, 10, 30])
def test_rows_are_known_again_that_were_rounded(
    rounded: Callable[[np.ndarray], np.ndarray], width: int
) -> None:
    days = [noise(seed, width=width) for seed in range(3)]
    again = Day(rounded(days[1].x), days[1].codes)
    before = [Day(rounded(day.x), day.codes) for day in days]

    assert found(ROUNDED, days, again).mean() > 0.95
    assert found(ROUNDED, before, days[1]).mean() > 0.95


def test_whole_numbers_may_stay_as_they_are() -> None:
    def mixed(seed: int) -> Day:
        x, codes = noise(seed)
        x[:, 0] = np.random.default_rng(seed).integers(0, 10**6, len(x))
        return Day(x, codes)

    days = [mixed(seed) for seed in range(3)]
    again = days[1].x.copy()
    again[:, 1:] = spelled(".3g", again[:, 1:])

    assert found(ROUNDED, days, Day(again, days[1].codes)).mean() > 0.95


def test_rounded_rows_among_new_ones_are_found() -> None:
    days = [noise(seed, 2000) for seed in range(3)]
    old = days[1].at(slice(200))
    copies = found(ROUNDED, days, together(Day(spelled(".4g", old.x), old.codes), noise(9, 800)))

    assert copies[:200].mean() > 0.95
    assert copies[200:].mean() < 0.01


def test_a_few_of_them_are_no_evidence() -> None:
    days = [noise(seed) for seed in range(3)]
    old = days[1].at(slice(15))
    today = together(Day(spelled(".4g", old.x), old.codes), noise(9))

    assert not found(ROUNDED, days, today).any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("form", [".17g", ".3g", ".1f"])
def test_new_rows_are_none_whatever_digits_they_have(form: str, seed: int) -> None:
    days = [noise(10 * seed + n) for n in range(3)]
    today = noise(10 * seed + 9)

    assert not found(ROUNDED, days, Day(spelled(form, today.x), today.codes)).any()


@pytest.mark.parametrize("values", [2, 4, 10, 30])
@pytest.mark.parametrize("width", [2, 4, 6])
def test_rows_of_few_kinds_are_none(values: int, width: int) -> None:
    days = [kinds(seed, values=values, width=width) for seed in range(4)]
    keyed = [counted(day, 500 * n) for n, day in enumerate(days)]

    assert not found(ROUNDED, days[:3], days[3]).any()
    assert not found(OTHER_KEY, keyed[:3], keyed[3], ("c0",)).any()


def test_things_that_change_a_little_are_others() -> None:
    """The same sensors at the same hours, with as many decimals less as they differ by."""
    hours = np.linspace(0, 2 * np.pi, 1440)
    random = np.random.default_rng(0)
    days = []
    for _ in range(4):
        x = np.column_stack([np.sin(hours * n) * 10 + 20 for n in range(1, 5)])
        x += random.normal(size=x.shape) * 0.05
        days.append(Day(x.round(3), (hours < np.pi).astype(int)))

    assert not found(ROUNDED, days[:3], days[3]).any()
    assert not found(ROUNDED, days[:3], Day(days[3].x.round(1), days[3].codes)).any()


@pytest.mark.parametrize("first", [500, 10**6])
def test_rows_are_known_again_that_got_another_key(first: int) -> None:
    days = [counted(noise(seed), 500 * seed) for seed in range(3)]
    again = counted(noise(1), first)
    again.x[:, 0] = np.random.default_rng(0).permutation(again.x[:, 0])

    assert found(OTHER_KEY, days, again, ("c0",)).all()


def test_a_column_that_changed_since_is_no_key() -> None:
    random = np.random.default_rng(0)
    shops, turnover = noise(1), random.permutation(500) * 1000.0
    days = []
    for _ in range(4):
        turnover = turnover * random.uniform(0.8, 1.2, 500).round(3)
        days.append(Day(np.column_stack([turnover, shops.x]), shops.codes))

    assert not found(OTHER_KEY, days[:3], days[3], ("c0",)).any()


def test_there_are_marks_of_what_there_is() -> None:
    columns = [*columns_of(np.empty((0, 2))), {"name": "s", "kind": "categorical"}]
    columns[2]["categories"] = ["a", "b"]
    near = describe(["c0"], {"c0": np.arange(9.0), "c1": np.arange(9.0)}, 9)

    assert [EXACT, OTHER_KEY, ROUNDED] == RowMarks(columns, near).kinds
    assert [EXACT, ROUNDED] == RowMarks(columns, {**near, "keys": []}).kinds
    assert [EXACT] == RowMarks(columns[2:], near).kinds
    assert [EXACT] == RowMarks(columns, None).kinds


def test_cuts_are_where_no_rounded_number_gets_across() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    cuts = np.array([*cuts_of(values, 16)])
    bins = np.bincount(cuts.searchsorted(values), minlength=16)

    assert 15 == len(cuts)
    assert (np.diff(cuts) >= 0).all()
    assert 30 < np.median(bins) < 90
    for form in (".6g", ".4g", ".3g"):
        same = cuts.searchsorted(spelled(form, values)) == cuts.searchsorted(values)
        assert same.mean() > 0.997


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        ([], []),
        ([GAP], []),
        ([3, 3], []),
        ([0, 0, 0, 0, 1], [0.5555]),
        ([1, 2, 3], [1.5555, 2.5555]),
    ],
)
def test_few_values_have_few_cuts(values: list[float], cuts: list[float]) -> None:
    assert cuts == pytest.approx(cuts_of(np.array(values, float), 4))


def test_numbers_are_rounded() -> None:
    x = np.array([123.456, -0.00123456, 0, GAP, 1234567, 1e300, 1e-300])

    assert ["123", "-0.00123", "0", "nan", "1.23e+06", "1e+300", "1e-300"] == [
        f"{value:.6g}" for value in rounded_to(3, x)
    ]
    assert 1234567 == fractions_rounded_to(3, x)[4]
    assert [123.46, -0.0, 0] == decimals_rounded_to(2, x)[:3].tolist()
    assert [120, -0.0012, 0] == pytest.approx(about(x)[:3].tolist())


def test_marks_of_blocks_are_those_of_all_and_come_back_from_their_texts() -> None:
    day = noise(1)
    columns = columns_of(day.x)
    marks_of = RowMarks(columns, describe([], {"c0": day.x[:, 0]}, 500))
    whole, parts = marks_of(day.x), joined([marks_of(day.x[:200]), marks_of(day.x[200:])])
    marks: Marks = whole[ROUNDED]
    assert marks.beside is not None
    texts = to_texts(marks.digests, day.codes, marks.beside)
    order = np.lexsort((day.codes, marks.digests))

    for kind, one in whole.items():
        assert np.array_equal(one.digests, parts[kind].digests)
    assert np.array_equal(marks.beside[order], beside_of(texts))
    with pytest.raises(ValueError, match="reshape"):
        beside_of({**texts, "beside": texts["beside"][:-8]})
