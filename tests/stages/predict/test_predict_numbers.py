"""predict gives the model's own numbers, whatever trained it, and whatever it keeps small."""

import csv
import json
from typing import Any

import lightgbm
import numpy as np
import pytest
from harness import Engine, Input, Result, RunStage
from scored import constant_scores
from trainers import KINDS, features, fit, inputs, table

LOSSES = ["squared", "absolute", "poisson", "quantile"]
BASELINE = {"mean": 3.5, "constant": 3.0}

# Run in a trainer's image: what its library predicts with the model that the stage has made.
LIGHTGBM = """
import lightgbm, numpy as np
x = np.genfromtxt("/in/features/data.csv", delimiter=",", skip_header=1)
np.save("/out/own.npy", lightgbm.Booster(model_file="/in/model/model.txt").predict(x))
"""
XGBOOST = f"""
import numpy as np, xgboost
model = xgboost.Booster(model_file=bytearray(open("/in/model/model.txt", "rb").read()))
x = np.genfromtxt("/in/features/data.csv", delimiter=",", skip_header=1)
kinds = {["c" if count else "q" for count in KINDS.values()]}
data = xgboost.DMatrix(x, feature_types=kinds, enable_categorical=True)
np.save("/out/own.npy", model.predict(data))
"""
SCIKIT_LEARN = """
import json, sys
sys.path.insert(0, "/app")
import fit, numpy as np
from stageframe.training import read_prepared, read_training
params = json.load(open("/in/model/model.json"))["params"]
prepared = read_prepared()
model = fit.train(read_training(prepared, params), prepared, params)
x = np.genfromtxt("/in/features/data.csv", delimiter=",", skip_header=1)
np.save("/out/own.npy", model.predict(x))
"""
TRAINERS = [("train", LIGHTGBM), ("train_xgboost", XGBOOST), ("train_sklearn", SCIKIT_LEARN)]


def counts(x: np.ndarray) -> np.ndarray:
    """Return targets that the features of `trainers` tell, float64 (rows,)."""
    known = np.nan_to_num(x)
    expected = np.exp(known[:, 0] / 2000 + known[:, 1] / 3 + known[:, 4] % 3)
    found: np.ndarray = np.random.default_rng(1).poisson(expected)
    return found.astype(float)


def described(loss: str, **changes: Any) -> str:
    quantile = {"quantile": 0.9} if loss == "quantile" else {}
    spec = {"version": 1, "format": "lightgbm", "features": ["a", "b"], "task": "regression"}
    return json.dumps({**spec, "loss": loss, **quantile, "baseline": BASELINE, **changes})


def predict(run_stage: RunStage, model: Input, data: Input) -> tuple[np.ndarray, Result]:
    """Return the predictions, float64 (rows,), and the result."""
    result = run_stage("predict", "predict", inputs={"model": model, "features": data})
    assert (0, "") == (result.code, result.last_error)
    header, *rows = csv.reader((result.out / "predictions.csv").read_text("utf-8").splitlines())
    assert ["prediction"] == header
    return np.array([float(row[0]) for row in rows]), result


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("image", "program"), TRAINERS, ids=[name for name, _ in TRAINERS])
def test_numbers_are_those_of_the_trainers_library_bit_for_bit(
    engine: Engine, run_stage: RunStage, image: str, program: str, loss: str
) -> None:
    x, other = features(4000), features(3000, seed=1)
    files: dict[str, Input] = {**inputs(x, counts(x), 0)}
    quantile = {"quantile": 0.9} if loss == "quantile" else {}
    fitted = fit(run_stage, image, inputs(x, counts(x), 0), rounds=40, loss=loss, **quantile)
    files |= {"model": fitted.out, "features": table(other)}
    own = engine.run(image, ["-c", program], entrypoint=["python3"], inputs=files)
    assert (0, "") == (own.code, own.stderr)
    expected = np.load(own.out / "own.npy").astype(float)

    assert expected.tolist() == predict(run_stage, fitted.out, table(other))[0].tolist()
    assert 20 < len(np.unique(expected))


OBJECTIVES = ["regression", "regression_l1", "poisson", "quantile", "huber", "fair", "mape"]


@pytest.mark.parametrize("objective", [*OBJECTIVES, "gamma", "tweedie"])
def test_what_lightgbm_has_learned_anywhere_is_served(run_stage: RunStage, objective: str) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 2))
    y = np.exp(x[:, 0]) + random.random(2000)
    booster = lightgbm.train(
        {"objective": objective, "verbosity": -1}, lightgbm.Dataset(x, y), num_boost_round=30
    )
    model = {"model.txt": booster.model_to_string(), "model.json": described("squared")}
    rows = "".join(f"{a!r},{b!r}\n" for a, b in x.tolist())
    found, _ = predict(run_stage, model, {"data.csv": f"a,b\n{rows}"})

    assert np.asarray(booster.predict(x)).tolist() == found.tolist()


def numbers(*values: float, loss: str = "squared", **changes: Any) -> dict[str, str | bytes]:
    """A model that predicts these for the rows 0, 1, 2, ..."""
    said = {"format": "treelite", "features": ["row"], **changes}
    return {
        "model.txt": constant_scores([(value,) for value in values]),
        "model.json": described(loss, **said),
    }


def test_the_summary_tells_the_mean_and_the_ends(run_stage: RunStage) -> None:
    model = numbers(1.5, -2.25, 1e300, 0.1)
    found, result = predict(run_stage, model, {"data.csv": "row\n0\n1\n3\n"})

    assert [1.5, -2.25, 0.1] == found.tolist()
    assert {
        "rows": 3,
        "mean_prediction": pytest.approx(-0.65 / 3),
        "low": -2.25,
        "high": 1.5,
    } == result.summary


def test_numbers_are_written_as_short_as_they_are_exact(run_stage: RunStage) -> None:
    _, result = predict(run_stage, numbers(0.1 + 0.2, -5, 1e22), {"data.csv": "row\n0\n1\n2\n"})
    text = (result.out / "predictions.csv").read_text("utf-8")

    assert "prediction\n0.30000000000000004\n-5.0\n1e+22\n" == text


def test_a_day_without_rows_has_predictions_without_rows(run_stage: RunStage) -> None:
    found, result = predict(run_stage, numbers(1, 2), {"data.csv": "row\n"})

    assert ([], {"rows": 0}) == (found.tolist(), result.summary)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": "huber"}, "loss 'huber' is none of squared, absolute, poisson, quantile"),
        ({"loss": None}, "loss None is none of"),
        ({"loss": "quantile", "quantile": None}, "quantile None is no number between 0 and 1"),
        ({"loss": "quantile", "quantile": 90}, "quantile 90 is no number between 0 and 1"),
        ({"loss": "quantile", "quantile": True}, "quantile True is no number between"),
        ({"baseline": None}, "baseline has no numbers mean and constant"),
        ({"baseline": {"mean": 1}}, "baseline has no numbers mean and constant"),
        ({"baseline": {"mean": 1, "constant": "2"}}, "baseline has no numbers mean and constant"),
        ({"task": "ranking"}, "ranking"),
        ({"task": "classification"}, "classes"),
    ],
)
def test_a_model_that_is_not_what_it_says_is_refused(
    run_stage: RunStage, changes: dict[str, Any], says: str
) -> None:
    model, data = numbers(1, 2, **changes), {"data.csv": "row\n0\n"}
    result = run_stage("predict", "predict", inputs={"model": model, "features": data})

    assert 65 == result.code
    assert "model/model.json" in result.last_error
    assert says in result.last_error


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([(1.0, 2.0), (3.0, 4.0)], "scores 2 classes, model.json names a number"),
        ([(float("inf"),), (1.0,)], "a leaf is no number"),
    ],
)
def test_outputs_that_are_no_number_are_refused(
    run_stage: RunStage, scores: list[tuple[float, ...]], says: str
) -> None:
    model = {**numbers(1), "model.txt": constant_scores(scores)}
    result = run_stage(
        "predict", "predict", inputs={"model": model, "features": {"data.csv": "row\n0\n"}}
    )

    assert 65 == result.code
    assert says in result.last_error
