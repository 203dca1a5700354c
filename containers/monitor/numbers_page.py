"""What the page says and draws of predicted numbers."""

from collections.abc import Sequence
from typing import Any

import numbers_plots as plots
from limits import Limits
from stageframe.losses import ABSOLUTE, POISSON, QUANTILE, SQUARED
from timeline import short_day
from verdict import Evidence

TEMPLATE = "numbers.html.j2"
PREDICTED = {
    SQUARED: "the mean",
    ABSOLUTE: "the median",
    POISSON: "the mean of counts",
    QUANTILE: "a quantile",
}


def context(quality: dict[str, Any], evidence: Evidence, limits: Limits) -> dict[str, Any]:
    """Return what the template needs; quality: quality.json."""
    today, metrics, spec = evidence.today, evidence.today.metrics, evidence.given.spec
    history, reference = quality["history"], evidence.reference
    skill = quality["skill"]
    return {
        "good": ""
        if skill is None
        else f"The model saves {skill:.1%} of a constant's loss, above"
        f" its threshold of {limits.min_skill:g}",
        "metrics": metrics,
        "predicted": PREDICTED[spec["loss"]]
        + (f" of {spec['quantile']:g}" if spec["loss"] == QUANTILE else ""),
        "captions": {"history": best_and_worst(history), "reliability": too_much(quality)},
        "drawn": {
            "history": plots.history_of(history, limits.min_skill) if len(history) > 1 else "",
            "reliability": plots.reliability(metrics["calibration"]) if metrics else "",
            "residuals": plots.residuals(*metrics["residuals"]) if metrics else "",
            "outputs": plots.spread(
                evidence.given.edges,
                None if reference is None else reference[0],
                today.histograms[0],
                evidence.source,
            )
            if today.rows
            else "",
        },
    }


def best_and_worst(history: Sequence[dict[str, Any]]) -> str:
    """Return a sentence on the days with the least and the largest error; "" of one day."""
    days = sorted((day["rmse"], day["date"]) for day in history if day["rmse"] is not None)
    if len(days) < 2:
        return ""
    (low, best), (high, worst) = days[0], days[-1]
    return (
        f"The error was least on {short_day(best)} ({low:.4g}) and largest on {short_day(worst)}"
        f" ({high:.4g})."
    )


def too_much(quality: dict[str, Any]) -> str:
    """Return a sentence on the means of what was predicted and came true, "" before labels come."""
    if not quality["labels"]:
        return ""
    said, true = quality["target"]["predicted"], quality["target"]["observed"]
    return f"On average {said:.4g} was predicted, and {true:.4g} came true."
