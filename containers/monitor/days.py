"""Days of predictions, and how they came true."""

from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import quality
from inputs import PREDICTIONS, Predictions, read_optional, read_predictions
from labels import MISSING, Labels, read_labels
from stageframe import IN, INPUT_MISSING, StageError, find_days, shown


class Day(NamedTuple):
    """A day's predictions, and how they came true; k classes."""

    day: str
    rows: int
    classes: list[str]
    name: str | None  # of the model that made them
    version: str | None
    path: str | None  # from where it was read
    digest: str | None  # SHA-256 of that model's model.json
    histograms: np.ndarray  # int (k, bins) of the probabilities
    mean: np.ndarray  # float64 (k,), of the probabilities; 0 without rows
    chosen: np.ndarray  # int (k,), rows for which the class was predicted
    labels: Labels | None
    true: np.ndarray | None  # int (k,), rows of the class; None if none has a label
    metrics: dict[str, Any] | None  # of quality.measure, of the rows that have a label

    @property
    def maker(self) -> tuple[str | None, str | None]:
        """What tells whether two days were predicted by one model, as far as it is known."""
        return self.digest, self.version or self.path

    @property
    def labelled(self) -> int:
        """How many rows have a label that is a class of the model: what is measured."""
        return 0 if self.true is None else int(self.true.sum())


def choose_days(chosen: date | None) -> list[Path]:
    """Return the folders of predictions from the oldest to the chosen day, by default the newest.

    Raises StageError (66) if there is none of that day.
    """
    days = find_days("predictions")
    newest = days[-1].name if days else "a day"
    last = str(chosen) if chosen else newest
    if last not in (day.name for day in days):
        raise StageError(f"predictions/{last} is missing: predict that day", INPUT_MISSING)
    return [day for day in days if day.name <= last]


def read_day(folder: Path, edges: list[float]) -> Day:
    """Return a day's predictions, and its labels if they are there.

    edges: between the bins of probabilities.
    """
    found, manifest = read_made(folder)
    return describe_day(folder.name, found, manifest, read_truth(folder, found), edges)


def read_past(folders: list[Path], edges: list[float]) -> tuple[list[Day], list[str]]:
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
        except (StageError, OSError) as error:
            notes.append(f"{folder.name} is left out of the history: {reason(error)}.")
            continue
        try:
            truth = read_truth(folder, found)
        except (StageError, OSError) as error:
            truth = None
            notes.append(f"The labels of {folder.name} are left out: {reason(error)}.")
        days.append(describe_day(folder.name, found, manifest, truth, edges))
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
    return read_labels(target, found.classes, len(found.chosen)) if target.exists() else None


def describe_day(
    day: str,
    found: Predictions,
    manifest: dict[str, Any],
    truth: tuple[np.ndarray, Labels] | None,
    edges: list[float],
) -> Day:
    """Return what is told of a day.

    truth: that of `read_truth`; edges: between the bins of probabilities.
    """
    codes, labels = truth or (np.full(len(found.chosen), MISSING), None)
    k, bins, rows = len(found.classes), len(edges) + 1, len(found.chosen)
    at = [np.searchsorted(edges, column, side="right") for column in found.scores.T]
    known = codes >= 0
    y = codes[known] if known.any() else None
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
        chosen=np.bincount(found.chosen, minlength=k),
        labels=labels,
        true=None if y is None else np.bincount(y, minlength=k),
        metrics=None if y is None else quality.measure(y, found.chosen[known], found.scores[known]),
    )


def text_at(value: Any, *keys: str) -> str | None:
    """Return the text at these keys of a JSON object, one in the other; None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
