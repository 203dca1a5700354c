"""fit: a LightGBM model of split/train.csv."""

import os
import re
from typing import Any

# Threads that wait must sleep: where others use the cores too, spinning made it 6 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import lightgbm
from gap_categories import empty_gaps, fill_gaps
from stageframe.losses import ABSOLUTE, POISSON, QUANTILE, SQUARED
from stageframe.training import (
    Prepared,
    Training,
    read_prepared,
    read_training,
    require_params,
    write_model,
)

OBJECTIVES = {
    SQUARED: "regression",
    ABSOLUTE: "regression_l1",
    POISSON: "poisson",
    QUANTILE: "quantile",
}


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared = read_prepared()
    require_params(prepared, params)
    training = read_training(prepared, params)
    text = train(training, prepared, params)
    model = lightgbm.Booster(model_str=text)
    return write_model(
        text.encode(),
        "lightgbm",
        prepared,
        training,
        trees=model.num_trees(),
        gains=model.feature_importance("gain").tolist(),
        score=model.predict,
        params=params,
        versions={"lightgbm": lightgbm.__version__},
    )


def train(training: Training, prepared: Prepared, params: dict[str, Any]) -> str:
    """Return a LightGBM model as text, the same for the same input however many threads run.

    The blocks are taken out of `training`, to spare memory.
    https://lightgbm.readthedocs.io/en/stable/Parameters.html#deterministic
    """
    names = prepared.names
    settings = {
        **objective(len(prepared.classes), params),
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
    fill_gaps(training.blocks, prepared.categories)
    data = lightgbm.Dataset(
        training.blocks,
        training.targets,
        weight=training.weights,
        feature_name=names if usable else "auto",
        categorical_feature=[names.index(name) for name in prepared.categorical],
        params=settings,
    ).construct()
    training.blocks.clear()
    model = lightgbm.train(settings, data, num_boost_round=params["rounds"])
    return empty_gaps(model.model_to_string(), prepared.categories)


def objective(classes: int, params: dict[str, Any]) -> dict[str, Any]:
    """Return LightGBM's parameters of what is learned: so many classes, or numbers if none."""
    if not classes:
        return {"objective": OBJECTIVES[params["loss"]], "alpha": params["quantile"]}
    if classes == 2:
        return {"objective": "binary", "num_class": 1}
    return {"objective": "multiclass", "num_class": classes}
