#!/usr/bin/env python3
"""The steps of a pipeline as a person would write them with the fastest well-known libraries.

usage: steps.py STEP DATA, in a data folder whose inputs are there; polars reads and writes,
LightGBM trains and scores, scikit-learn measures. Files, settings and what is done with the rows
are those of our own stages, but a table is held in memory, and nothing is checked or published.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

DAY = "2013-01-01"
OUT = "peers"


def fit(data: Path) -> None:
    """Describe the columns of the raw tables; write them as one, numeric."""
    raw = data / "raw" / DAY
    table = pl.read_csv(raw / "data.csv")
    table.describe().write_json(data / OUT / "preprocess.json")
    texts = [column for column in table if column.dtype == pl.String]
    known = {column.name: column.drop_nulls().unique().sort().to_list() for column in texts}
    target = pl.read_csv(raw / "target.csv")
    whole = pl.concat([coded(table, known), target], how="horizontal")
    whole.write_csv(data / OUT / "train_data.csv")


def coded(table: pl.DataFrame, known: dict[str, list[str]]) -> pl.DataFrame:
    """Return the table with texts as their place among those that are known, others as gaps."""
    codes = [
        pl.col(name).cast(pl.Enum(values), strict=False).to_physical()
        for name, values in known.items()
    ]
    return table.with_columns(codes)


def split(data: Path) -> None:
    """Put a fifth of the rows, drawn by what is in them, aside: rows that are the same together."""
    table = pl.read_csv(data / "processed" / DAY / "train_data.csv")
    aside = table.hash_rows(seed=17) % 10 < 2
    table.filter(~aside).write_csv(data / OUT / "train.csv")
    table.filter(aside).write_csv(data / OUT / "val.csv")


def train(data: Path) -> None:
    """Train with the settings of containers/train/fit.py, also on copies of rows with a gap."""
    import lightgbm  # noqa: PLC0415 - a step pays for what it uses alone

    settings = {
        "objective": "binary",
        "seed": 17,
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 50,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "lambda_l2": 5.0,
        "cat_smooth": 30.0,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    path = data / "processed" / DAY / "split" / "train.csv"
    known = pl.read_csv(path)
    names = known.columns[:-1]
    x, y = known.drop("target").to_numpy(), known["target"].to_numpy()
    many = min(len(x) // 10, 2000 * len(names))
    copies = np.random.default_rng(17).choice(len(x), many, replace=False)
    gaps = x[copies]
    gaps[np.arange(many), np.arange(many) % len(names)] = np.nan
    table = lightgbm.Dataset(
        np.concatenate([x, gaps]),
        np.concatenate([y, y[copies]]),
        weight=np.concatenate([np.ones(len(x)), np.full(many, 0.5)]),
        feature_name=names,
        categorical_feature=[*categories(data)],
        params=settings,
    )
    model = lightgbm.train(settings, table, num_boost_round=200)
    model.save_model(data / OUT / "model.txt")


def transform(data: Path) -> None:
    """Write the raw table as numbers."""
    table = pl.read_csv(data / "raw" / DAY / "data.csv")
    coded(table, categories(data)).write_csv(data / OUT / "data.csv")


def validate(data: Path) -> None:
    """Score the rows that were put aside and that training has not had; measure."""
    from sklearn import calibration, metrics  # noqa: PLC0415

    folder = data / "processed" / DAY / "split"
    table = pl.read_csv(folder / "val.csv")
    known = pl.read_csv(folder / "train.csv", schema=table.schema).drop("target").hash_rows()
    table = table.filter(~table.drop("target").hash_rows().is_in(known.implode()))
    x, y = table.drop("target").to_numpy(), table["target"].to_numpy()
    probability = scores(data, x)
    curves = {
        "roc": metrics.roc_curve(y, probability),
        "precision_recall": metrics.precision_recall_curve(y, probability),
        "calibration": calibration.calibration_curve(y, probability, n_bins=10),
    }
    numbers = {
        "auc": metrics.roc_auc_score(y, probability),
        "average_precision": metrics.average_precision_score(y, probability),
        "log_loss": metrics.log_loss(y, probability),
        "brier": metrics.brier_score_loss(y, probability),
        "accuracy": metrics.accuracy_score(y, probability >= 0.5),
        "f1": metrics.f1_score(y, probability >= 0.5),
        "points": {name: len(curve[0]) for name, curve in curves.items()},
    }
    (data / OUT / "metrics.json").write_text(json.dumps(numbers, indent=2), "utf-8")


def predict(data: Path) -> None:
    """Write a class and a probability for each row."""
    x = pl.read_csv(data / "features" / DAY / "data.csv").to_numpy()
    probability = scores(data, x)
    columns = {"prediction": (probability >= 0.5).astype(np.int8), "probability": probability}
    pl.DataFrame(columns).write_csv(data / OUT / "predictions.csv")


def scores(data: Path, x: np.ndarray) -> np.ndarray:
    """Return the probabilities that our model gives, by the library that made it."""
    import lightgbm  # noqa: PLC0415

    return np.asarray(lightgbm.Booster(model_file=data / "models" / DAY / "model.txt").predict(x))


def categories(data: Path) -> dict[str, list[str]]:
    """Return the texts of each column that is not of numbers, as our fit learned them."""
    fitted = json.loads((data / "processed" / DAY / "preprocess.json").read_text("utf-8"))
    return {c["name"]: c["categories"] for c in fitted["columns"] if "categories" in c}


STEPS: dict[str, Callable[[Path], None]] = {
    "fit-columns": fit,
    "split-rows": split,
    "train-model": train,
    "transform-rows": transform,
    "validate-model": validate,
    "predict-rows": predict,
}

if __name__ == "__main__":
    STEPS[sys.argv[1]](Path(sys.argv[2]))
