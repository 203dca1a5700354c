"""Gaps and values that training did not know, and columns that are not judged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from harness import Result, RunStage
from watched import DAY, Watched, categorical, numeric, page_of, quality_of, two

DECILES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
ROWS = 200
DICE = np.random.default_rng(0)
COLUMNS = [numeric("temp", DECILES, [50] * 10), categorical("site", {"a": 250, "b": 250})]


def day(*, missing: int = 0, unknown: int = 0) -> dict[str, list[object]]:
    """A day like the training, with so many gaps in temp, and sites that are not known."""
    temp: list[object] = DICE.uniform(0, 10, ROWS).tolist()
    site: list[object] = [*"ab" * (ROWS // 2)]
    return {"temp": [""] * missing + temp[missing:], "site": ["zz"] * unknown + site[unknown:]}


def report(
    run_stage: RunStage,
    data: Mapping[str, list[object]],
    *,
    columns: list[Any] = COLUMNS,
    importance: Mapping[str, float] | None = None,
    earlier: Mapping[str, Mapping[str, list[object]]] | None = None,
    **params: object,
) -> Result:
    more = {"importance": importance} if importance else {}
    watched = Watched(columns=columns, more=more)
    for date, rows in {**(earlier or {}), DAY: data}.items():
        count = len(next(iter(rows.values())))
        watched.day(two(*[0.3] * count), data=rows, day=date)
    return watched.report(run_stage, **params)


def test_gaps_far_from_trainings_are_a_problem(run_stage: RunStage) -> None:
    result = report(run_stage, day(missing=60))
    found = quality_of(result)

    assert (False, ["temp"]) == (found["ok"], found["gaps"])
    assert (
        f"Column 'temp' is missing in 30.0% of the rows of {DAY}, in training in 0.0%, and the"
        " model rests on it: look at what delivers it."
    ) == found["problems"][0]
    assert '<span class="tag bad">gaps</span>' in page_of(result)


def test_what_a_model_does_not_know_is_a_gap(run_stage: RunStage) -> None:
    found = quality_of(report(run_stage, day(unknown=60)))

    assert (False, ["site"]) == (found["ok"], found["gaps"])
    assert "'site' is missing or unknown (such as 'zz') in 30.0% of" in found["problems"][0]


def test_gaps_that_are_fewer_than_in_training_are_far_from_it_too(run_stage: RunStage) -> None:
    columns = [numeric("temp", DECILES, [50] * 10, missing=250), COLUMNS[1]]
    found = quality_of(report(run_stage, day(), columns=columns))

    assert (False, ["temp"]) == (found["ok"], found["gaps"])
    assert "in 0.0% of the rows" in found["problems"][0]


def test_gaps_in_what_the_model_hardly_goes_by_are_noted(run_stage: RunStage) -> None:
    hardly = quality_of(report(run_stage, day(missing=60), importance={"temp": 0.01, "site": 0.99}))
    rests = quality_of(report(run_stage, day(missing=60), importance={"temp": 0.06, "site": 0.94}))

    assert (True, ["temp"]) == (hardly["ok"], hardly["gaps"])
    assert "the model hardly goes by it" in " ".join(hardly["notes"])
    assert not rests["ok"]


def test_how_far_is_far_is_a_parameter_and_chance_is_not_far(run_stage: RunStage) -> None:
    few = {name: values[:4] for name, values in day(missing=1).items()}

    assert [] == quality_of(report(run_stage, day(missing=60), max_gaps=0.3))["gaps"]
    assert [] == quality_of(report(run_stage, few))["gaps"]


def test_a_column_that_had_no_value_in_training_may_have_any(run_stage: RunStage) -> None:
    empty = numeric("note", [], [0], missing=500)
    found = quality_of(
        report(run_stage, {**day(), "note": ["text"] * ROWS}, columns=[*COLUMNS, empty])
    )

    assert ["text"] == found["drift"]["note"]["unseen"]
    assert ([], True) == (found["gaps"], found["ok"])


IDS = [numeric("id", DECILES, [50] * 10), categorical("key", {f"k{i}": 1 for i in range(50)})]


def keyed(first: int, temp: float = 0) -> dict[str, list[object]]:
    """A day of ids, and temperatures that are so much higher than in training."""
    return {
        "id": [*range(first, first + ROWS)],
        "key": [f"key {first + i}" for i in range(ROWS)],
        "temp": (DICE.uniform(0, 10, ROWS) + temp).tolist(),
    }


def test_ids_are_named_and_not_judged_and_drift_beside_them_is(run_stage: RunStage) -> None:
    columns = [*IDS, COLUMNS[0]]
    earlier = {f"2013-01-{n}": keyed(ROWS * n) for n in (12, 13, 14)}
    result = report(run_stage, keyed(ROWS * 20), columns=columns, earlier=earlier)
    found = quality_of(result)
    drifted = quality_of(report(run_stage, keyed(ROWS * 20, 30), columns=columns, earlier=earlier))

    assert (True, [], []) == (found["ok"], found["drifted"], found["gaps"])
    assert [True, True, False] == [found["drift"][c["name"]]["by_nature"] for c in columns]
    assert "by nature: id, key." in " ".join(found["notes"])
    assert 2 == page_of(result).count("an id or a clock")
    # The one column that is judged has drifted: that is all of them.
    assert (["temp"], False) == (drifted["drifted"], drifted["ok"])
    assert "1 of 1 features drifted" in drifted["problems"][0]


def test_any_column_can_be_left_out(run_stage: RunStage) -> None:
    strange = numeric("a,b", DECILES, [50] * 10)
    data: dict[str, list[object]] = {**day(missing=60), "a,b": [99.5] * ROWS}
    result = report(run_stage, data, columns=[*COLUMNS, strange], ignore='temp,"a,b"')
    found = quality_of(result)

    assert (True, [], []) == (found["ok"], found["drifted"], found["gaps"])
    assert {"temp", "a,b"} == {name for name, f in found["drift"].items() if f["ignored"]}
    assert "as --ignore names them: temp, a,b." in " ".join(found["notes"])


@pytest.mark.parametrize("names", ["temp,sight", '"temp'])
def test_a_column_that_the_model_does_not_have_cannot_be_left_out(
    run_stage: RunStage, names: str
) -> None:
    result = report(run_stage, day(), ignore=names)

    assert (64, True) == (result.code, result.last_error.startswith("--ignore: "))
