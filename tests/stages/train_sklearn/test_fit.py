"""What train_sklearn learns, and that predict serves its models as scikit-learn itself does."""

import json

import numpy as np
import pytest
from harness import Engine, RunStage
from trainers import features, fit, inputs, itself, served, targets

IMAGE = "train_sklearn"

# Run in the image: what scikit-learn predicts with the classifier that the stage trains.
OWN = """
import sys
sys.path.insert(0, "/app")
import fit, numpy as np
from stageframe.training import read_prepared, read_training
prepared = read_prepared()
params = {"rounds": 40, "learning_rate": 0.05, "leaves": 15, "leaf_rows": 50, "l2": 5.0}
params |= {"columns": 0.8, "seed": 17}
training = read_training(prepared, params)
model = fit.train(training, prepared, params)
other = np.genfromtxt("/in/features/data.csv", delimiter=",", skip_header=1)
np.save("/out/own.npy", model.predict_proba(other))
"""

# Likewise, of a classifier that the program trains without the stage.
PLAIN = """
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
x = np.genfromtxt("/in/split/train.csv", delimiter=",", skip_header=1)
model = HistGradientBoostingClassifier(
    learning_rate=0.05, max_iter=40, max_leaf_nodes=15, min_samples_leaf=50, l2_regularization=5,
    max_features=0.8, early_stopping=False, random_state=17, categorical_features=[2, 4],
)
model.fit(x[:, :-1], x[:, -1])
np.save("/out/own.npy", model.predict_proba(x[:, :-1]))
"""


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_predict_gives_scikit_learns_probabilities_bit_for_bit(
    engine: Engine, run_stage: RunStage, classes: int
) -> None:
    x, other = features(4000), features(3000, seed=1)
    files = inputs(x, targets(x, classes), classes)
    fitted = fit(run_stage, IMAGE, files, rounds=40)
    own = itself(engine, IMAGE, OWN, other, {**files})

    assert own.tolist() == served(run_stage, fitted, other).tolist()
    assert 20 < len(np.unique(own[:, 1]))


def test_where_all_has_been_seen_it_learns_what_scikit_learn_itself_learns(
    engine: Engine, run_stage: RunStage
) -> None:
    x = features(4000, seed=1)
    files = inputs(x, targets(x, 2), 2)
    fitted = fit(run_stage, IMAGE, files, rounds=40)
    own = itself(engine, IMAGE, PLAIN, x, {**files})

    assert own.tolist() == served(run_stage, fitted, x).tolist()


def test_a_class_that_validation_alone_has_is_unlikely(run_stage: RunStage) -> None:
    x = features(2000)
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, 2), 3))

    assert 0.01 > served(run_stage, fitted, x)[:, 2].max()


def test_it_learns(run_stage: RunStage) -> None:
    x, other = features(4000), features(3000, seed=1)
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, 2), 2))
    best = served(run_stage, fitted, other).argmax(axis=1)

    assert 0.7 < np.mean(best == targets(other, 2))


def test_the_parameters_are_kept(run_stage: RunStage) -> None:
    x = features(1000)
    params = {
        "rounds": 7,
        "leaves": 3,
        "learning_rate": 0.3,
        "leaf_rows": 40,
        "l2": 2.5,
        "columns": 0.5,
    }
    fitted = fit(run_stage, IMAGE, inputs(x, targets(x, 3), 3), seed=3, **params)
    described = json.loads((fitted.out / "model.json").read_text("utf-8"))

    assert {**params, "seed": 3, "threshold": 0.5} == described["params"]
    assert "treelite" == described["format"]
    assert 21 == fitted.summary["trees"]


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


def test_more_categories_than_a_byte_can_count_are_refused(run_stage: RunStage) -> None:
    x = features(100)
    files = inputs(x, targets(x, 2), 2)
    spec = json.loads(files["processed"]["preprocess.json"])
    spec["columns"][4]["categories"] = [str(code) for code in range(256)]
    files["processed"]["preprocess.json"] = json.dumps(spec)
    result = run_stage(IMAGE, "fit", inputs=files)

    assert 65 == result.code
    assert "column 'large' has 256 categories" in result.last_error
    assert "--max-categories 255" in result.last_error


def test_what_is_left_of_the_libraries_can_be_imported(engine: Engine) -> None:
    program = """
import importlib, pkgutil, scipy, sklearn, treelite
for package in (scipy, sklearn, treelite):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        public = "._" not in module.name and ".externals." not in module.name
        if public and not module.name.endswith(("conftest", "estimator_checks")):
            importlib.import_module(module.name)
print(sklearn.__version__)
"""
    result = engine.run(IMAGE, ["-W", "ignore", "-c", program], entrypoint=["python3"])

    assert (0, "") == (result.code, result.stderr)
    assert result.stdout.startswith("1.9")
