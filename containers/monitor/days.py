"""Days of predictions, and how they came true."""

from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import quality
from inputs import PREDICTIONS, Predictions, read_optional, read_predictions, read_target
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
    mean: np.ndarray  # float64 (k,), of the probabilities
    chosen: np.ndarray  # int (k,), rows for which the class was predicted
    true: np.ndarray | None  # int (k,), rows of the class
    metrics: dict[str, Any] | None  # of quality.measure

    @property
    def maker(self) -> tuple[str | None, str | None]:
        """What tells whether two days were predicted by one model, as far as it is known."""
        return self.digest, self.version or self.path


def choose_days(chosen: date | None) -> list[Path]:
    """Return the folders of predictions from the oldest to the chosen day, by default the newest.

    Raises StageError (66) if there is none of that day; of earlier days, those are passed over that
    have no predictions.csv.
    """
    days = find_days("predictions")
    newest = days[-1].name if days else "a day"
    last = str(chosen) if chosen else newest
    if last not in (day.name for day in days):
        raise StageError(f"predictions/{last} is missing: predict that day", INPUT_MISSING)
    return [
        day
        for day in days
        if day.name == last or (day.name < last and day.joinpath(PREDICTIONS).is_file())
    ]


def read_day(folder: Path, edges: list[float]) -> Day:
    """Return a day's predictions, and its targets if they are there.

    edges: between the bins of probabilities.
    """
    found = read_predictions(folder / PREDICTIONS)
    manifest = read_optional(folder / "manifest.json")
    by = manifest.get("model") or {}
    y = read_truth(folder, found)
    k, bins = len(found.classes), len(edges) + 1
    at = [np.searchsorted(edges, column, side="right") for column in found.scores.T]
    return Day(
        day=folder.name,
        rows=len(found.chosen),
        classes=found.classes,
        name=by.get("name"),
        version=by.get("version"),
        path=by.get("path") or manifest.get("sources", {}).get("model"),
        digest=manifest.get("inputs", {}).get("model/model.json", {}).get("sha256"),
        histograms=np.array([np.bincount(column, minlength=bins) for column in at]),
        mean=found.scores.mean(axis=0),
        chosen=np.bincount(found.chosen, minlength=k),
        true=None if y is None else np.bincount(y, minlength=k),
        metrics=None if y is None else quality.measure(y, found.chosen, found.scores),
    )


def read_truth(folder: Path, found: Predictions) -> np.ndarray | None:
    """Return the class of each row of a day's predictions, int (rows,); None before labels come."""
    target = IN / "raw" / folder.name / "target.csv"
    if not target.exists():
        return None
    y = read_target(target, found.classes)
    if len(y) != len(found.chosen):
        raise StageError(
            f"{shown(target)} has {len(y)} rows, {shown(folder / PREDICTIONS)}"
            f" {len(found.chosen)}: give each prediction its target"
        )
    return y
