"""What fit writes of the rows it saw, so that those of another day can be compared with them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from harness import RunStage

DAY = "raw/2013-01-01"
Columns = Mapping[str, Sequence[str]]


def fitted(run_stage: RunStage, columns: Columns, **params: object) -> dict[str, Any]:
    """What preprocess.json holds; every third target is yes, the others no."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    labels = ["yes" if i % 3 == 1 else "no" for i in range(len(rows) - 1)]
    files = {
        "data.csv": "".join(",".join(row) + "\n" for row in rows),
        "target.csv": "".join(f"{label}\n" for label in ["target", *labels]),
    }
    result = run_stage("preprocess", "fit", inputs={DAY: files}, **params)
    assert (0, "") == (result.code, result.last_error)
    content: dict[str, Any] = json.loads((result.out / "preprocess.json").read_text("utf-8"))
    return content


def profile(run_stage: RunStage, values: Sequence[str], **params: object) -> dict[str, Any]:
    found: dict[str, Any] = fitted(run_stage, {"x": values}, **params)["columns"][0]["profile"]
    return found


def texts(values: Sequence[float]) -> list[str]:
    return [repr(value) for value in values]


def test_numbers_fall_into_tenths(run_stage: RunStage) -> None:
    values = np.random.default_rng(0).permutation(1000) / 4
    found = profile(run_stage, [*texts(values.tolist()), "", "NA", "nan"])

    assert [(100 * k - 1) / 4 for k in range(1, 10)] == found["edges"]
    assert [99, *[100] * 8, 101] == found["counts"]
    assert 3 == found["missing"]


def test_a_number_that_is_an_edge_is_above_it(run_stage: RunStage) -> None:
    values = np.random.default_rng(0).normal(size=997).round(1)
    found = profile(run_stage, texts(values.tolist()))
    bins = np.searchsorted(found["edges"], values, side="right")

    assert np.bincount(bins, minlength=len(found["edges"]) + 1).tolist() == found["counts"]
    assert (np.diff(found["edges"]) > 0).all()


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        pytest.param([5.0] * 40, [], [40], id="constant"),
        pytest.param([0.0] * 97 + [1.0] * 3, [1], [97, 3], id="a rare flag"),
        pytest.param([0.0] * 3 + [1.0] * 97, [1], [3, 97], id="a frequent flag"),
        pytest.param([-0.0] * 30 + [2.0] * 60 + [3.0] * 10, [2, 3], [30, 60, 10], id="three"),
        pytest.param([0.0] * 95 + [1.5, 2.5, 3.5, 4.5, 5.5], [1.5], [95, 5], id="mostly the least"),
        pytest.param(
            [-2.0, -1.0] + [0.0] * 96 + [1.0, 2.0], [0, 1], [2, 96, 2], id="mostly the middle"
        ),
        pytest.param(
            [*map(float, range(7))] * 20, [1, 2, 3, 4, 5, 6], [20] * 7, id="days of the week"
        ),
    ],
)
def test_a_frequent_number_has_a_bin_of_its_own(
    run_stage: RunStage, values: list[float], edges: list[float], counts: list[int]
) -> None:
    assert {"edges": edges, "counts": counts, "missing": 0} == profile(run_stage, texts(values))


def test_a_column_without_values_has_no_edges(run_stage: RunStage) -> None:
    assert {"edges": [], "counts": [0], "missing": 4} == profile(run_stage, ["", "", "", "NA"])


def test_numbers_beyond_64_bits_are_counted_too(run_stage: RunStage) -> None:
    values = ["1" + "0" * 30, "-7", "", "3", "3"]

    assert {"edges": [3, 1e30], "counts": [1, 2, 1], "missing": 1} == profile(run_stage, values)


def test_categories_are_counted_in_their_order(run_stage: RunStage) -> None:
    values = [*"bbbaac", "", "", "d"]

    assert {"counts": [2, 3], "other": 2, "missing": 2} == profile(
        run_stage, values, max_categories=2
    )


def test_a_column_without_any_category_is_missing_alone(run_stage: RunStage) -> None:
    found = fitted(run_stage, {"x": ["", "", ""], "y": "123"}, categorical="x")

    assert {"counts": [], "other": 0, "missing": 3} == found["columns"][0]["profile"]


def test_classes_are_counted_in_their_order(run_stage: RunStage) -> None:
    found = fitted(run_stage, {"x": "1234567"})

    assert (["no", "yes"], [5, 2]) == (found["classes"], found["class_counts"])
    assert ["version", "columns", "classes", "class_counts", "days", "digests"] == list(found)
    assert ["name", "kind", "profile"] == list(found["columns"][0])


def test_edges_of_many_rows_are_near_the_deciles_and_the_counts_exact(
    run_stage: RunStage,
) -> None:
    # More rows than the sample has, and the first are unlike the last: a part will not do.
    values = np.arange(1_500_000) / 1000
    found = profile(run_stage, texts(values.tolist()))
    bins = np.searchsorted(found["edges"], values, side="right")

    assert np.bincount(bins).tolist() == found["counts"]
    assert [1 / 10] * 10 == pytest.approx(np.array(found["counts"]) / len(values), abs=0.002)
