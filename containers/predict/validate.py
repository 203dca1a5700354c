"""validate: how good a model is on split/val.csv, which it has not learned from."""

from typing import Any

import numpy as np
from measures import CURVES, histogram, measure, require_two_classes
from models import load_model, probabilities
from stageframe import IN, OUT, write_json
from stageframe.csv_files import write_csv
from stageframe.tables import read_table


def validate() -> dict[str, Any]:
    """Write metrics.json and the curves; return the metrics that are one number each."""
    model = load_model(IN / "model")
    blocks = read_table(IN / "split" / "val.csv", model.features, model.classes)
    parts = [(probabilities(model, x), y) for x, y in blocks]
    scores, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    require_two_classes(y, model.classes)
    metrics, curves = measure(y, scores, model.classes)
    metrics["scores"] = histogram(scores, model.classes)
    write_json(OUT / "metrics.json", metrics)
    for name, rows in curves.items():
        write_csv(OUT / name, CURVES[name], rows)
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}
