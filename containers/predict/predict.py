"""predict: a class and probabilities, or a number, for every row of features/data.csv."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from models import Model, decide, load_model, score
from stageframe import IN, OUT
from stageframe.csv_files import csv_line
from stageframe.tables import read_table

T = TypeVar("T")


def predict() -> dict[str, Any]:
    """Write predictions.csv, row for row and in order; return the summary."""
    model = load_model(IN / "model")
    return predict_numbers(model) if model.loss else predict_classes(model)


def predict_classes(model: Model) -> dict[str, Any]:
    """Write classes and probabilities; return the summary."""
    cells = [csv_line([label]) for label in model.classes]

    def predicted(scores: np.ndarray) -> tuple[str, np.ndarray]:
        best = decide(scores, model.threshold)
        rows = lines(map(cells.__getitem__, best.tolist()), *numerals(scores))
        return rows, np.bincount(best, minlength=len(cells))

    counts = np.zeros(len(cells), int)
    for found in written(model, predicted):
        counts += found
    numbers = zip(model.classes, counts.tolist(), strict=True)
    return {
        "rows": int(counts.sum()),
        **{f"predicted_{label}": number for label, number in numbers},
        **({} if model.threshold is None else {"threshold": model.threshold}),
    }


def predict_numbers(model: Model) -> dict[str, Any]:
    """Write numbers; return the summary."""

    def predicted(numbers: np.ndarray) -> tuple[str, np.ndarray]:
        return lines(*numerals(numbers)), numbers

    rows, total, low, high = 0, 0.0, np.inf, -np.inf
    for numbers in written(model, predicted):
        rows, total = rows + len(numbers), total + float(numbers.sum())
        low, high = min(low, numbers.min()), max(high, numbers.max())
    if not rows:
        return {"rows": 0}
    spread = {"mean_prediction": total / rows, "low": float(low), "high": float(high)}
    return {"rows": rows, **spread}


def header_of(model: Model) -> list[str]:
    """Return the names of the columns of predictions.csv."""
    if model.loss:
        return ["prediction"]
    return ["class", *(f"probability_{label}" for label in model.classes)]


def written(model: Model, predicted: Callable[[np.ndarray], tuple[str, T]]) -> Iterator[T]:
    """Write predictions.csv; yield what `predicted` says of each block beside its lines.

    `predicted` gets what the model gives, (rows, outputs), maybe in another process.
    """
    table = read_table(
        IN / "features" / "data.csv",
        model.features,
        empty=True,
        convert=lambda x, _before: predicted(score(model, x)),
    )
    with (OUT / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(f"{csv_line(header_of(model))}\n")
        for (text, found), _ in table:
            file.write(text)
            yield found


def lines(*columns: Iterable[str]) -> str:
    """Return rows of CSV of the fields of each column."""
    return "".join(f"{line}\n" for line in map(",".join, zip(*columns, strict=True)))


def numerals(x: np.ndarray) -> list[Iterable[str]]:
    """Return the columns of x, float64 (rows, columns), in the shortest texts that are exact."""
    return [map(repr, column) for column in x.T.tolist()]
