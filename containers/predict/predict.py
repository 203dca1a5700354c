"""predict: a class, and a probability of each class, for every row of features/data.csv."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from models import Model, decide, load_model, probabilities
from stageframe import IN, OUT
from stageframe.csv_files import write_csv
from stageframe.tables import read_table


def predict() -> dict[str, Any]:
    """Write predictions.csv, row for row and in order; return the summary."""
    model = load_model(IN / "model")
    counts: Counter[str] = Counter()
    header = ["class", *(f"probability_{label}" for label in model.classes)]
    write_csv(OUT / "predictions.csv", header, predicted(model, counts))
    return {
        "rows": counts.total(),
        **{f"predicted_{label}": counts[label] for label in model.classes},
        **({} if model.threshold is None else {"threshold": model.threshold}),
    }


def predicted(model: Model, counts: Counter[str]) -> Iterator[list[Any]]:
    """Yield the predictions, class and probabilities, and count the classes."""
    for x, _ in read_table(IN / "features" / "data.csv", model.features, empty=True):
        scores = probabilities(model, x)
        best = [model.classes[k] for k in decide(scores, model.threshold)]
        counts.update(best)
        for label, row in zip(best, scores.tolist(), strict=True):
            yield [label, *row]
