"""fit: an XGBoost model of split/train.csv."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from stageframe import StageError, shown
from stageframe.threshold import VALIDATION, choose_threshold, require_two_classes
from stageframe.training import (
    TABLE,
    Prepared,
    Training,
    read_prepared,
    read_training,
    write_model,
)

# Threads that wait must sleep: where others use the cores too, spinning makes them far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared, asked = read_prepared(), params["threshold"]
    names = prepared.names
    require_two_classes(asked, prepared.classes)
    training = read_training(prepared, lambda x, before: to_single(x, names, TABLE, before))
    # A second of imports: not before a signal can end the stage, nor for --help or bad data.
    import xgboost  # noqa: PLC0415

    model = train(training, prepared, params)
    gains = model.get_score(importance_type="total_gain")
    return write_model(
        bytes(model.save_raw("json")),
        "xgboost_json",
        prepared,
        rows=training.rows,
        trees=len(model.get_dump()),
        gains=[gains.get(f"f{j}", 0.0) for j in range(len(names))],
        threshold=choose_threshold(
            asked,
            names,
            prepared.classes,
            training.share,
            lambda x: model.predict(matrix(to_single(x, names, VALIDATION), prepared)),
        ),
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

    classes = len(prepared.classes)
    settings = {
        "objective": "multi:softprob" if classes > 2 else "binary:logistic",
        # Raw scores start from zero: a float sum does then not depend on whether the base score
        # is added first, as XGBoost does, or last, as treelite does, which predict uses.
        "base_score": 0.0 if classes > 2 else 0.5,
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
    if classes > 2:
        settings["num_class"] = classes
    x = np.concatenate(training.blocks)
    training.blocks.clear()
    data = matrix(x, prepared, training.codes, training.weights)
    return xgboost.train(settings, data, num_boost_round=params["rounds"])


def matrix(
    x: np.ndarray,
    prepared: Prepared,
    y: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Return what XGBoost learns from and scores: float32 (rows, features), NaN = missing.

    y: codes of the classes, int (rows,); weights: (rows,), None = all 1.
    """
    import xgboost  # noqa: PLC0415

    kinds = ["c" if name in prepared.categorical else "q" for name in prepared.names]
    return xgboost.DMatrix(x, y, weight=weights, feature_types=kinds, enable_categorical=True)
