"""How good probabilities are: metrics, curves, and how sure they are."""

from typing import Any

import numpy as np
from files import StageError

POINTS = 200  # of a curve, at most
BINS = 10  # of probabilities, for the calibration
CONFIDENCE = 0.95  # of an interval


def require_two_classes(y: np.ndarray, classes: list[str]) -> None:
    """Refuse rows that no model can be measured on; y: codes of their classes (rows,)."""
    if len(np.unique(y)) < 2:
        raise StageError(
            f"split/val.csv has rows of one class only, {classes[y[0]]!r}: validate on more days"
        )


def measure(
    y: np.ndarray, scores: np.ndarray, classes: list[str]
) -> tuple[dict[str, Any], dict[str, tuple[list[str], list[list[Any]]]]]:
    """Return the metrics, and the header and rows of each curve by file name.

    y: codes of the true classes (rows,), two of them at least; scores: probabilities (rows,
    classes). Of two classes, the second is the positive one; of more, each class that y has is
    measured against all others, and the metric is the plain mean (macro, one versus rest).
    """
    # Scoring does without scikit-learn, and starts in half the time.
    from sklearn import metrics as sk  # noqa: PLC0415

    codes = range(len(classes))
    curves: dict[str, tuple[list[str], list[list[Any]]]] = {
        "roc.csv": (["class", "false_positive_rate", "true_positive_rate", "threshold"], []),
        "precision_recall.csv": (["class", "recall", "precision", "threshold"], []),
        "calibration.csv": (["class", "rows", "mean_probability", "observed_rate"], []),
    }
    each = {}
    for k in [1] if len(classes) == 2 else np.unique(y).tolist():
        truth, score = y == k, scores[:, k]
        precision, recall, thresholds = sk.precision_recall_curve(truth, score)
        bins = calibration(truth, score)
        for name, rows in (
            ("roc.csv", thinned(*sk.roc_curve(truth, score))),
            ("precision_recall.csv", thinned(recall[:-1], precision[:-1], thresholds)),
            ("calibration.csv", bins),
        ):
            curves[name][1].extend([classes[k], *row] for row in rows)
        each[classes[k]] = {
            "roc_auc": float(sk.roc_auc_score(truth, score)),
            "average_precision": float(sk.average_precision_score(truth, score)),
            "calibration_error": sum(n * abs(mean - rate) for n, mean, rate in bins) / len(y),
        }
    macro = {
        name: float(np.mean([one[name] for one in each.values()]))
        for name in ("roc_auc", "average_precision", "calibration_error")
    }
    best = scores.argmax(axis=1)
    return {
        "rows": len(y),
        "classes": classes,
        "accuracy": float(sk.accuracy_score(y, best)),
        "log_loss": float(sk.log_loss(y, scores, labels=codes)),
        "brier_score": float(sk.brier_score_loss(y, scores, labels=codes)),
        **macro,
        "confusion_matrix": sk.confusion_matrix(y, best, labels=codes).tolist(),
        "per_class": each,
    }, curves


def histogram(scores: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Return how the probabilities of each class are spread, to compare other days with.

    A probability that is an edge is above it.
    """
    edges = [k / 10 for k in range(1, 10)]
    counts = {
        label: np.bincount(np.searchsorted(edges, scores[:, k], side="right"), minlength=10)
        for k, label in enumerate(classes)
    }
    return {"edges": edges, "counts": {label: n.tolist() for label, n in counts.items()}}


def calibration(truth: np.ndarray, score: np.ndarray) -> list[tuple[int, float, float]]:
    """Return rows, mean probability and observed rate of each bin of equal width that has rows."""
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


def bootstrap(y: np.ndarray, scores: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Return the AUC of each model, as `measure` has it, on rows that are drawn again and again.

    y: codes of the true classes (rows,); scores: of each model, probabilities (rows, classes).
    Returns float64 (models, resamples). All models are measured on the same draws (paired). A draw
    has as many rows of each class as there are, with replacement (stratified), so that no class is
    ever without a row. The rows count as independent of each other.
    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13; of differences
    of AUC: Robin et al., pROC (2011), https://doi.org/10.1186/1471-2105-12-77.
    """
    order = np.argsort(y, kind="stable")
    stops = np.cumsum(np.bincount(y))
    spans = {k: slice(stops[k - 1] if k else 0, stops[k]) for k in np.unique(y).tolist()}
    measured = [1] if scores[0].shape[1] == 2 else list(spans)
    # Only the order of the scores counts: they are sorted once, for all draws.
    ranks = [
        [(np.unique(one[order, k], return_inverse=True)[1], spans[k]) for k in measured]
        for one in scores
    ]
    random = np.random.default_rng(seed)
    aucs = np.empty((len(scores), resamples))
    for n in range(resamples):
        drawn = np.concatenate(
            [random.integers(s.start, s.stop, s.stop - s.start) for s in spans.values()]
        )
        aucs[:, n] = [np.mean([auc(r[drawn], span) for r, span in each]) for each in ranks]
    return aucs


def auc(ranks: np.ndarray, positive: slice) -> float:
    """Return the area under the ROC curve: Mann and Whitney's U, ties counted half.

    ranks: int (rows,), equal for equal scores; positive: the rows of the positive class.
    """
    others = np.bincount(
        np.concatenate([ranks[: positive.start], ranks[positive.stop :]]), minlength=len(ranks)
    )
    below = np.cumsum(others) - others / 2
    pairs = (positive.stop - positive.start) * (len(ranks) - positive.stop + positive.start)
    return float(below[ranks[positive]].sum() / pairs)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of a bootstrap's values (resamples,)."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return low, high
