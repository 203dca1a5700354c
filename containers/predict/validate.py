"""validate: how good a model is on split/val.csv, which it has not learned from."""

from pathlib import Path
from typing import Any

import numpy as np
from learned_rows import (
    Marked,
    columns_of,
    find_own_copies,
    near_of,
    require_news,
    tell_untaught,
    untaught,
)
from models import load_model, read_rows, score
from stageframe import IN, OUT, write_json
from stageframe.csv_files import write_csv
from stageframe.near_rows import RowMarks, joined
from stageframe.sources import FILE, write_sources
from tasks import task_of


def validate() -> dict[str, Any]:
    """Write metrics.json and the curves; return the metrics that are one number each.

    Rows that the model has learned from, though they have come by another name, are left out.
    """
    model = load_model(IN / "model")
    task, marks = task_of(model), RowMarks(columns_of(model), near_of(model))
    rows = read_rows(model, IN / "split" / "val.csv", lambda x: (score(model, x), marks(x)))
    parts = [(y, *made) for made, y in rows]
    *both, marked = zip(*parts, strict=True)
    y, outputs = map(np.concatenate, both)
    copies = find_own_copies(Marked(joined(marked), y, model.classes), model)
    require_news(copies, y)
    y, outputs = y[~copies.rows], outputs[~copies.rows]
    task.require_evidence(y, model)
    metrics, curves = task.measure(y, outputs, model)
    metrics["copied_rows"] = copies.number
    metrics["copies"] = copies.kinds
    if model.classes:
        metrics["untaught_classes"] = untaught(y, model.classes)
    metrics["scores"] = task.histogram(outputs, model)
    write_json(OUT / "metrics.json", metrics)
    write_sources(OUT / FILE, Path(__file__).parent)
    for name, points in curves.items():
        write_csv(OUT / name, task.CURVES[name], points)
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    if warning := tell_untaught(metrics.get("untaught_classes", [])):
        print(f"warning: {warning}", flush=True)
        return {**numbers, "warnings": warning}
    return numbers
