"""What models of numbers keep small, and are measured by: the mean of a loss over the rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stageframe import StageError, shown
from stageframe.losses import ABSOLUTE, POISSON, QUANTILE, SQUARED, losses_of_rows

# The metric of each loss, as metrics.json names it; less is better.
METRICS = {
    SQUARED: "rmse",
    ABSOLUTE: "mae",
    POISSON: "poisson_deviance",
    QUANTILE: "pinball_loss",
}


@dataclass(frozen=True)
class Loss:
    """What a model of numbers keeps small, and the constants that it is held to."""

    name: str
    """One of METRICS."""
    quantile: float
    """Which one it predicts, if that is what it does."""
    mean: float
    """Of the targets that it has learned from."""
    constant: float
    """The number that has the least loss of all, in the place of predictions of these targets."""

    @property
    def metric(self) -> str:
        """The name of what it is measured by."""
        return METRICS[self.name]

    @property
    def measures(self) -> tuple[str, Any]:
        """What two models must have in common to be compared by it."""
        return self.name, self.quantile if self.name == QUANTILE else None

    def told(self) -> str:
        """Return what is kept small, for a sentence."""
        if self.name == QUANTILE:
            return f"the pinball loss of the quantile {self.quantile:g}"
        return {SQUARED: "the squared error", ABSOLUTE: "the absolute error"}.get(
            self.name, "the Poisson deviance"
        )

    def check_targets(self, path: Path, before: int, y: np.ndarray) -> None:
        """Raise StageError (65) where it is not defined; y: targets after so many rows, (rows,)."""
        if self.name == POISSON and y.min() < 0:
            at = int((y < 0).argmax())
            raise StageError(
                f"{shown(path)}, row {before + at + 1}: the target is {y[at]:g}, and the model is"
                " of counts (its loss is poisson), of 0 and more: correct it"
            )

    def of(self, y: np.ndarray, predicted: np.ndarray | float) -> np.ndarray:
        """Return the loss of each row, float64 (rows,); y: targets (rows,)."""
        return losses_of_rows(self.name, y, predicted, self.quantile)

    def total(self, mean: Any) -> Any:
        """Return the metric of a mean loss, or of many: of squares the root, in the target's unit.

        Root mean squared error, but for that the mean itself.
        """
        return np.sqrt(mean) if self.name == SQUARED else mean
