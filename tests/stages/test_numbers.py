"""What holds for every trainer of numbers: losses, the constant beside them, gaps, refusals."""

import csv
import json
from typing import Any

import numpy as np
import pytest
from harness import Input, Result, RunStage
from trainers import Inputs, fit, prepared, table

each_trainer = pytest.mark.parametrize("image", ["train", "train_sklearn", "train_xgboost"])
each_loss = pytest.mark.parametrize("loss", ["squared", "absolute", "poisson", "quantile"])
LEVEL = 0.9  # of the quantile

# Of each feature, the number of categories: 0 = numeric. The first two matter.
KINDS = {"slope": 0, "kind": 5, "noise": 0}


def rows(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features, float64 (number, 3), and counts far from zero that they tell, (number,)."""
    random = np.random.default_rng(seed)
    x = np.column_stack(
        [random.uniform(0, 3, number), random.integers(0, 5, number), random.normal(size=number)]
    )
    return x, random.poisson(100 * np.exp(x[:, 0] / 3 + x[:, 1] / 10)).astype(float)


def told(loss: str) -> dict[str, object]:
    return {"loss": loss, **({"quantile": LEVEL} if loss == "quantile" else {})}


def served(run_stage: RunStage, fitted: Result, x: np.ndarray) -> np.ndarray:
    """The predictions that predict gives with the model, float64 (rows,)."""
    files: dict[str, Input] = {"model": fitted.out, "features": table(x, KINDS)}
    result = run_stage("predict", "predict", inputs=files)
    assert (0, "") == (result.code, result.stderr)
    header, *found = csv.reader((result.out / "predictions.csv").read_text("utf-8").splitlines())
    assert ["prediction"] == header
    return np.array(found, float)[:, 0]


def loss_of(loss: str, y: np.ndarray, guess: np.ndarray | float) -> float:
    """Return the mean loss of guesses, by its definition; y: targets (rows,)."""
    gap = y - guess
    if loss == "squared":
        return float((gap**2).mean())
    if loss == "absolute":
        return float(abs(gap).mean())
    if loss == "quantile":
        return float(np.maximum(LEVEL * gap, (LEVEL - 1) * gap).mean())
    logs = np.log(np.where(y > 0, y, 1) / guess)
    return float(2 * (y * logs - gap).mean())


@each_loss
@each_trainer
def test_what_is_asked_for_is_kept_small_and_said(
    run_stage: RunStage, image: str, loss: str
) -> None:
    (x, y), (other, truth) = rows(3000), rows(2000, seed=1)
    fitted = fit(run_stage, image, prepared(KINDS, x, y, 0), rounds=300, **told(loss))
    model: dict[str, Any] = json.loads((fitted.out / "model.json").read_text("utf-8"))
    guess, constant = served(run_stage, fitted, other), model["baseline"]["constant"]
    best = {"absolute": np.median(y), "quantile": np.quantile(y, LEVEL, method="inverted_cdf")}.get(
        loss, y.mean()
    )

    assert ("regression", loss) == (model["task"], model["loss"])
    assert ([LEVEL] if loss == "quantile" else []) == [
        model[key] for key in ("quantile",) if key in model
    ]
    assert pytest.approx(y.mean()) == model["baseline"]["mean"]
    assert pytest.approx(best) == constant
    assert set() == {"classes", "threshold"} & {*model, *model["params"], *fitted.summary}
    assert 0.3 > loss_of(loss, truth, guess) / loss_of(loss, truth, constant)
    if loss == "quantile":
        assert pytest.approx(LEVEL, abs=0.05) == (truth <= guess).mean()
    else:
        assert pytest.approx(truth.mean(), rel=0.03) == guess.mean()


@each_trainer
def test_without_the_features_that_matter_the_mean_is_predicted(
    run_stage: RunStage, image: str
) -> None:
    """Though no row of training was without them."""
    x, y = rows(3000)
    fitted = fit(run_stage, image, prepared(KINDS, x, y, 0))
    x[:, 0] = np.nan
    spread = served(run_stage, fitted, x) - 100 * np.exp(0.5 + x[:, 1] / 10)

    assert 0.25 * y.std() > abs(spread.mean())


@each_trainer
def test_few_rows_and_large_numbers_are_learned(run_stage: RunStage, image: str) -> None:
    x = np.array([[k % 2, 0, 0] for k in range(40)], float)
    y = 1e6 + 1000 * x[:, 0]
    fitted = fit(run_stage, image, prepared(KINDS, x, y, 0), rounds=300, **of_few(image))

    assert pytest.approx(y.tolist(), abs=100) == served(run_stage, fitted, x).tolist()


def of_few(image: str) -> dict[str, object]:
    """What lets a trainer learn from some dozen rows."""
    return {"leaf_weight": 1} if image == "train_xgboost" else {"leaf_rows": 1}


WRONG: list[tuple[dict[str, object], int, str]] = [
    ({"threshold": 0.3}, 64, "--threshold 0.3 is for two classes, the target is a number"),
    ({"quantile": 0.9}, 64, "--quantile 0.9 is for --loss quantile, not squared"),
    ({"loss": "huber"}, 64, "'huber' is none of squared, absolute, poisson, quantile"),
    ({"loss": "poisson"}, 65, "split/train.csv, row 4: the target is -2"),
]


@each_trainer
@pytest.mark.parametrize(("params", "code", "sentence"), WRONG)
def test_what_cannot_be_learned_is_refused(
    run_stage: RunStage, image: str, params: dict[str, object], code: int, sentence: str
) -> None:
    result = run_stage(image, "fit", inputs=negative(), **params)

    assert (code, True) == (result.code, sentence in result.last_error)


def negative() -> Inputs:
    x, y = rows(100)
    y[3] = -2
    return prepared(KINDS, x, y, 0)


@each_trainer
def test_a_loss_of_numbers_is_refused_for_classes(run_stage: RunStage, image: str) -> None:
    x, y = rows(100)
    files = prepared(KINDS, x, (y > np.median(y)).astype(int), 2)
    result = run_stage(image, "fit", inputs=files, loss="absolute")

    assert 64 == result.code
    assert "--loss is for numbers, the target is of classes" in result.last_error


@each_trainer
def test_one_target_in_all_rows_is_refused(run_stage: RunStage, image: str) -> None:
    x, y = rows(100)
    result = run_stage(image, "fit", inputs=prepared(KINDS, x, y * 0 + 5, 0))

    assert 65 == result.code
    assert "split/train.csv: all targets are 5" in result.last_error
