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

FORM = "{:<12}{:>8}  {:<62}{:>8}{:>14}{:>12}"


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
        validated = [self.read("validate-model", date, "metrics.json") for date in trained]
        numbers = any(is_regression(metrics) for metrics in validated)
        heads = ("RMSE", "predicted") if numbers else ("AUC", "predicted 1")
        yield FORM.format("date", "rows", "what", *heads, "came true")
        for date, metrics in zip(trained, validated, strict=True):
            what, measure = self.of_model(date), measure_of(metrics)
            yield FORM.format(str(date), metrics["rows"], what, measure, "", "")
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
        model = self.read("predict-rows", day, "manifest.json")["model"]
        by = f"version {model['version']}" if "version" in model else model["path"]
        what, measure = f"predictions of {by}", measure_of(quality)
        return FORM.format(str(day), len(rows), what, measure, *said_and_true(rows, truth))

    def of_model(self, date: dt.date) -> str:
        """Return what became of the model of a date, in a few words."""
        if not self.folder("track-model", date).exists():
            return "model trained; its validation"
        version = self.read("track-model", date, "version.json")["version"]
        verdict = self.read("compare-models", date, "comparison.json")["verdict"].replace("_", " ")
        fate = "approved" if self.folder("promote-model", date).exists() else "not approved"
        return f"version {version} trained; verdict {verdict}; {fate}"


def is_regression(measured: dict[str, Any]) -> bool:
    """Return whether metrics.json or quality.json is about numbers that were predicted."""
    return bool(measured.get("task") == "regression")


def measure_of(measured: dict[str, Any]) -> str:
    """Return what metrics.json or quality.json is about in one number; "" before labels come."""
    name, form = ("rmse", ".4g") if is_regression(measured) else ("roc_auc", ".3f")
    return "" if measured[name] is None else format(measured[name], form)


def said_and_true(rows: list[dict[str, str]], truth: list[dict[str, str]]) -> tuple[str, str]:
    """Return what was predicted, and what came true: of the last class the share, or the mean."""
    if "prediction" in rows[0]:
        said = sum(float(row["prediction"]) for row in rows) / len(rows)
        known = [float(row["target"]) for row in truth if row["target"].strip()]
        return f"{said:.4g}", f"{sum(known) / len(known):.4g}" if known else ""
    label = list(rows[0])[-1].removeprefix("probability_")
    share = sum(row["class"] == label for row in rows) / len(rows)
    return f"{share:.1%}", f"{sum(row['target'] == label for row in truth) / len(rows):.1%}"


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
