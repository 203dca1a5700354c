"""Score both models of a comparison on the same rows, and measure them."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from bootstrap import CONFIDENCE, interval
from candidates import Candidate
from learned_rows import near_of
from models import Model, read_rows, score
from stageframe import IN, StageError
from stageframe.near_rows import Marks, RowMarks, joined
from stageframe.values import places, same
from tasks import task_of


class Scored(NamedTuple):
    """The rows of val.csv, the challenger's first in each list."""

    y: np.ndarray  # (rows,), codes of the challenger's classes, or numbers
    outputs: list[np.ndarray]  # float64 (rows, outputs), of each model, the classes in that order
    marks: list[dict[str, Marks]]  # of the columns that each model has
    models: list[Model]  # each model as it is measured: see `aligned`


def score_both(challenger: Candidate, champion: Candidate | None) -> Scored:
    """Return the rows of val.csv, scored by both models."""
    model, features = challenger.model, challenger.model.features
    columns = [challenger.columns[name] for name in features]
    marks = RowMarks(columns, near_of(model))
    if champion:
        order = [champion.model.classes.index(label) for label in model.classes] or [0]
        at = [features.index(name) for name in champion.model.features]
        their_marks = RowMarks([columns[j] for j in at], near_of(champion.model))

    def scored(x: np.ndarray) -> list[Any]:
        made = [score(model, x), marks(x)]
        if champion:
            theirs = score(champion.model, recode(x, challenger, champion))
            made += [theirs[:, order], their_marks(x[:, at])]
        return made

    rows = read_rows(model, IN / "split" / "val.csv", scored)
    parts = [(y, *made) for made, y in rows]
    y, *found = zip(*parts, strict=True)
    models = [model, aligned(champion.model, model)] if champion else [model]
    outputs, marked = [*map(np.concatenate, found[::2])], [*map(joined, found[1::2])]
    return Scored(np.concatenate(y), outputs, marked, models)


def aligned(champion: Model, challenger: Model) -> Model:
    """Return the champion with the challenger's order of classes, or measured by its loss."""
    if champion.loss and challenger.loss:
        name, quantile = challenger.loss.name, challenger.loss.quantile
        return replace(champion, loss=replace(champion.loss, name=name, quantile=quantile))
    if champion.threshold is None or champion.classes == challenger.classes:
        return replace(champion, classes=challenger.classes)
    return replace(champion, classes=challenger.classes, threshold=1 - champion.threshold)


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
    y: np.ndarray, outputs: list[np.ndarray], models: list[Model], resamples: int, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the metrics of each model; of two, how much the first has more of what is compared.

    y: targets (rows,); outputs: of each model, (rows, outputs).
    """
    task = task_of(models[0])
    drawn, metric = task.resample(y, outputs, models, resamples, seed), task.metric_of(models[0])
    measured = []
    for i, (one, model) in enumerate(zip(outputs, models, strict=True)):
        metrics, _ = task.measure(y, one, model)
        bounds = {}
        for name, values in drawn.items():
            bounds[f"{name}_low"], bounds[f"{name}_high"] = interval(values[i])
        measured.append({name: metrics[name] for name in task.compared(model)} | bounds)
    if len(measured) == 1:
        return measured, None
    low, high = interval(drawn[metric][0] - drawn[metric][1])
    return measured, {
        metric: measured[0][metric] - measured[1][metric],
        "low": low,
        "high": high,
        "confidence": CONFIDENCE,
        "resamples": resamples,
    }
