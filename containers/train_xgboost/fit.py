"""fit: an XGBoost model of split/train.csv."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from stageframe import StageError, shown
from stageframe.losses import ABSOLUTE, POISSON, QUANTILE, SQUARED
from stageframe.threshold import VALIDATION
from stageframe.training import (
    TABLE,
    Prepared,
    Training,
    read_prepared,
    read_training,
    require_params,
    write_model,
)

OBJECTIVES = {
    SQUARED: "reg:squarederror",
    ABSOLUTE: "reg:absoluteerror",
    POISSON: "count:poisson",
    QUANTILE: "reg:quantileerror",
}
# Threads that wait must sleep: where others use the cores too, spinning makes them far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared = read_prepared()
    names = prepared.names
    require_params(prepared, params)
    training = read_training(prepared, params, lambda x, before: to_single(x, names, TABLE, before))
    # A second of imports: not before a signal can end the stage, nor for --help or bad data.
    import xgboost  # noqa: PLC0415

    model = train(training, prepared, params)
    gains = model.get_score(importance_type="total_gain")
    return write_model(
        bytes(model.save_raw("json")),
        "xgboost_json",
        prepared,
        training,
        trees=len(model.get_dump()),
        gains=[gains.get(f"f{j}", 0.0) for j in range(len(names))],
        score=lambda x: model.predict(matrix(to_single(x, names, VALIDATION), prepared)),
        params=params,
        versions={"xgboost": xgboost.__version__},
    )


def to_single(x: np.ndarray, names: list[str], table: Path, before: int = 0) -> np.ndarray:
    """Return a block of a table as float32, XGBoost's own precision; `before`: rows above it.

    Raises StageError (65) for a number that is too large for it.
    """
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if np.isinf(single).any():
        row, j = np.argwhere(np.isinf(single))[0]
        raise StageError(
            f"{shown(table)}, row {before + row + 1}: column {names[j]!r} holds {x[row, j]}, too"
            " large for XGBoost's single precision: scale it"
        )
    return single


def train(training: Training, prepared: Prepared, params: dict[str, Any]) -> Any:
    """Return an xgboost.Booster, the same for the same input however many threads run.

    The blocks, float32, are taken out of `training`, to spare memory.
    https://xgboost.readthedocs.io/en/stable/parameter.html
    """
    import xgboost  # noqa: PLC0415

    settings = {
        **objective(len(prepared.classes), params),
        "tree_method": "hist",
        "seed": params["seed"],
        "learning_rate": params["learning_rate"],
        "max_depth": params["depth"],
        "min_child_weight": params["leaf_weight"],
        "reg_lambda": params["l2"],
        "colsample_bytree": params["columns"],
        "subsample": params["rows"],
        "verbosity": 0,
    }
    x = np.concatenate(training.blocks)
    training.blocks.clear()
    data = matrix(x, prepared, training.targets, training.weights)
    model = xgboost.train(settings, data, num_boost_round=params["rounds"])
    return model if prepared.classes else start_from_zero(model)


def objective(classes: int, params: dict[str, Any]) -> dict[str, Any]:
    """Return XGBoost's parameters of what is learned: so many classes, or numbers if none.

    The raw scores of classes start from zero: a float sum does then not depend on whether the base
    score is added first, as XGBoost does, or last, as treelite does, which predict uses.
    """
    if not classes:
        alpha = {"quantile_alpha": params["quantile"]} if params["loss"] == QUANTILE else {}
        return {"objective": OBJECTIVES[params["loss"]], **alpha}
    if classes == 2:
        return {"objective": "binary:logistic", "base_score": 0.5}
    return {"objective": "multi:softprob", "num_class": classes, "base_score": 0.0}


def start_from_zero(model: Any) -> Any:
    """Return a model of numbers whose base score has become a part of its first tree's leaves.

    See `objective`: numbers may be far from zero, so that a model has to start from where they are.
    https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
    """
    import xgboost  # noqa: PLC0415

    tree = json.loads(model.save_raw("json"))
    learner = tree["learner"]
    (base,) = json.loads(learner["learner_model_param"]["base_score"])
    # The base score of counts is a count, the scores are their logarithms.
    counts = learner["objective"]["name"] == OBJECTIVES[POISSON]
    first = learner["gradient_booster"]["model"]["trees"][0]
    for i, left in enumerate(first["left_children"]):
        if left == -1:
            leaf = first["split_conditions"][i] + (math.log(base) if counts else base)
            first["split_conditions"][i] = float(np.float32(leaf))
    learner["learner_model_param"]["base_score"] = "[1E0]" if counts else "[0E0]"
    return xgboost.Booster(model_file=bytearray(json.dumps(tree).encode()))


def matrix(
    x: np.ndarray,
    prepared: Prepared,
    y: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Return what XGBoost learns from and scores: float32 (rows, features), NaN = missing.

    y: targets, (rows,); weights: (rows,), None = all 1.
    """
    import xgboost  # noqa: PLC0415

    kinds = ["c" if name in prepared.categorical else "q" for name in prepared.names]
    return xgboost.DMatrix(x, y, weight=weights, feature_types=kinds, enable_categorical=True)
