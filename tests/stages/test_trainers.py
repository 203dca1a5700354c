"""What holds for every trainer: gaps that training had not, what a model rests on, thresholds."""

import csv
import json
from typing import Any

import numpy as np
import pytest
from harness import Result, RunStage
from trainers import Inputs, fit, predictions, prepared, table

TRAINERS = ["train", "train_sklearn", "train_xgboost"]
each_trainer = pytest.mark.parametrize("image", TRAINERS)

# Of each feature, the number of categories: 0 = numeric. The first one alone matters.
NUMBERS = {"alone": 0, "noise": 0, "kind": 5}
NAMES = {"alone": 25, "noise": 0, "kind": 5}
ONLY = {"alone": 0}


def rows(kinds: dict[str, int], number: int) -> np.ndarray:
    """Return features without a gap, float64 (number, kinds)."""
    random = np.random.default_rng(len(kinds) + number)
    numeric = random.normal(size=(number, len(kinds))).round(3)
    codes = [random.integers(0, count or 1, number) for count in kinds.values()]
    return np.where(np.array([*kinds.values()]) > 0, np.column_stack(codes), numeric)


def classes_of(x: np.ndarray, shares: list[float]) -> np.ndarray:
    """Return codes of these shares, int (rows,): by the first feature, and some noise."""
    value = x[:, 0] * 7 % 25 + np.random.default_rng(1).normal(size=len(x)) / 10
    edges = np.quantile(value, np.cumsum(shares)[:-1])
    return np.searchsorted(edges, value)


def described(fitted: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((fitted.out / "model.json").read_text("utf-8"))
    return content


@each_trainer
@pytest.mark.parametrize(
    ("kinds", "number", "shares"),
    [
        (NUMBERS, 600, [0.53, 0.47]),
        (NAMES, 1000, [0.6, 0.3, 0.1]),
        (ONLY, 200, [0.95, 0.05]),
    ],
    ids=["a number", "a category of three classes", "one column, rare class"],
)
def test_without_the_one_feature_that_matters_the_base_rate_is_predicted(
    run_stage: RunStage, image: str, kinds: dict[str, int], number: int, shares: list[float]
) -> None:
    """Though no row of training was without it; an unknown category is an empty field, too."""
    x = rows(kinds, number)
    y = classes_of(x, shares)
    fitted = fit(run_stage, image, prepared(kinds, x, y, len(shares)))
    others = x.copy()
    others[:, 0] = np.nan
    probabilities = predictions(run_stage, fitted, table(np.vstack([others, x]), kinds))[1]
    unknown, known = probabilities[:number], probabilities[number:]
    importance = described(fitted)["importance"]

    assert 0.2 > abs(unknown.mean(axis=0) - np.bincount(y) / number).max()
    assert 0.8 < (known.argmax(axis=1) == y).mean()
    assert [*kinds] == [*importance]
    assert pytest.approx(1, abs=1e-5) == sum(importance.values())
    assert 0.8 < importance["alone"]


def f1(called: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (called & truth).sum() / (called.sum() + truth.sum()))


def with_validation(shares: list[float]) -> tuple[Inputs, np.ndarray, np.ndarray]:
    """Return what a trainer reads, and the features and the classes of val.csv."""
    x = rows(NUMBERS, 1500)
    y = classes_of(x, shares)
    y[::3] = np.roll(y, 1)[::3]  # what cannot be learned
    files = prepared(NUMBERS, x[:1000], y[:1000], len(shares))
    val = prepared(NUMBERS, x[1000:], y[1000:], len(shares))["split"]["train.csv"]
    return {**files, "split": {**files["split"], "val.csv": val}}, x[1000:], y[1000:] == 1


@each_trainer
def test_the_threshold_of_the_best_f1_is_chosen_kept_and_served(
    run_stage: RunStage, image: str
) -> None:
    files, x, truth = with_validation([0.8, 0.2])
    fitted = fit(run_stage, image, files, threshold="f1")
    model = described(fitted)
    labels, probabilities, summary = predictions(run_stage, fitted, table(x, NUMBERS))
    tried = [f1(probabilities[:, 1] > t, truth) for t in np.linspace(0.001, 0.999, 999)]

    assert "f1" == model["params"]["threshold"]
    assert model["threshold"] == fitted.summary["threshold"] == summary["threshold"]
    assert max(tried) <= f1(np.array(labels) == "1", truth)
    assert (probabilities[:, 1] > model["threshold"]).tolist() == [k == "1" for k in labels]
    assert labels.count("1") == summary["predicted_1"]


def test_the_threshold_by_share_predicts_as_many_as_training_had(run_stage: RunStage) -> None:
    files, x, _ = with_validation([0.8, 0.2])
    fitted = fit(run_stage, "train", files, threshold="share")
    labels = predictions(run_stage, fitted, table(x, NUMBERS))[0]
    column = [row[-1] for row in csv.reader(files["split"]["train.csv"].splitlines())]

    assert pytest.approx(column.count("1") / 1000, abs=0.002) == labels.count("1") / len(x)


@each_trainer
def test_a_threshold_for_more_classes_than_two_is_refused(run_stage: RunStage, image: str) -> None:
    files, _, _ = with_validation([0.4, 0.3, 0.3])
    result = run_stage(image, "fit", inputs=files, threshold=0.3)

    assert 64 == result.code
    assert "--threshold 0.3 is for two classes, the target has 3" in result.last_error


def test_the_best_f1_of_no_validation_rows_is_refused(run_stage: RunStage) -> None:
    files, _, _ = with_validation([0.8, 0.2])
    del files["split"]["val.csv"]
    result = run_stage("train", "fit", inputs=files, threshold="f1")

    assert 66 == result.code
    assert "split/val.csv" in result.last_error
