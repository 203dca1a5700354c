"""What the page says and draws of predicted classes."""

from collections.abc import Sequence
from typing import Any

import classes_plots as plots
import numpy as np
from limits import Limits
from svg import brief
from timeline import short_day
from verdict import Evidence

TEMPLATE = "classes.html.j2"
MATRIX = 12  # classes, at most, of a confusion matrix that fits the page


def context(quality: dict[str, Any], evidence: Evidence, limits: Limits) -> dict[str, Any]:
    """Return what the template needs; quality: quality.json."""
    today, edges, metrics = evidence.today, evidence.given.edges, evidence.today.metrics
    classes, history = today.classes, quality["history"]
    above = today.histograms[:, len(edges) // 2 + 1 :].sum(axis=1)
    k = 1 if len(classes) == 2 else int(above.argmax())
    auc, reference = quality["roc_auc"], evidence.reference
    return {
        "good": ""
        if auc is None
        else f"The AUC of {auc:.3f} is above its threshold of {limits.min_auc}",
        "classes": classes,
        "metrics": metrics,
        "threshold": threshold(evidence),
        "matrix": metrics and len(classes) <= MATRIX,
        "guess": guess(quality["class_shares"]),
        "captions": {"history": best_and_worst(history), "reliability": too_much(metrics, classes)},
        "drawn": {
            "history": plots.history_of(history, classes, limits.min_auc)
            if len(history) > 1
            else "",
            "reliability": plots.reliability(metrics["calibration"], classes) if metrics else "",
            "outputs": plots.probabilities(
                edges,
                None if reference is None else reference[k],
                today.histograms[k],
                f"Probabilities of {brief(classes[k], 20)}",
                evidence.source,
            )
            if today.rows
            else "",
        },
    }


def threshold(evidence: Evidence) -> float | None:
    """Return from which probability on a row is of the second of two classes, if that is known."""
    told = None if evidence.other else evidence.given.spec.get("threshold")
    return told if isinstance(told, int | float) and len(evidence.today.classes) == 2 else None


def guess(shares: dict[str, dict[str, float | None]]) -> float | None:
    """Return the log loss of who always says the shares that the classes had in training."""
    loss = 0.0
    for share in shares.values():
        if share["training"] is None or share["observed"] is None:
            return None
        if share["observed"]:
            loss -= share["observed"] * float(np.log(max(share["training"], np.finfo(float).eps)))
    return loss


def best_and_worst(history: Sequence[dict[str, Any]]) -> str:
    """Return a sentence on the days with the lowest and the highest AUC, "" if there are no two."""
    days = sorted((d["roc_auc"], d["date"]) for d in history if d["roc_auc"] is not None)
    if len(days) < 2:
        return ""
    (low, worst), (high, best) = days[0], days[-1]
    return (
        f"The AUC was lowest on {short_day(worst)} ({low:.2f}) and highest on {short_day(best)}"
        f" ({high:.2f})."
    )


def too_much(metrics: dict[str, Any] | None, classes: Sequence[str]) -> str:
    """Return a sentence on the mean probability of the second of two classes, else ""."""
    if not metrics or len(classes) != 2:
        return ""
    n, p, q = np.array(metrics["calibration"][1]).T
    said, true, rows = float(n @ p / n.sum()), float(n @ q / n.sum()), float(n.sum())
    # Twice the standard error of a share.
    near = abs(said - true) <= 2 * max(said * (1 - said) / rows, 0) ** 0.5
    verdict = "as near as chance allows" if near else "too much" if said > true else "too little"
    return f"On average the model said {said:.1%}, and {true:.1%} came true: {verdict}."
