"""A model at work, as the monitor stage sees it: days of predictions, raw data, and the model."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import Input, Result, RunStage

DAY = "2013-01-16"


@dataclass
class Watched:
    """What is under /in: a model of some classes and columns, and days that are added to it."""

    classes: Sequence[str] = ("0", "1")
    columns: Sequence[Any] = ({"name": "x", "kind": "numeric"},)
    """Of preprocess.json; without a profile by default."""
    class_counts: Sequence[int] | None = None
    scores: dict[str, Any] | None = None
    """Of the validation's metrics.json."""
    trained: Sequence[str] = ("2013-01-01",)
    more: Mapping[str, Any] = field(default_factory=dict)
    """Of model.json: its importance, its threshold, its loss."""
    inputs: dict[str, dict[str, str | bytes]] = field(default_factory=dict)

    @property
    def model_json(self) -> str:
        learned = {"days": [*self.trained], "rows": 1000, "sha256": ""}
        spec = {"version": 1, **self.target, "trained_on": learned}
        return json.dumps({**spec, **self.more})

    @property
    def target(self) -> dict[str, Any]:
        """What model.json and preprocess.json say of it; without classes numbers are predicted."""
        return {"classes": [*self.classes]} if self.classes else {"task": "regression"}

    def day(
        self,
        scores: Sequence[Sequence[float]],
        target: Sequence[str] | None = None,
        *,
        data: Mapping[str, Sequence[object]] | None = None,
        day: str = DAY,
        model: str = "1",
    ) -> "Watched":
        """Add a day. scores: probabilities (rows, classes), or numbers (rows, 1).

        data: the columns of data.csv. Version 1 is the model that is given as /in/model.
        """
        header: list[str] = ["prediction"]
        rows: list[list[Any]] = [[*row] for row in scores]
        if self.classes:
            header = ["class", *(f"probability_{label}" for label in self.classes)]
            rows = [[self.classes[row.index(max(row))], *row] for row in rows]
        another = "" if model == "1" else model
        digest = hashlib.sha256(f"{self.model_json}{another}".encode()).hexdigest()
        manifest = {
            "model": {"path": f"models/{model}", "name": "microstage", "version": model},
            "inputs": {"model/model.json": {"sha256": digest}},
        }
        self.inputs[f"predictions/{day}"] = {
            "predictions.csv": table(header, rows),
            "manifest.json": json.dumps(manifest),
        }
        data = (
            data or {c["name"]: [1] * len(scores) for c in self.columns} or {"x": [1] * len(rows)}
        )
        self.inputs[f"raw/{day}"] = {
            "data.csv": table([*data], [*zip(*data.values(), strict=True)])
        }
        if target is not None:
            self.inputs[f"raw/{day}"]["target.csv"] = table(["target"], [[t] for t in target])
        return self

    def report(self, run_stage: RunStage, **params: object) -> Result:
        """Run `monitor report`."""
        return run_stage("monitor", "report", inputs=self.with_model(), **params)

    def with_model(self) -> Mapping[str, Input]:
        """The inputs of a run."""
        fitted = {"version": 1, "columns": [*self.columns], **self.target, "days": []}
        if self.class_counts:
            fitted["class_counts"] = [*self.class_counts]
        version = {"name": "microstage", "version": "1", "date": "2013-01-13"}
        model: dict[str, str | bytes] = {
            "model.json": self.model_json,
            "preprocess.json": json.dumps(fitted),
            "version.json": json.dumps(version),
        }
        if self.scores:
            model["metrics.json"] = json.dumps({"scores": self.scores})
        return {**self.inputs, "model": model}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return file.getvalue()


def two(*positive: float) -> list[tuple[float, float]]:
    """Probabilities of two classes, by that of the second."""
    return [(1 - p, p) for p in positive]


def numeric(name: str, edges: Sequence[float], counts: Sequence[int], missing: int = 0) -> Any:
    """A numeric column of preprocess.json."""
    profile = {"edges": [*edges], "counts": [*counts], "missing": missing}
    return {"name": name, "kind": "numeric", "profile": profile}


def categorical(name: str, counts: dict[str, int], *, other: int = 0, missing: int = 0) -> Any:
    """A categorical column of preprocess.json."""
    profile = {"counts": [*counts.values()], "other": other, "missing": missing}
    return {"name": name, "kind": "categorical", "categories": [*counts], "profile": profile}


def quality_of(result: Result) -> dict[str, Any]:
    assert (0, "") == (result.code, result.last_error)
    content: dict[str, Any] = json.loads((result.out / "quality.json").read_text("utf-8"))
    return content


def page_of(result: Result) -> str:
    assert (0, "") == (result.code, result.last_error)
    return (result.out / "report.html").read_text("utf-8")
