"""validate: how good a model is on split/val.csv, which it has not learned from."""

from typing import Any

import numpy as np
from learned_rows import columns_of, find_own_copies, mark, require_news, tell_untaught, untaught
from measures import CURVES, histogram, measure, require_two_classes
from models import load_model, probabilities
from stageframe import IN, OUT, write_json
from stageframe.csv_files import write_csv
from stageframe.rows import RowDigests
from stageframe.tables import read_table


def validate() -> dict[str, Any]:
    """Write metrics.json and the curves; return the metrics that are one number each.

    Rows that the model has learned from, though they have come by another name, are left out.
    """
    model = load_model(IN / "model")
    digest = RowDigests(columns_of(model))
    blocks = read_table(IN / "split" / "val.csv", model.features, model.classes)
    parts = [(y, probabilities(model, x), digest(x)) for x, y in blocks]
    y, scores, digests = (np.concatenate(part) for part in zip(*parts, strict=True))
    copies = find_own_copies(mark(digests, y, model.classes), model)
    require_news(copies, y)
    y, scores = y[~copies.rows], scores[~copies.rows]
    require_two_classes(y, model.classes)
    metrics, curves = measure(y, scores, model.classes, model.threshold)
    if model.threshold is not None:
        metrics["threshold"] = model.threshold
    metrics["copied_rows"] = copies.number
    metrics["untaught_classes"] = untaught(y, model.classes)
    metrics["scores"] = histogram(scores, model.classes)
    write_json(OUT / "metrics.json", metrics)
    for name, points in curves.items():
        write_csv(OUT / name, CURVES[name], points)
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    if warning := tell_untaught(metrics["untaught_classes"]):
        print(f"warning: {warning}", flush=True)
        return {**numbers, "warnings": warning}
    return numbers
