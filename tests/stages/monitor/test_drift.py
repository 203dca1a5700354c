"""How far a day's rows and predictions are from those of the training: by hand, and by chance."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from harness import RunStage
from watched import DAY, Watched, categorical, numeric, page_of, quality_of, two

DECILES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
EARLIER = "2013-01-15"


def by_hand(reference: Sequence[float], current: Sequence[float]) -> float:
    """The index of counts, half a row added to each; bins without a row in both are left out."""
    bins = [(a + 0.5, b + 0.5) for a, b in zip(reference, current, strict=True) if a or b]
    n, m = (sum(side) for side in zip(*bins, strict=True))
    return math.fsum((b / m - a / n) * math.log((b / m) / (a / n)) for a, b in bins)


def report(
    run_stage: RunStage,
    column: Any,
    values: list[Any],
    *,
    earlier: list[Any] | None = None,
    **params: object,
) -> dict[str, Any]:
    """quality.json of a day whose one feature has these values."""
    watched = Watched(columns=[column])
    if earlier:
        watched.day(two(*[0.3] * len(earlier)), data={column["name"]: earlier}, day=EARLIER)
    watched.day(two(*[0.3] * len(values)), data={column["name"]: values})
    return quality_of(watched.report(run_stage, **params))


def test_the_index_of_a_number_is_over_the_profiles_bins(run_stage: RunStage) -> None:
    column = numeric("age", [10, 20], [30, 50, 20], missing=0)
    found = report(run_stage, column, [5] * 10 + [10] * 20 + [19.9] * 10 + [20, 1e9] * 30)

    # On an edge is in the bin above it.
    assert pytest.approx(by_hand([30, 50, 20], [10, 30, 60])) == found["drift"]["age"]["psi"]


def test_the_index_of_categories_has_bins_for_others_and_missing(run_stage: RunStage) -> None:
    column = categorical("carrier", {"AA": 60, "B6": 30}, other=5, missing=5)
    found = report(run_stage, column, ["AA"] * 50 + ["B6"] * 20 + ["ZZ"] * 20 + [""] * 10)
    drift = found["drift"]["carrier"]

    assert pytest.approx(by_hand([60, 30, 5, 5], [50, 20, 20, 10])) == drift["psi"]
    assert (0.1, 0.05) == (drift["missing"], drift["missing_reference"])
    assert ["ZZ"] == drift["unseen"]


def test_a_day_like_the_training_has_not_drifted(run_stage: RunStage) -> None:
    values = np.random.default_rng(0).uniform(0, 10, 900).tolist()
    found = report(run_stage, numeric("x", DECILES, [500] * 10), values)

    assert 0.03 > found["drift"]["x"]["psi"]
    assert ([], True) == (found["drifted"], found["ok"])


def test_drift_is_found_and_named(run_stage: RunStage) -> None:
    values = np.random.default_rng(0).uniform(3, 13, 900).tolist()
    found = report(run_stage, numeric("x", DECILES, [500] * 10), values)

    assert found["drift"]["x"]["psi"] > 1
    assert (["x"], False) == (found["drifted"], found["ok"])
    assert "1 of 1 features drifted" in found["problems"][0]
    assert f"x ({found['drift']['x']['psi']:.2f})" in found["problems"][0]


def test_the_share_of_features_that_may_drift_is_a_parameter(run_stage: RunStage) -> None:
    values = [11.0, 12.0] * 100
    found = report(run_stage, numeric("x", DECILES, [500] * 10), values, max_drifted=1)

    assert (["x"], True) == (found["drifted"], found["ok"])


def test_values_that_go_missing_are_drift(run_stage: RunStage) -> None:
    random = np.random.default_rng(0)
    values: list[object] = random.uniform(0, 10, 900).tolist()
    for row in np.flatnonzero(random.random(900) < 0.4):
        values[row] = ""
    found = report(run_stage, numeric("x", DECILES, [500] * 10), values)
    drift = found["drift"]["x"]

    assert ["x"] == found["drifted"]
    assert 0.35 < drift["missing"] < 0.45
    assert 0 == drift["missing_reference"]


def test_all_values_missing_is_drift_on_the_first_day_too(run_stage: RunStage) -> None:
    found = report(run_stage, numeric("x", DECILES, [500] * 10), ["NA"] * 100)

    assert (["x"], 1.0) == (found["drifted"], found["drift"]["x"]["missing"])


def test_a_small_day_is_not_blamed_for_chance(run_stage: RunStage) -> None:
    names = [f"c{i}" for i in range(100)]
    column = categorical("dest", dict.fromkeys(names, 50))
    values = np.random.default_rng(0).choice(names, 200).tolist()
    found = report(run_stage, column, values)
    drift = found["drift"]["dest"]

    assert 0.2 < drift["psi"] < drift["chance"]
    assert ([], True) == (found["drifted"], found["ok"])


def test_what_chance_explains_is_what_99_of_100_days_show() -> None:
    # Without the stage: the formula that it states, against the real thing.
    random = np.random.default_rng(0)
    n, m, bins = 5000, 900, 10
    drawn = [
        by_hand(
            random.multinomial(n, [1 / bins] * bins).tolist(),
            random.multinomial(m, [1 / bins] * bins).tolist(),
        )
        for _ in range(4000)
    ]

    assert pytest.approx((bins - 1) * (1 / n + 1 / m), rel=0.05) == np.mean(drawn)
    assert pytest.approx(21.67 * (1 / n + 1 / m), rel=0.05) == np.quantile(drawn, 0.99)


def test_chance_is_the_quantile_of_chi_squared(run_stage: RunStage) -> None:
    values = np.random.default_rng(0).uniform(0, 10, 900).tolist()
    found = report(run_stage, numeric("x", DECILES, [500] * 10), values)

    # The 99 % quantile for 9 degrees of freedom is 21.666.
    assert pytest.approx(21.666 * (1 / 5000 + 1 / 900), rel=2e-3) == found["drift"]["x"]["chance"]


def test_unseen_categories_are_listed_the_most_frequent_first(run_stage: RunStage) -> None:
    values = ["A"] * 10 + ["new"] * 5 + [f"rare{i:02}" for i in range(30)]
    found = report(run_stage, categorical("c", {"A": 100}), values)
    unseen = found["drift"]["c"]["unseen"]

    assert ["new", "rare00", "rare01"] == unseen[:3]
    assert 20 == len(unseen)


def test_one_value_a_day_is_the_calendars_and_not_judged(run_stage: RunStage) -> None:
    column = numeric("weekday", [0, 1, 2, 3, 4, 5], [100] * 7)
    found = report(run_stage, column, [2] * 90, earlier=[1] * 90)

    assert found["drift"]["weekday"]["psi"] > 1
    assert ([], True) == (found["drifted"], found["ok"])
    assert found["drift"]["weekday"]["by_day"]


def test_a_feature_that_is_stuck_at_a_value_has_drifted(run_stage: RunStage) -> None:
    column = numeric("sensor", DECILES, [100] * 10)
    found = report(run_stage, column, [2] * 90, earlier=[1, 5, 9] * 30)

    assert ["sensor"] == found["drifted"]


def test_a_single_category_that_training_lacked_is_judged(run_stage: RunStage) -> None:
    found = report(run_stage, categorical("c", {"A": 100, "B": 100}), ["Z"] * 90)

    assert ["c"] == found["drifted"]


def test_without_profiles_drift_is_not_known_and_the_report_says_why(run_stage: RunStage) -> None:
    watched = Watched(columns=[{"name": "x", "kind": "numeric"}]).day(two(0.2, 0.4))
    result = watched.report(run_stage)
    found = quality_of(result)

    assert (None, []) == (found["drift"], found["drifted"])
    assert "older preprocess" in page_of(result)


HISTOGRAM = [100, 200, 300, 200, 100, 50, 20, 15, 10, 5]


def scores(positive: list[int]) -> dict[str, Any]:
    edges = [i / 10 for i in range(1, 10)]
    return {"edges": edges, "counts": {"0": positive[::-1], "1": positive}}


def test_prediction_drift_is_against_the_validation(run_stage: RunStage) -> None:
    watched = Watched(scores=scores(HISTOGRAM)).day(two(*[0.25] * 40, *[0.95] * 60))
    found = quality_of(watched.report(run_stage))

    expected = by_hand(HISTOGRAM, [0, 0, 40, 0, 0, 0, 0, 0, 0, 60])
    assert pytest.approx(expected) == found["prediction_drift"]
    assert not found["ok"]
    assert "The predicted probabilities of class '1'" in found["problems"][0]


def test_prediction_drift_may_be_against_earlier_days_of_the_model(run_stage: RunStage) -> None:
    watched = Watched().day(two(*[0.25] * 50, *[0.35] * 50), day=EARLIER)
    watched.day(two(*[0.05] * 100), day="2013-01-14", model="another")
    watched.day(two(*[0.25] * 50, *[0.35] * 50))
    result = watched.report(run_stage)

    assert 0 == quality_of(result)["prediction_drift"]
    assert "earlier days of this model" in page_of(result)


def test_without_anything_to_compare_prediction_drift_is_not_known(run_stage: RunStage) -> None:
    result = Watched().day(two(0.2, 0.4)).report(run_stage)

    assert quality_of(result)["prediction_drift"] is None
    assert "there are no earlier predictions of this version" in page_of(result)


def test_prediction_drift_is_never_against_the_validation_of_another_model(
    run_stage: RunStage,
) -> None:
    rows = two(*[0.25] * 40, *[0.95] * 60)
    labels = ["0"] * 40 + ["1"] * 60
    given = Watched(scores=scores(HISTOGRAM)).day(rows, labels)
    of_given = quality_of(given.report(run_stage))
    result = Watched(scores=scores(HISTOGRAM)).day(rows, labels, model="2").report(run_stage)
    found = quality_of(result)

    assert (False, False) == (of_given["other_model_given"], of_given["ok"])
    assert (True, True) == (found["other_model_given"], found["ok"])
    assert ([], None) == (found["problems"], found["prediction_drift"])
    # What needs the predictions and the labels alone is as it was.
    assert (1.0, of_given["log_loss"]) == (found["roc_auc"], found["log_loss"])


def test_the_headline_says_that_another_model_predicted(run_stage: RunStage) -> None:
    watched = Watched(trained=[DAY]).day(two(0.2, 0.4), ["0", "1"], model="2")
    result = watched.report(run_stage)
    found, page = quality_of(result), page_of(result)

    assert "<h1>All well – predicted by another model</h1>" in page
    assert 1 == page.count(found["notes"][0])
    assert found["notes"][0].startswith(
        "These predictions were made by another model (microstage version 2) than the one given"
        " (microstage version 1)"
    )
    # The days of the model given say nothing of the one that predicted.
    assert {"name": "microstage", "version": "2", "path": "models/2", "trained_on": None} == found[
        "model"
    ]
    assert found["learned_from_this_day"] is None


def test_shares_of_classes_are_beside_those_of_the_training(run_stage: RunStage) -> None:
    watched = Watched(class_counts=[750, 250]).day(two(0.1, 0.2, 0.3, 0.6), ["0", "0", "1", "1"])
    found = quality_of(watched.report(run_stage))["class_shares"]["1"]

    assert {"training": 0.25, "predicted": 0.25, "probability": 0.3, "observed": 0.5} == {
        name: pytest.approx(value) for name, value in found.items()
    }


def test_extra_columns_and_another_order_do_no_harm(run_stage: RunStage) -> None:
    columns = [numeric("a", [5], [50, 50]), numeric("b", [5], [50, 50])]
    data: dict[str, list[object]] = {"extra": ["?"] * 4, "b": [1, 9, 9, 9], "a": [1, 1, 9, 9]}
    found = quality_of(
        Watched(columns=columns).day(two(0.1, 0.2, 0.3, 0.4), data=data, day=DAY).report(run_stage)
    )

    assert pytest.approx(by_hand([50, 50], [2, 2])) == found["drift"]["a"]["psi"]
    assert pytest.approx(by_hand([50, 50], [1, 3])) == found["drift"]["b"]["psi"]
