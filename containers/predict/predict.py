"""predict: a class and probabilities, or a number, for every row of features/data.csv."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from models import Model, decide, load_model, score
from stageframe import IN, OUT
from stageframe.csv_files import write_csv
from stageframe.tables import read_table


def predict() -> dict[str, Any]:
    """Write predictions.csv, row for row and in order; return the summary."""
    model = load_model(IN / "model")
    return predict_numbers(model) if model.loss else predict_classes(model)


def predict_classes(model: Model) -> dict[str, Any]:
    """Write classes and probabilities; return the summary."""
    counts: Counter[str] = Counter()

    def predicted() -> Iterator[list[Any]]:
        for scores in scored(model):
            best = [model.classes[k] for k in decide(scores, model.threshold)]
            counts.update(best)
            for label, row in zip(best, scores.tolist(), strict=True):
                yield [label, *row]

    header = ["class", *(f"probability_{label}" for label in model.classes)]
    write_csv(OUT / "predictions.csv", header, predicted())
    return {
        "rows": counts.total(),
        **{f"predicted_{label}": counts[label] for label in model.classes},
        **({} if model.threshold is None else {"threshold": model.threshold}),
    }


def predict_numbers(model: Model) -> dict[str, Any]:
    """Write numbers; return the summary."""
    rows, total, low, high = 0, 0.0, np.inf, -np.inf

    def predicted() -> Iterator[list[Any]]:
        nonlocal rows, total, low, high
        for numbers in scored(model):
            rows, total = rows + len(numbers), total + float(numbers.sum())
            low, high = min(low, numbers.min()), max(high, numbers.max())
            yield from numbers.tolist()

    write_csv(OUT / "predictions.csv", ["prediction"], predicted())
    if not rows:
        return {"rows": 0}
    spread = {"mean_prediction": total / rows, "low": float(low), "high": float(high)}
    return {"rows": rows, **spread}


def scored(model: Model) -> Iterator[np.ndarray]:
    """Yield what the model gives for the rows, in blocks, (rows, outputs)."""
    for x, _ in read_table(IN / "features" / "data.csv", model.features, empty=True):
        yield score(model, x)
