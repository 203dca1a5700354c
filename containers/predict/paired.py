"""Score both models of a comparison on the same rows, and measure them."""

import math
from typing import NamedTuple

import numpy as np
from bootstrap import CONFIDENCE, bootstrap, interval
from candidates import Candidate
from measures import measure
from models import Model, probabilities
from stageframe import IN, StageError
from stageframe.rows import RowDigests
from stageframe.tables import read_table
from stageframe.values import places, same

METRICS = ("roc_auc", "log_loss", "average_precision", "accuracy", "calibration_error")


class Scored(NamedTuple):
    """The rows of val.csv, the challenger's first in each list."""

    y: np.ndarray  # int (rows,), codes of the challenger's classes
    scores: list[np.ndarray]  # float64 (rows, classes), each model's probabilities of these classes
    digests: list[np.ndarray]  # uint64 (rows,), of the columns that each model has
    thresholds: list[float | None]  # by which each model predicts the second of these classes


def score(challenger: Candidate, champion: Candidate | None) -> Scored:
    """Return the rows of val.csv, scored by both models."""
    features, classes = challenger.model.features, challenger.model.classes
    columns = [challenger.columns[name] for name in features]
    digest = RowDigests(columns)
    if champion:
        order = [champion.model.classes.index(label) for label in classes]
        at = [features.index(name) for name in champion.model.features]
        their_digest = RowDigests([columns[j] for j in at])
    parts = []
    for x, codes in read_table(IN / "split" / "val.csv", features, classes):
        parts.append([codes, probabilities(challenger.model, x), digest(x)])
        if champion:
            theirs = probabilities(champion.model, recode(x, challenger, champion))
            parts[-1] += [theirs[:, order], their_digest(x[:, at])]
    y, *found = (np.concatenate(part) for part in zip(*parts, strict=True))
    models = [one.model for one in (challenger, champion) if one]
    return Scored(y, found[::2], found[1::2], [threshold_among(one, classes) for one in models])


def threshold_among(model: Model, classes: list[str]) -> float | None:
    """Return a model's threshold where the classes may be in another order than its own."""
    if model.threshold is None or model.classes == classes:
        return model.threshold
    return 1 - model.threshold


def recode(x: np.ndarray, challenger: Candidate, champion: Candidate) -> np.ndarray:
    """Return the champion's features, float64 (rows, features), of those of the challenger.

    Codes of categories are exchanged by their texts. What the champion does not know is missing,
    as transform would have it; so is what was too rare for the challenger's preprocess.json.
    """
    recoded = np.empty((len(x), len(champion.model.features)))
    for j, name in enumerate(champion.model.features):
        values = x[:, challenger.model.features.index(name)]
        if champion.columns[name]["kind"] == "categorical":
            ours, theirs = (one.columns[name]["categories"] for one in (challenger, champion))
            values = exchange(values, ours, theirs, name)
        recoded[:, j] = values
    return recoded


def exchange(values: np.ndarray, ours: list[str], theirs: list[str], name: str) -> np.ndarray:
    """Return a column's codes (rows,) by `theirs`, NaN = missing, where they were by `ours`."""
    codes = places(theirs)
    exchanged = np.array([*(codes.get(same(text), math.nan) for text in ours), math.nan])
    at = np.where(np.isnan(values), len(ours), values).astype(int)
    if at.min() < 0 or at.max() > len(ours):
        raise StageError(
            f"split/val.csv: column {name!r} has a code that is no category of"
            " challenger/preprocess.json: run preprocess again"
        )
    found: np.ndarray = exchanged[at]
    return found


def measure_all(
    y: np.ndarray,
    scores: list[np.ndarray],
    thresholds: list[float | None],
    classes: list[str],
    resamples: int,
    seed: int,
) -> tuple[list[dict[str, float]], dict[str, float] | None]:
    """Return the metrics of each model; of two, how much the first has the larger AUC.

    y: codes of the true classes (rows,); scores: of each model, probabilities (rows, classes);
    thresholds: of each model, see measure.
    """
    drawn = bootstrap(y, scores, resamples, seed)
    measured = []
    for one, threshold, aucs in zip(scores, thresholds, drawn, strict=True):
        metrics, _ = measure(y, one, classes, threshold)
        low, high = interval(aucs)
        bounds = {"roc_auc_low": low, "roc_auc_high": high}
        measured.append({name: metrics[name] for name in METRICS} | bounds)
    if len(measured) == 1:
        return measured, None
    low, high = interval(drawn[0] - drawn[1])
    return measured, {
        "roc_auc": measured[0]["roc_auc"] - measured[1]["roc_auc"],
        "low": low,
        "high": high,
        "confidence": CONFIDENCE,
        "resamples": resamples,
    }
