"""How good probabilities are: metrics, curves, and how sure one may be of them."""

from typing import Any

import numpy as np
from bootstrap import bootstrap
from models import Model, decide
from stageframe import StageError

POINTS = 200  # of a curve, at most
BINS = 10  # of probabilities, for the calibration
# The files of curves, and their columns.
CURVES: dict[str, tuple[str, ...]] = {
    "roc.csv": ("class", "false_positive_rate", "true_positive_rate", "threshold"),
    "precision_recall.csv": ("class", "recall", "precision", "threshold"),
    "calibration.csv": ("class", "rows", "mean_probability", "observed_rate"),
}
LESS_IS_BETTER = False
METRIC = "roc_auc"


def metric_of(_: Model) -> str:
    """Return the name of what a model is measured by."""
    return METRIC


def compared(_: Model) -> tuple[str, ...]:
    """Return the metrics that comparison.json has of a model."""
    return (METRIC, "log_loss", "average_precision", "accuracy", "calibration_error")


def require_evidence(y: np.ndarray, model: Model) -> None:
    """Refuse rows that no model can be measured on; y: codes of their classes (rows,)."""
    if len(np.unique(y)) < 2:
        named = repr(model.classes[y[0]])
        raise StageError(
            f"split/val.csv has rows of one class only, {named}: validate on more days"
        )


def measure(
    y: np.ndarray, scores: np.ndarray, model: Model
) -> tuple[dict[str, Any], dict[str, list[list[Any]]]]:
    """Return the metrics, and the rows of each of CURVES.

    y: codes of the true classes (rows,), two of them at least; scores: probabilities (rows,
    classes). Of two classes, the second is the positive one; of more, each class that y has is
    measured against all others, and the metric is the plain mean (macro, one versus rest).
    """
    # Scoring does without scikit-learn, and starts in half the time.
    from sklearn import metrics as sk  # noqa: PLC0415

    classes, threshold = model.classes, model.threshold
    codes = range(len(classes))
    each: dict[str, dict[str, float]] = {}
    curves: dict[str, list[list[Any]]] = {file: [] for file in CURVES}
    for k in [1] if len(classes) == 2 else np.unique(y).tolist():
        each[classes[k]], points = measure_one(y == k, scores[:, k])
        for file, rows in points.items():
            curves[file] += ([classes[k], *row] for row in rows)
    macro = {
        name: float(np.mean([one[name] for one in each.values()]))
        for name in ("roc_auc", "average_precision", "calibration_error")
    }
    best = decide(scores, threshold)
    return {
        "rows": len(y),
        "classes": classes,
        "accuracy": float(sk.accuracy_score(y, best)),
        "log_loss": float(sk.log_loss(y, scores, labels=codes)),
        "brier_score": float(sk.brier_score_loss(y, scores, labels=codes)),
        **macro,
        "confusion_matrix": sk.confusion_matrix(y, best, labels=codes).tolist(),
        "per_class": each,
        **({} if threshold is None else {"threshold": threshold}),
    }, curves


def measure_one(
    truth: np.ndarray, score: np.ndarray
) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Return the metrics of one class against the others, and the rows of CURVES but for the class.

    truth: bool (rows,); score: probabilities of the class (rows,).
    """
    from sklearn import metrics as sk  # noqa: PLC0415 - see measure

    precision, recall, thresholds = sk.precision_recall_curve(truth, score)
    bins = calibration(truth, score)
    metrics = {
        "roc_auc": float(sk.roc_auc_score(truth, score)),
        "average_precision": float(sk.average_precision_score(truth, score)),
        "calibration_error": sum(n * abs(mean - rate) for n, mean, rate in bins) / len(truth),
    }
    return metrics, {
        "roc.csv": thinned(*sk.roc_curve(truth, score)),
        "precision_recall.csv": thinned(recall[:-1], precision[:-1], thresholds),
        "calibration.csv": bins,
    }


def histogram(scores: np.ndarray, model: Model) -> dict[str, Any]:
    """Return how the probabilities of each class are spread, to compare other days with.

    scores: probabilities (rows, classes). A probability that is an edge is above it.
    """
    edges = [k / 10 for k in range(1, 10)]
    counts = {
        label: np.bincount(np.searchsorted(edges, scores[:, k], side="right"), minlength=10)
        for k, label in enumerate(model.classes)
    }
    return {"edges": edges, "counts": {label: n.tolist() for label, n in counts.items()}}


def calibration(truth: np.ndarray, score: np.ndarray) -> list[tuple[int, float, float]]:
    """Return rows, mean probability and observed rate of each bin of equal width that has rows.

    truth: bool (rows,); score: probabilities (rows,).
    """
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    return [
        (int((bins == b).sum()), float(score[bins == b].mean()), float(truth[bins == b].mean()))
        for b in np.unique(bins)
    ]


def thinned(*columns: np.ndarray) -> list[list[float]]:
    """Return a curve's points, or POINTS of them evenly, the first and the last included."""
    points = np.column_stack(columns)
    chosen = np.linspace(0, len(points) - 1, min(len(points), POINTS)).astype(int)
    rows: list[list[float]] = points[chosen].tolist()
    return rows


def resample(
    y: np.ndarray, scores: list[np.ndarray], _: list[Model], resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the AUC of each model, float64 (models, resamples), on rows that are drawn again.

    y: codes of the true classes (rows,); scores: of each model, probabilities (rows, classes).
    """
    return {METRIC: bootstrap(y, scores, resamples, seed)}
