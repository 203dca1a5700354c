"""fit: a LightGBM model of split/train.csv."""

import os
import re
from typing import Any

# Threads that wait must sleep: where others use the cores too, spinning made it 6 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import lightgbm
import numpy as np
from stageframe.training import Prepared, read_prepared, read_training, write_model


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared = read_prepared()
    blocks, y = read_training(prepared)
    model = train(blocks, y, prepared, params)
    return write_model(
        model.encode(),
        "lightgbm",
        prepared,
        rows=len(y),
        trees=model.count("\nTree="),
        params=params,
        versions={"lightgbm": lightgbm.__version__},
    )


def train(x: list[np.ndarray], y: np.ndarray, prepared: Prepared, params: dict[str, Any]) -> str:
    """Return a LightGBM model as text, the same for the same input however many threads run.

    x: blocks of float64 (rows, features), NaN = missing, taken out to spare memory; y: codes of the
    classes, int (rows,).
    https://lightgbm.readthedocs.io/en/stable/Parameters.html#deterministic
    """
    names, classes = prepared.names, len(prepared.classes)
    settings = {
        "objective": "binary" if classes == 2 else "multiclass",
        "num_class": 1 if classes == 2 else classes,
        "seed": params["seed"],
        "learning_rate": params["learning_rate"],
        "num_leaves": params["leaves"],
        "min_data_in_leaf": params["leaf_rows"],
        # Each tree sees a part of the rows and columns, and small groups count for little: a day
        # has its own weather, and what holds on one day only must not be learned by heart.
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "lambda_l2": 5.0,
        "cat_smooth": 30.0,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    # LightGBM changes or refuses names with spaces or JSON's special characters.
    usable = all(re.fullmatch(r"[\w.()%/+-]+", name) for name in names)
    data = lightgbm.Dataset(
        x,
        y,
        feature_name=names if usable else "auto",
        categorical_feature=[names.index(name) for name in prepared.categorical],
        params=settings,
    ).construct()
    x.clear()
    return lightgbm.train(settings, data, num_boost_round=params["rounds"]).model_to_string()
