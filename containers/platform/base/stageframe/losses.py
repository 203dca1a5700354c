"""What a model of numbers is trained to keep small, and the constant that does as well as one can.

Needs NumPy. A model is worth something if its loss is below that of its constant: the mean of the
targets, or their median, or their quantile.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

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
    constant, quantile = mean, {}
    if loss == ABSOLUTE:
        constant = float(np.median(targets))
    if loss == QUANTILE:
        quantile["quantile"] = params["quantile"]
        # Not interpolated: only one of the values has the least loss.
        constant = float(np.quantile(targets, params["quantile"], method="inverted_cdf"))
    return {"loss": loss, **quantile, "baseline": {"mean": mean, "constant": constant}}


def losses_of_rows(
    loss: str, y: NDArray[np.float64], predicted: NDArray[np.float64] | float, quantile: float
) -> NDArray[np.float64]:
    """Return the loss of each row, (rows,); y: targets (rows,).

    Of quantiles that of Koenker and Bassett (1978); of counts the deviance of McCullagh and Nelder,
    Generalized Linear Models (1989).
    """
    gap = y - predicted
    if loss == POISSON:
        # A count is above 0, also where exp() says that it is not.
        expected = np.maximum(predicted, np.finfo(float).tiny)
        logs = np.log(np.where(y > 0, y, 1) / expected)
        return 2 * (np.where(y > 0, y * logs, 0) - y + expected)
    if loss == QUANTILE:
        return np.maximum(quantile * gap, (quantile - 1) * gap)
    return np.square(gap) if loss == SQUARED else np.abs(gap)


def read_loss(path: Path, spec: Mapping[str, Any]) -> tuple[str, float, float, float]:
    """Return what a model.json of numbers, read from `path`, says: loss, quantile, mean, constant.

    The latter two are of the targets that the model has learned from. Raises StageError (65).
    """
    name, quantile, baseline = spec.get("loss"), spec.get("quantile", MEDIAN), spec.get("baseline")
    if name not in LOSSES:
        raise StageError(
            f"{shown(path)}: loss {name!r} is none of {', '.join(LOSSES)}: train again"
        )
    if name == QUANTILE and not ("quantile" in spec and is_number(quantile) and 0 < quantile < 1):
        raise StageError(
            f"{shown(path)}: quantile {spec.get('quantile')!r} is no number between 0 and 1: train"
            " again"
        )
    found = baseline if isinstance(baseline, dict) else {}
    mean, constant = found.get("mean"), found.get("constant")
    if not is_number(mean) or not is_number(constant):
        raise StageError(f"{shown(path)}: baseline has no numbers mean and constant: train again")
    return name, quantile if name == QUANTILE else MEDIAN, mean, constant


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value of a JSON file is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
