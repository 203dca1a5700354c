"""What a model of numbers is trained to keep small, and the constant that does as well as one can.

Needs NumPy. A model is worth something if its loss is below that of its constant: the mean of the
targets, or their median, or their quantile.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stageframe.command import Parameter, number, one_of
from stageframe.errors import WRONG_USAGE, StageError
from stageframe.files import IN, shown
from stageframe.threshold import EVEN

SQUARED, ABSOLUTE, POISSON, QUANTILE = LOSSES = ("squared", "absolute", "poisson", "quantile")
MEDIAN = 0.5

PARAMETERS = (
    Parameter(
        "loss",
        one_of(*LOSSES),
        SQUARED,
        f"what is kept small where numbers are predicted: {', '.join(LOSSES)}. The prediction is"
        " then a mean, a median, the mean of counts, or a quantile",
    ),
    Parameter("quantile", number(0.001, 0.999), MEDIAN, "which, with --loss quantile"),
)


def require_classes(params: Mapping[str, Any]) -> None:
    """Raise StageError (64) where `params` ask for a loss of numbers, but classes are predicted."""
    for parameter in PARAMETERS:
        if params[parameter.name] != parameter.default:
            raise StageError(
                f"--{parameter.name} is for numbers, the target is of classes: leave it out, or"
                " preprocess with --task regression",
                WRONG_USAGE,
            )


def require_numbers(params: Mapping[str, Any]) -> None:
    """Raise StageError (64) where `params` do not say what is kept small of numbers."""
    if params["threshold"] != EVEN:
        raise StageError(
            f"--threshold {params['threshold']} is for two classes, the target is a number: leave"
            " it out",
            WRONG_USAGE,
        )
    if params["quantile"] != MEDIAN and params["loss"] != QUANTILE:
        raise StageError(
            f"--quantile {params['quantile']} is for --loss quantile, not {params['loss']}: give"
            " both, or neither",
            WRONG_USAGE,
        )


def check_targets(loss: str, targets: NDArray[np.float64]) -> None:
    """Raise StageError (65) where no model of this loss can be of these targets, (rows,)."""
    table = shown(IN / "split" / "train.csv")
    if targets.min() == targets.max():
        raise StageError(f"{table}: all targets are {targets[0]:g}: train on more rows or days")
    if loss == POISSON and targets.min() < 0:
        row = int((targets < 0).argmax())
        raise StageError(
            f"{table}, row {row + 1}: the target is {targets[row]:g}, and --loss poisson is for"
            " counts, of 0 and more: correct it, or take another loss"
        )


def describe_loss(params: Mapping[str, Any], targets: NDArray[np.float64]) -> dict[str, Any]:
    """Return what model.json says of the loss: `loss`, `quantile` if it is one, and `baseline`.

    targets: (rows,), of what the model has learned from.
    """
    loss, mean = params["loss"], float(targets.mean())
    level = params["quantile"] if loss == QUANTILE else MEDIAN
    constant = float(np.quantile(targets, level)) if loss in (ABSOLUTE, QUANTILE) else mean
    quantile = {"quantile": level} if loss == QUANTILE else {}
    return {"loss": loss, **quantile, "baseline": {"mean": mean, "constant": constant}}
