"""What is said of a day whose predictions are classes: numbers of quality.json, and the verdict."""

from typing import Any

from days import Day
from inputs import Given
from limits import Limits

SCORES = ("roc_auc", "roc_auc_low", "roc_auc_high", "log_loss")  # of quality.measure
SUMMARY = ("roc_auc", "log_loss", "calibration_error")
NO_LABEL = "no class of the model"


def metrics_of(_: Given) -> tuple[str, ...]:
    """Return the names of a day's metrics, as quality.json has them."""
    return (*SCORES, "average_precision", "calibration_error")


def as_history(day: Day) -> dict[str, Any]:
    """Return what the history tells of a day; rates are of the second of two classes."""
    metrics, binary = day.metrics or {}, len(day.classes) == 2
    return {
        **{name: metrics.get(name) for name in (*SCORES, "accuracy")},
        "predicted_rate": float(day.mean[1]) if binary and day.rows else None,
        "observed_rate": float(day.observed[1]) if binary and day.observed is not None else None,
    }


def describe(today: Day, given: Given) -> dict[str, Any]:
    """Return, for each class, its share in training, among predictions, and of what came true."""
    counts = given.class_counts
    return {
        "class_shares": {
            label: {
                "training": counts[k] / sum(counts) if counts else None,
                "predicted": float(today.chosen[k] / today.rows) if today.rows else None,
                "probability": float(today.mean[k]) if today.rows else None,
                "observed": None if today.observed is None else float(today.observed[k]),
            }
            for k, label in enumerate(today.classes)
        }
    }


def judge(today: Day, _: Given, limits: Limits) -> tuple[list[str], list[str]]:
    """Return what is wrong with the day's AUC, and what is to be said of it."""
    auc, low, high = (
        (today.metrics or {}).get(name) for name in ("roc_auc", "roc_auc_low", "roc_auc_high")
    )
    if today.metrics and auc is None:
        return [], [f"All labels of {today.day} are of one class: there is no AUC."]
    if auc is None or auc >= limits.min_auc:
        return [], []
    interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
    problem = (
        f"The AUC of {today.day} is {auc:.3f}{interval}, below its threshold of {limits.min_auc:g}."
    )
    if high is None or high <= limits.min_auc:
        return [problem], []
    return [problem], [
        "The interval of the AUC reaches above the threshold: with this many rows, the day may be"
        " low by chance."
    ]


def names(classes: list[str]) -> dict[int, str]:
    """Return whose drift is looked at, by the place in `Day.histograms`, and what it is called.

    Of two classes the second tells all.
    """
    kinds = [1] if len(classes) == 2 else range(len(classes))
    return {k: f"predicted probabilities of class {classes[k]!r}" for k in kinds}
