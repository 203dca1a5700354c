"""What a model is for, classes or numbers, as far as it matters to how it is measured."""

from typing import Any, Protocol

import classification
import numpy as np
import regression
from models import Model


class Task(Protocol):
    """What classification.py and regression.py have in common.

    y: targets (rows,), codes or numbers; outputs: of `models.score`, (rows, outputs).
    """

    CURVES: dict[str, tuple[str, ...]]
    """The files of curves, and their columns."""
    LESS_IS_BETTER: bool
    """Of the metric that models are compared by."""

    def metric_of(self, model: Model, /) -> str:
        """Return the name of that metric."""

    def compared(self, model: Model, /) -> tuple[str, ...]:
        """Return the names of all metrics that a comparison tells."""

    def require_evidence(self, y: np.ndarray, model: Model, /) -> None:
        """Raise StageError (65) where these rows tell nothing."""

    def measure(
        self, y: np.ndarray, outputs: np.ndarray, model: Model, /
    ) -> tuple[dict[str, Any], dict[str, list[list[Any]]]]:
        """Return the metrics, and the rows of each of CURVES."""

    def histogram(self, outputs: np.ndarray, model: Model, /) -> dict[str, Any]:
        """Return how the outputs are spread."""

    def resample(
        self,
        y: np.ndarray,
        outputs: list[np.ndarray],
        models: list[Model],
        resamples: int,
        seed: int,
        /,
    ) -> dict[str, np.ndarray]:
        """Return metrics of each model, (models, resamples), of rows drawn again and again."""


def task_of(model: Model) -> Task:
    """Return what a model is for."""
    return regression if model.loss else classification
