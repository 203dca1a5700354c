"""fit: an XGBoost model of split/train.csv."""

import os
from typing import Any

import numpy as np
from stageframe import StageError, shown
from stageframe.training import TABLE, Prepared, read_prepared, read_training, write_model

# Threads that wait must sleep: where others use the cores too, spinning makes them far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared = read_prepared()
    blocks, y = read_training(prepared, lambda x, before: to_single(x, prepared.names, before))
    x = np.concatenate(blocks)
    blocks.clear()
    # A second of imports: not before a signal can end the stage, nor for --help or bad data.
    import xgboost  # noqa: PLC0415

    model = train(x, y, prepared, params)
    return write_model(
        bytes(model.save_raw("json")),
        "xgboost_json",
        prepared,
        rows=len(y),
        trees=len(model.get_dump()),
        params=params,
        versions={"xgboost": xgboost.__version__},
    )


def to_single(x: np.ndarray, names: list[str], before: int) -> np.ndarray:
    """Return a block of train.csv as float32, XGBoost's own precision; `before`: rows above it.

    Raises StageError (65) for a number that is too large for it.
    """
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if np.isinf(single).any():
        row, j = np.argwhere(np.isinf(single))[0]
        raise StageError(
            f"{shown(TABLE)}, row {before + row + 1}: column {names[j]!r} holds {x[row, j]}, too"
            " large for XGBoost's single precision: scale it"
        )
    return single


def train(x: np.ndarray, y: np.ndarray, prepared: Prepared, params: dict[str, Any]) -> Any:
    """Return an xgboost.Booster, the same for the same input however many threads run.

    x: float32 (rows, features), NaN = missing; y: codes of the classes, int (rows,).
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
    kinds = ["c" if name in prepared.categorical else "q" for name in prepared.names]
    data = xgboost.DMatrix(x, y, feature_types=kinds, enable_categorical=True)
    return xgboost.train(settings, data, num_boost_round=params["rounds"])
