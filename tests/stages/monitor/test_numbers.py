"""What is said of a day of predicted numbers: by NumPy, from the definitions."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from harness import RunStage
from watched import DAY, Watched, page_of, quality_of

BASELINE = {"mean": 20.0, "constant": 19.0}
SQUARED = {"loss": "squared", "baseline": BASELINE}
Z = 1.959964


def watched(more: dict[str, Any] | None = None, **also: Any) -> Watched:
    """A model of numbers; more: what its model.json says of the loss."""
    return Watched(classes=(), more=more or SQUARED, **also)


def numbers(values: Sequence[float] | np.ndarray) -> list[tuple[float]]:
    return [(value,) for value in np.asarray(values).tolist()]


def day(rows: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, and what came true, whole numbers of 0 and more: float64 (rows,) each."""
    random = np.random.default_rng(seed)
    predicted = random.uniform(5, 40, rows)
    return predicted, random.poisson(predicted).astype(float)


def test_the_metrics_are_those_of_their_definitions(run_stage: RunStage) -> None:
    p, y = day()
    found = quality_of(watched().day(numbers(p), [*map(str, y)]).report(run_stage))
    squares, constant = (p - y) ** 2, (y - BASELINE["constant"]) ** 2
    width = Z * squares.std(ddof=1) / np.sqrt(len(y))
    ratio = squares.mean() / constant.mean()

    assert ("regression", 500, True) == (found["task"], found["labelled"], found["ok"])
    expected = {
        "rmse": np.sqrt(squares.mean()),
        "rmse_low": np.sqrt(squares.mean() - width),
        "rmse_high": np.sqrt(squares.mean() + width),
        "mae": abs(p - y).mean(),
        "median_error": np.median(abs(p - y)),
        "bias": (p - y).mean(),
        "r2": 1 - squares.sum() / ((y - y.mean()) ** 2).sum(),
        "skill": 1 - ratio,
    }
    assert {name: pytest.approx(value) for name, value in expected.items()} == {
        name: found[name] for name in expected
    }
    assert {"predicted": pytest.approx(p.mean()), "observed": y.mean(), "training": None} == found[
        "target"
    ]
    assert set() == {"roc_auc", "class_shares", "coverage"} & found.keys()


def test_the_interval_of_the_skill_is_that_of_a_bootstrap(run_stage: RunStage) -> None:
    p, y = day(2000)
    found = quality_of(watched().day(numbers(p), [*map(str, y)]).report(run_stage))
    squares, constant = (p - y) ** 2, (y - BASELINE["constant"]) ** 2
    random, drawn = np.random.default_rng(1), []
    for _ in range(2000):
        at = random.integers(0, len(y), len(y))
        drawn.append(1 - squares[at].mean() / constant[at].mean())

    low, high = np.quantile(drawn, [0.025, 0.975])
    assert pytest.approx([low, high], abs=0.01) == [found["skill_low"], found["skill_high"]]


def test_a_model_that_is_worse_than_a_constant_is_not_ok(run_stage: RunStage) -> None:
    p, y = day()
    wrong = watched().day(numbers(p[::-1]), [*map(str, y)])
    found = quality_of(wrong.report(run_stage))
    allowed = quality_of(wrong.report(run_stage, min_skill=-10))

    assert not found["ok"]
    assert f"The skill of {DAY} is {found['skill']:.3f}" in found["problems"][0]
    assert "below its threshold of 0" in found["problems"][0]
    assert allowed["ok"]


def test_the_auc_is_no_matter_of_numbers_nor_the_skill_of_classes(run_stage: RunStage) -> None:
    p, y = day()
    of_numbers = watched().day(numbers(p), [*map(str, y)]).report(run_stage, min_auc=1)
    of_classes = Watched().day([(0.9, 0.1), (0.2, 0.8)], ["0", "1"]).report(run_stage, min_skill=1)

    assert quality_of(of_numbers)["ok"]
    assert quality_of(of_classes)["ok"]


@pytest.mark.parametrize(("off", "ok"), [(0, True), (6, False)])
def test_a_quantile_is_held_to_its_coverage(run_stage: RunStage, off: float, ok: bool) -> None:
    random = np.random.default_rng(0)
    y = random.normal(50, 10, 1000)
    p = np.full(1000, 50 + 1.2816 * 10 + off)
    spec = {"loss": "quantile", "quantile": 0.9, "baseline": {"mean": 50, "constant": 90}}
    report = (
        watched(spec).day(numbers(p), [*map(str, y)]).report(run_stage, max_coverage_error=0.03)
    )
    found = quality_of(report)
    gap = y - p

    assert pytest.approx(np.maximum(0.9 * gap, -0.1 * gap).mean()) == found["pinball_loss"]
    assert (y <= p).mean() == found["coverage"]
    assert ok == found["ok"]
    assert ok or f"The coverage of {DAY} is {found['coverage']:.3f}" in found["problems"][0]
    assert "Coverage" in page_of(report)


def test_counts_have_their_deviance(run_stage: RunStage) -> None:
    p, y = day()
    found = quality_of(
        watched({"loss": "poisson", "baseline": BASELINE})
        .day(numbers(p), [*map(str, y)])
        .report(run_stage)
    )
    logs = np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / p), 0)

    assert pytest.approx((2 * (logs - y + p)).mean()) == found["poisson_deviance"]


def test_labels_that_are_no_numbers_are_named_and_left_out(run_stage: RunStage) -> None:
    p, y = day(100)
    labels = [*map(str, y)]
    labels[3], labels[7], labels[8] = "late", "", "NA"
    few = quality_of(watched().day(numbers(p), labels).report(run_stage))
    labels[20:30] = ["late"] * 10
    many = quality_of(watched().day(numbers(p), labels).report(run_stage))

    assert (97, True) == (few["labelled"], few["ok"])
    assert any("1 are no numbers and are left out: 'late' (1)" in note for note in few["notes"])
    assert not many["ok"]
    assert "11 are no numbers" in many["problems"][0]


def test_before_labels_come_no_error_is_known(run_stage: RunStage) -> None:
    p, _ = day()
    report = watched().day(numbers(p)).report(run_stage)
    found = quality_of(report)

    assert (False, None, None) == (found["labels"], found["rmse"], found["skill"])
    assert found["ok"]
    assert "No alarm, but no labels yet" in page_of(report)
    assert {"rmse": None, "mae": None, "skill": None} == {
        name: report.summary[name] for name in ("rmse", "mae", "skill")
    }


def test_predictions_that_move_are_no_longer_those_of_the_validation(run_stage: RunStage) -> None:
    p, _ = day(1000)
    edges = np.quantile(p, np.arange(1, 10) / 10).tolist()
    scores = {"edges": edges, "counts": {"prediction": [100] * 10}}
    same = quality_of(watched(scores=scores).day(numbers(p)).report(run_stage))
    moved = quality_of(watched(scores=scores).day(numbers(p + 30)).report(run_stage))

    assert same["ok"]
    assert 0.01 > same["prediction_drift"]
    assert f"The predictions on {DAY} have drifted" in moved["problems"][0]


def test_the_history_has_errors_means_and_models(run_stage: RunStage) -> None:
    days = watched()
    for n, date in enumerate(("2013-01-14", "2013-01-15", DAY)):
        p, y = day(200, seed=n)
        days.day(numbers(p), [*map(str, y)], day=date, model="1" if n else "0")
    report = days.report(run_stage)
    history = quality_of(report)["history"]
    p, y = day(200, seed=0)

    assert ["2013-01-14", "2013-01-15", DAY] == [one["date"] for one in history]
    assert pytest.approx(np.sqrt(((p - y) ** 2).mean())) == history[0]["rmse"]
    assert (pytest.approx(p.mean()), y.mean()) == (
        history[0]["mean_prediction"],
        history[0]["mean_target"],
    )
    assert "Root mean squared error with its 95 % interval" in page_of(report)
    assert "The error was least on" in page_of(report)


def test_a_day_of_classes_is_left_out_of_the_history_of_numbers(run_stage: RunStage) -> None:
    p, y = day(100)
    days = watched().day(numbers(p), [*map(str, y)])
    classes = Watched().day([(0.9, 0.1)], ["0"], day="2013-01-15")
    days.inputs |= classes.inputs
    found = quality_of(days.report(run_stage))

    assert [DAY] == [one["date"] for one in found["history"]]
    assert any(
        "2013-01-15 is left out of the history" in note and "has classes" in note
        for note in found["notes"]
    )


def test_predictions_of_the_other_task_are_refused(run_stage: RunStage) -> None:
    files = {**watched().day(numbers([1.0])).inputs}
    result = run_stage(
        "monitor", "report", inputs={**files, "model": Watched().with_model()["model"]}
    )

    assert 65 == result.code
    assert "predictions.csv has numbers, the model given predicts classes" in result.last_error


def test_a_day_without_rows_is_ok(run_stage: RunStage) -> None:
    report = watched().day([], [], data={"x": []}).report(run_stage)

    assert (True, 0) == (quality_of(report)["ok"], report.summary["rows"])


def test_one_row_has_an_error_but_no_interval(run_stage: RunStage) -> None:
    report = watched().day(numbers([3.0]), ["5"]).report(run_stage)
    found = quality_of(report)

    assert (2, None, 2) == (found["rmse"], found["rmse_low"], found["mae"])
    assert "of a single row" in page_of(report)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"loss": "huber", "baseline": BASELINE}, "loss 'huber' is none of squared, absolute"),
        ({"loss": "squared"}, "baseline has no numbers mean and constant"),
        ({"loss": "squared", "baseline": {"mean": 1}}, "baseline has no numbers mean and constant"),
        ({"loss": "quantile", "baseline": BASELINE}, "quantile None is no number between 0 and 1"),
    ],
)
def test_a_model_that_does_not_say_what_it_is_held_to_is_refused(
    run_stage: RunStage, wrong: dict[str, Any], what: str
) -> None:
    result = watched(wrong).day(numbers([3.0])).report(run_stage)

    assert 65 == result.code
    assert result.last_error.startswith(f"model/model.json: {what}")


def test_without_predictions_it_says_what_is_missing(run_stage: RunStage) -> None:
    result = run_stage("monitor", "report", inputs={"model": watched().with_model()["model"]})

    assert (66, "predictions is missing: predict a day, and give its folder") == (
        result.code,
        result.last_error,
    )


def test_quality_json_has_no_number_that_json_has_not(run_stage: RunStage) -> None:
    report = watched().day(numbers([1.0, 2.0]), ["4", "4"]).report(run_stage)
    text = (report.out / "quality.json").read_text("utf-8")

    assert json.loads(text)["r2"] is None
    assert "NaN" not in text
