"""What `predict` makes of the rows of a table, for programs that have them in memory.

It goes with each model that `validate` measures, in code.zip, so that MLflow can load that.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from models import decide, load_model, score
from predict import header_of
from stageframe import StageError

Columns = Mapping[str, Sequence[Any]]
Predict = Callable[[np.ndarray], Columns]


def load(folder: Path, names: Sequence[str]) -> Predict:
    """Return what scores rows with the model of this folder, whose columns have these names.

    It gets float64 (rows, columns), NaN = missing, and returns the columns of predictions.csv.
    Raises StageError where the model is not whole, or learned from other columns.
    """
    model = load_model(folder)
    if list(names) != model.features:
        raise StageError("model.json and preprocess.json differ in their columns: train again")
    header = header_of(model)

    def predict(x: np.ndarray) -> Columns:
        # treelite takes no table without rows.
        scores: np.ndarray = score(model, x) if len(x) else np.empty((0, model.outputs))
        columns: list[Sequence[Any]] = scores.T.tolist()
        if not model.loss:
            best = decide(scores, model.threshold).tolist() if len(x) else []
            columns = [[model.classes[code] for code in best], *columns]
        return dict(zip(header, columns, strict=True))

    return predict
