"""What train_xgboost learns, and that predict serves its models as XGBoost itself does."""

import json

import numpy as np
import pytest
from harness import Engine, RunStage
from trainers import KINDS, features, fit, inputs, itself, served, targets

IMAGE = "train_xgboost"

# Run in the image: what XGBoost predicts with the model that the stage wrote.
OWN = f"""
import numpy as np, xgboost
model = xgboost.Booster(model_file=bytearray(open("/in/model/model.txt", "rb").read()))
x = np.genfromtxt("/in/features/data.csv", delimiter=",", skip_header=1)
kinds = {["c" if count else "q" for count in KINDS.values()]}
data = xgboost.DMatrix(x, feature_types=kinds, enable_categorical=True)
np.save("/out/own.npy", model.predict(data))
"""


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_predict_gives_xgboosts_probabilities_bit_for_bit(
    engine: Engine, run_stage: RunStage, classes: int
) -> None:
    x, other = features(4000), features(3000, seed=1)
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, classes), classes), rounds=40)
    own = itself(engine, IMAGE, OWN, other, {"model": fitted.out})

    assert own.tolist() == served(run_stage, fitted, other).tolist()
    assert 20 < len(np.unique(own[:, 1]))


def test_a_class_that_validation_alone_has_is_unlikely(run_stage: RunStage) -> None:
    x = features(2000)
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, 2), 3))

    assert 0.05 > served(run_stage, fitted, x)[:, 2].max()


def test_it_learns(run_stage: RunStage) -> None:
    x, other = features(4000), features(3000, seed=1)
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, 2), 2))
    best = served(run_stage, fitted, other).argmax(axis=1)

    assert 0.7 < np.mean(best == targets(other, 2))


def test_the_parameters_reach_the_model(run_stage: RunStage) -> None:
    x = features(1000)
    params = {"rounds": 7, "depth": 2, "learning_rate": 0.3, "l2": 2.5, "columns": 0.5, "rows": 0.9}
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, 3), 3), seed=3, leaf_weight=1, **params)
    described = json.loads((fitted.out / "model.json").read_text("utf-8"))
    model = json.loads((fitted.out / "model.txt").read_text("utf-8"))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]

    expected = {**params, "seed": 3, "leaf_weight": 1.0, "threshold": 0.5}
    assert expected == described["params"]
    assert "xgboost_json" == described["format"]
    assert 21 == len(trees) == fitted.summary["trees"]
    assert 7 == max(len(tree["split_indices"]) for tree in trees)  # of depth 2


def test_the_number_of_threads_does_not_change_the_model(engine: Engine) -> None:
    x = features(30_000)
    files = inputs(x, targets(x, 3), 3)
    models = set()
    for threads in "1", "2", "3":
        result = engine.run(
            IMAGE,
            ["fit", "--rounds", "10"],
            inputs=files,
            environment={"OMP_NUM_THREADS": threads},
        )
        models.add((result.out / "model.txt").read_bytes())

    assert 1 == len(models)


def test_a_number_beyond_single_precision_is_refused(run_stage: RunStage) -> None:
    x = features(100)
    x[41, 1] = -1e300
    result = run_stage(IMAGE, "fit", inputs=inputs(x, targets(x, 2), 2))

    assert 65 == result.code
    assert "split/train.csv, row 42: column 'rounded' holds -1e+300" in result.last_error


def test_what_is_left_of_the_libraries_can_be_imported(engine: Engine) -> None:
    program = """
import importlib, pkgutil, scipy, xgboost
for package in (scipy, xgboost):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "._" not in module.name and not module.name.endswith("conftest"):
            importlib.import_module(module.name)
print(xgboost.__version__)
"""
    result = engine.run(IMAGE, ["-c", program], entrypoint=["python3"])

    assert (0, "") == (result.code, result.stderr)
    assert result.stdout.startswith("3.")
