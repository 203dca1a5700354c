"""What came of past dates: a table of models, and of the days that were then predicted."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.dates import row_of

from microstage.jobs import target_of
from microstage.pipelines import Pipeline

FORM = "{:<12}{:>8}  {:<62}{:>7}{:>14}{:>12}"


class Outcome:
    """What the rows of a pipeline have published, by their kinds of work."""

    def __init__(self, pipeline: Pipeline, data: Path) -> None:
        """Look at a pipeline's results; `data` is its own."""
        self.pipeline, self.data = pipeline, data

    def folder(self, work: str, day: dt.date) -> Path:
        """Return where the row of a kind of work publishes a day."""
        return self.data / target_of(self.pipeline, row_of(self.pipeline, work).stage, str(day))

    def read(self, work: str, day: dt.date, file: str) -> Any:
        """Return a JSON file of what it has published."""
        return json.loads((self.folder(work, day) / file).read_text(encoding="utf-8"))

    def lines(self, trained: list[dt.date], days: int) -> Iterator[str]:
        """Yield the table: each model and what it was worth, and `days` days after it."""
        yield FORM.format("date", "rows", "what", "AUC", "predicted 1", "came true")
        for date in trained:
            metrics = self.read("validate-model", date, "metrics.json")
            auc = f"{metrics['roc_auc']:.3f}"
            yield FORM.format(str(date), metrics["rows"], self.of_model(date), auc, "", "")
            for day in [date + dt.timedelta(n + 1) for n in range(days)]:
                yield self.of_day(day)

    def of_day(self, day: dt.date) -> str:
        """Return the line of a day that was predicted, or was not."""
        if not self.folder("report-quality", day).exists():
            return FORM.format(str(day), "", "no predictions: no model in production", *"   ")
        quality = self.read("report-quality", day, "quality.json")
        rows = table(self.folder("predict-rows", day) / "predictions.csv")
        if not rows:
            return FORM.format(str(day), "0", "a day without rows", *"   ")
        truth = table(self.folder("generate-data", day) / "target.csv")
        label = list(rows[0])[-1].removeprefix("probability_")
        said = sum(row["class"] == label for row in rows) / len(rows)
        true = sum(row["target"] == label for row in truth) / len(rows)
        model = self.read("predict-rows", day, "manifest.json")["model"]
        by = f"version {model['version']}" if "version" in model else model["path"]
        auc = "" if quality["roc_auc"] is None else f"{quality['roc_auc']:.3f}"
        what = f"predictions of {by}"
        return FORM.format(str(day), len(rows), what, auc, f"{said:.1%}", f"{true:.1%}")

    def of_model(self, date: dt.date) -> str:
        """Return what became of the model of a date, in a few words."""
        if not self.folder("track-model", date).exists():
            return "model trained; its validation"
        version = self.read("track-model", date, "version.json")["version"]
        verdict = self.read("compare-models", date, "comparison.json")["verdict"].replace("_", " ")
        fate = "approved" if self.folder("promote-model", date).exists() else "not approved"
        return f"version {version} trained; verdict {verdict}; {fate}"


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
