"""Read what the report is made from: predictions, and the model that is given."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stageframe import IN, StageError, digest, read_json, shown
from stageframe.losses import read_loss
from stageframe.tables import read_header, read_texts, to_floats
from stageframe.tasks import REGRESSION, is_regression
from used import told_by

PREDICTIONS = "predictions.csv"
NUMBER = "prediction"  # its column, and the name of its histogram, where numbers are predicted
WEIGHT = 0.05  # share of its gain from which on a model rests on a feature
EDGES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]  # between bins, if the model has no others


class Predictions(NamedTuple):
    """A day's predictions: n rows, k classes; or numbers, which have no classes."""

    classes: list[str]
    chosen: np.ndarray  # int (n,), indices of classes; (0,) of numbers
    scores: np.ndarray  # float64 (n, k), probabilities, or (n, 1), the numbers


class Given(NamedTuple):
    """The model that is given, as its files describe it."""

    spec: dict[str, Any]  # model.json
    columns: list[dict[str, Any]]  # of preprocess.json
    class_counts: list[int] | None  # rows of each class in training
    mean_target: float | None  # in training, of numbers
    scores: dict[str, Any]  # of its validation: edges between bins, counts by class; may be empty
    version: dict[str, Any]  # version.json, empty if it has none
    digest: str  # SHA-256 of model.json
    used: dict[str, Any]  # by its training, see used.told_by

    @property
    def numbers(self) -> bool:
        """Whether it predicts numbers."""
        return self.spec.get("task") == REGRESSION

    @property
    def classes(self) -> list[str]:
        """The names of its classes; none if it predicts numbers."""
        classes: list[str] = [] if self.numbers else self.spec["classes"]
        return classes

    @property
    def edges(self) -> list[float]:
        """What is between the bins of probabilities, or of numbers."""
        edges: list[float] = self.scores.get("edges", [] if self.numbers else EDGES)
        return edges

    @property
    def counts(self) -> dict[str, list[int]]:
        """How many of its validation's outputs each bin had, by class or NUMBER; may be empty."""
        counts: dict[str, list[int]] = self.scores.get("counts", {})
        return counts

    def rests_on(self, name: str) -> bool:
        """Whether it goes by a feature: by WEIGHT of its gain, or half of an even share.

        What model.json does not tell is taken for true.
        """
        shares = self.spec.get("importance")
        share = shares.get(name) if isinstance(shares, dict) else None
        if not isinstance(share, int | float):
            return True
        return share >= min(WEIGHT, 1 / (2 * len(self.columns)))


def read_given() -> Given:
    """Return the model in /in/model."""
    folder = IN / "model"
    spec = read_json(folder / "model.json", "trained_on")
    if is_regression(folder / "model.json", spec):
        read_loss(folder / "model.json", spec)
    fitted = read_json(folder / "preprocess.json", "columns")
    metrics = read_optional(folder / "metrics.json", folder / "validation" / "metrics.json")
    beside = read_optional(folder / "version.json")
    version = beside or read_optional(folder / "version" / "version.json")
    made = {} if beside else read_optional(folder / "manifest.json")
    return Given(
        spec,
        fitted["columns"],
        fitted.get("class_counts"),
        (fitted.get("target") or {}).get("mean"),
        metrics.get("scores", {}),
        version,
        digest(folder / "model.json"),
        told_by(beside, made),
    )


def read_optional(*paths: Path) -> dict[str, Any]:
    """Return the first of these JSON objects that is there, {} if none is."""
    return next((read_json(path) for path in paths if path.is_file()), {})


def read_predictions(path: Path) -> Predictions:
    """Return predictions.csv, which may have no rows: its classes are those of its header."""
    header = read_header(path)
    if header == [NUMBER]:
        return Predictions([], np.empty(0, int), read_numbers(path))
    classes = [name.removeprefix("probability_") for name in header[1:]]
    if header != ["class", *(f"probability_{label}" for label in classes)] or len(classes) < 2:
        raise StageError(
            f"{shown(path)}, header: it must be {NUMBER}; or class, and probability_<class> for"
            " each of two classes or more: predict again"
        )
    code = {label: i for i, label in enumerate(classes)}
    chosen, scores = [np.empty(0, int)], [np.empty((0, len(classes)))]
    for row, (labels, *columns) in read_texts(path, header):
        if odd := set(labels) - code.keys():
            at = min(map(labels.index, odd))
            raise StageError(
                f"{shown(path)}, row {row + at + 1}: class {labels[at][:50]!r} is none that the"
                " header names: predict again"
            )
        chosen.append(np.array([code[label] for label in labels]))
        named = zip(header[1:], columns, strict=True)
        block = np.column_stack([to_floats(path, name, row, texts) for name, texts in named])
        if not (inside := ((block >= 0) & (block <= 1)).all(axis=1)).all():
            raise StageError(
                f"{shown(path)}, row {row + inside.argmin() + 1}: a probability is not between 0"
                " and 1: predict again"
            )
        scores.append(block)
    return Predictions(classes, np.concatenate(chosen), np.concatenate(scores))


def read_numbers(path: Path) -> np.ndarray:
    """Return the one column of predictions.csv, float64 (n, 1), where numbers are predicted."""
    blocks = [to_floats(path, NUMBER, row, texts) for row, (texts,) in read_texts(path, [NUMBER])]
    found = np.concatenate([np.empty(0), *blocks])
    if (gaps := np.isnan(found)).any():
        raise StageError(f"{shown(path)}, row {gaps.argmax() + 1}: it is empty: predict again")
    return found[:, None]
