"""Days of predictions, and how they came true."""

from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import errors
import numpy as np
import quality
from inputs import PREDICTIONS, Given, Predictions, read_optional, read_predictions
from labels import Labels, read_labels, read_number_labels
from stageframe import IN, INPUT_MISSING, StageError, find_days, shown


class Day(NamedTuple):
    """A day's predictions, and how they came true; k classes, or one number (k = 1)."""

    day: str
    rows: int
    classes: list[str]  # none where numbers are predicted
    name: str | None  # of the model that made them
    version: str | None
    path: str | None  # from where it was read
    digest: str | None  # SHA-256 of that model's model.json
    histograms: np.ndarray  # int (k, bins) of the probabilities, or of the numbers
    mean: np.ndarray  # float64 (k,), of the same; 0 without rows
    chosen: np.ndarray  # int (k,), rows for which the class was predicted; (0,) of numbers
    labels: Labels | None
    labelled: int  # rows that have a label that the model knows: what is measured
    observed: np.ndarray | None  # float64 (k,), share of each class, or the mean; None: no labels
    metrics: dict[str, Any] | None  # of these rows: of quality.measure or errors.measure

    @property
    def maker(self) -> tuple[str | None, str | None]:
        """What tells whether two days were predicted by one model, as far as it is known."""
        return self.digest, self.version or self.path


def choose_days(chosen: date | None) -> list[Path]:
    """Return the folders of predictions from the oldest to the chosen day, by default the newest.

    Raises StageError (66) if there is none of that day.
    """
    if not (IN / "predictions").is_dir():
        sentence = "predictions is missing: predict a day, and give its folder"
        raise StageError(sentence, INPUT_MISSING)
    days = find_days("predictions")
    newest = days[-1].name if days else "a day"
    last = str(chosen) if chosen else newest
    if last not in (day.name for day in days):
        raise StageError(f"predictions/{last} is missing: predict that day", INPUT_MISSING)
    return [day for day in days if day.name <= last]


def read_day(folder: Path, given: Given) -> Day:
    """Return a day's predictions, and its labels if they are there."""
    found, manifest = read_made(folder)
    require_kind(folder, found, given)
    return describe_day(folder.name, found, manifest, read_truth(folder, found), given)


def require_kind(folder: Path, found: Predictions, given: Given) -> None:
    """Raise StageError (65) where predictions are numbers, but the model is of classes, say."""
    if given.numbers != (not found.classes):
        what, other = ("classes", "numbers") if given.numbers else ("numbers", "classes")
        raise StageError(
            f"{shown(folder / PREDICTIONS)} has {what}, the model given predicts {other}: give the"
            " model that made them"
        )


def read_past(folders: list[Path], given: Given) -> tuple[list[Day], list[str]]:
    """Return earlier days, and notes on what is wrong with any of them: that is left out.

    A fault in a day of the past is none of the day that is asked for. Days without predictions.csv
    are passed over.
    """
    days, notes = [], []
    for folder in folders:
        try:
            if not (folder / PREDICTIONS).is_file():
                continue
            found, manifest = read_made(folder)
            require_kind(folder, found, given)
        except (StageError, OSError) as error:
            notes.append(f"{folder.name} is left out of the history: {reason(error)}.")
            continue
        try:
            truth = read_truth(folder, found)
        except (StageError, OSError) as error:
            truth = None
            notes.append(f"The labels of {folder.name} are left out: {reason(error)}.")
        days.append(describe_day(folder.name, found, manifest, truth, given))
    return days, notes


def reason(error: StageError | OSError) -> str:
    """Return in one line why a file could not be read."""
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{shown(error.filename)}: {error.strerror}"
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]} …"  # a header may be of any length


def read_made(folder: Path) -> tuple[Predictions, dict[str, Any]]:
    """Return a day's predictions, and the manifest that says what made them, {} if it has none."""
    return read_predictions(folder / PREDICTIONS), read_optional(folder / "manifest.json")


def read_truth(folder: Path, found: Predictions) -> tuple[np.ndarray, Labels] | None:
    """Return what came true of a day's predictions, as `read_labels`; None before labels come."""
    target = IN / "raw" / folder.name / "target.csv"
    if not target.exists():
        return None
    if not found.classes:
        return read_number_labels(target, len(found.scores))
    return read_labels(target, found.classes, len(found.scores))


def describe_day(
    day: str,
    found: Predictions,
    manifest: dict[str, Any],
    truth: tuple[np.ndarray, Labels] | None,
    given: Given,
) -> Day:
    """Return what is told of a day; truth: that of `read_truth`."""
    rows, bins = len(found.scores), len(given.edges) + 1
    at = [np.searchsorted(given.edges, column, side="right") for column in found.scores.T]
    labelled, observed, metrics = 0, None, None
    if truth is not None:
        labelled, observed, metrics = measure(truth[0], found, given.spec)
    return Day(
        day=day,
        rows=rows,
        classes=found.classes,
        name=text_at(manifest, "model", "name"),
        version=text_at(manifest, "model", "version"),
        path=text_at(manifest, "model", "path") or text_at(manifest, "sources", "model"),
        digest=text_at(manifest, "inputs", "model/model.json", "sha256"),
        histograms=np.array([np.bincount(column, minlength=bins) for column in at]),
        mean=found.scores.sum(axis=0) / max(1, rows),
        chosen=np.bincount(found.chosen, minlength=len(found.classes)),
        labels=truth and truth[1],
        labelled=labelled,
        observed=observed,
        metrics=metrics,
    )


def measure(
    truth: np.ndarray, found: Predictions, spec: dict[str, Any]
) -> tuple[int, np.ndarray | None, dict[str, Any] | None]:
    """Return how many rows have a label that the model knows, what they are, and the metrics.

    truth: that of `read_truth`; spec: model.json. For the rest, see Day.
    """
    known = truth >= 0 if found.classes else np.isfinite(truth)
    y, scores = truth[known], found.scores[known]
    if not len(y):
        return 0, None, None
    if found.classes:
        shares = np.bincount(y, minlength=len(found.classes)) / len(y)
        return len(y), shares, quality.measure(y, found.chosen[known], scores)
    return len(y), y.mean(keepdims=True), errors.measure(y, scores[:, 0], spec)


def text_at(value: Any, *keys: str) -> str | None:
    """Return the text at these keys of a JSON object, one in the other; None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
