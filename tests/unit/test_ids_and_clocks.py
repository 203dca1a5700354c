"""What monitor takes for an id or a clock, and what it must not: a change is no nature."""

import importlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "containers" / "monitor"
DAY = date(2024, 1, 5)
MIDNIGHT = int(datetime(2024, 1, 5, tzinfo=UTC).timestamp())
ROWS = 200
DICE = np.random.default_rng(0)

Days = Sequence[Sequence[Any]]


@pytest.fixture
def nature(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("nature")


def moves(nature: ModuleType, days: Days, categories: Sequence[str] = ()) -> bool:
    """Whether it is by nature; days: the values of each, the last is in no bin of the training."""
    kind = "categorical" if categories else "numeric"
    column = {"categories": [*categories], "profile": {"counts": [1] * len(categories)}}
    bins = {"labels": [], "reference": [0.1] * 10 + [0, 0], "current": [0.0] * 9 + [1.0, 0, 0]}
    shares = dict.fromkeys(("missing", "missing_reference", "unknown", "unknown_reference"), 0.0)
    feature = importlib.import_module("drift").Feature(
        name="x", kind=kind, psi=5.0, chance=0.1, rows=ROWS, rows_reference=900, unseen=[],
        **bins, **shares,
    )  # fmt: skip
    *before, today = [[str(value) for value in day] for day in days]
    return bool(nature.moves_by_nature(feature, column, DAY, today, before))


def shuffled(values: Sequence[Any]) -> list[Any]:
    return [values[i] for i in DICE.permutation(len(values))]


def counted(first: int, step: int = 1) -> list[int]:
    return [first + step * i for i in range(ROWS)]


def around(mean: float, spread: float = 10) -> list[float]:
    values: list[float] = DICE.normal(mean, spread, ROWS).round(2).tolist()
    return values


STAMPS = [datetime(2024, 1, 5, tzinfo=UTC) + timedelta(minutes=5 * i) for i in range(ROWS)]
NEXT = [counted(ROWS * day) for day in range(6)]

BY_NATURE: dict[str, tuple[Days, Sequence[str]]] = {
    "an id": (NEXT, ()),
    "an id in no order": ([*map(shuffled, NEXT)], ()),
    "an id that falls": (NEXT[::-1], ()),
    "an id, days missing": ([NEXT[0], NEXT[1], NEXT[5]], ()),
    "an id, a day came twice": ([NEXT[0], NEXT[1], NEXT[1], NEXT[2]], ()),
    "an id, one of the days before is odd": ([*NEXT[:3], around(9e9), *NEXT[3:]], ()),
    "an id, a day before has no value": ([NEXT[0], [""] * ROWS, NEXT[1], NEXT[2]], ()),
    "an id after one day": ([counted(0, 50), counted(10_000, 50)], ()),
    "an id of the first day": ([NEXT[5]], ()),
    "an id of the first day in no order": ([shuffled(NEXT[5])], ()),
    "sparse ids in no order": ([shuffled(counted(day * 10**9, 4_999)) for day in range(4)], ()),
    "seconds, with gaps": ([[*shuffled(counted(MIDNIGHT, 400)), "", "NA"]], ()),
    "milliseconds": ([shuffled([x * 1000 + 7 for x in counted(MIDNIGHT, 400)])], ()),
    "seconds with fractions": ([[MIDNIGHT + x for x in DICE.uniform(0, 86_400, ROWS)]], ()),
    "digits of a day and a time": ([shuffled([f"{x:%Y%m%d%H%M%S}" for x in STAMPS])], ()),
    "an odometer": ([around(1000 * day) for day in range(4)], ()),
    "times as texts": (
        [[x.isoformat(" ") for x in STAMPS]],
        [f"2024-01-0{day} {hour:02}:00:00" for day in (1, 2, 3) for hour in range(24)],
    ),
    "days in another form": ([["1/5/2024 7:00"] * 9], ["1/1/2024 8:00", "1/2/2024 9:00"]),
    "days as texts": ([["2024-01-05", "2024-01-06"] * 9], ["2024-01-01", "2024-01-02"]),
    "names of rows": ([[f"b-{i}" for i in range(ROWS)]], [f"a-{i}" for i in range(255)]),
}


@pytest.mark.parametrize("name", BY_NATURE)
def test_an_id_or_a_clock_is_what_it_is_by_nature(nature: ModuleType, name: str) -> None:
    assert moves(nature, *BY_NATURE[name])


CHANGED: dict[str, tuple[Days, Sequence[str]]] = {
    "30 degrees more": ([*[around(285, 3) for _ in range(4)], around(315, 3)], ()),
    "30 degrees more, for two days": (
        [*[around(285, 3) for _ in range(3)], around(315, 3), around(345, 3)],
        (),
    ),
    "30 degrees more, in a sorted table": (
        [*[sorted(around(285, 3)) for _ in range(3)], sorted(around(315, 3))],
        (),
    ),
    "30 degrees more after one day": ([around(285, 3), around(315, 3)], ()),
    "30 degrees more on the first day": ([around(315, 3)], ()),
    "a price that doubles": (
        [DICE.uniform(low, 2 * low, ROWS).tolist() for low in (99, 98, 97, 210)],
        (),
    ),
    "a price in whole numbers": ([DICE.integers(200_000, 400_000, ROWS).tolist()], ()),
    "a price in a sorted table of the first day": ([sorted(around(500))], ()),
    "from Kelvin to Celsius": ([*[around(285, 3) for _ in range(4)], around(12, 3)], ()),
    "whole degrees": ([[round(x) for x in around(12, 3)]], ()),
    "an id in another unit": ([*NEXT, [x * 10**6 for x in counted(10**6)]], ()),
    "a clock that stands still": ([*NEXT, [0] * ROWS], ()),
    "nothing but gaps": ([*NEXT, [""] * ROWS], ()),
    "a few rows": ([[11, 12, 13]], ()),
    "other names of categories": ([["north", "south"] * 50], ["N", "S"]),
    "dates of birth, in another form": (
        [[f"{x:%d/%m/%Y}" for x in STAMPS]],
        ["1970-01-01", "1980-05-05"],
    ),
    "dates of birth": ([["1969-03-04", "1990-01-01"] * 50], ["1970-01-01", "1980-05-05"]),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_changes_for_once_is_drift(nature: ModuleType, name: str) -> None:
    assert not moves(nature, *CHANGED[name])
