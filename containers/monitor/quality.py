"""Measure a day's predictions against what came true; NumPy alone.

scikit-learn would bring SciPy along, 100 MB for these few lines; tests hold them to its results.
"""

import math
from typing import Any

import numpy as np

BINS = 10  # of probabilities, for the calibration
Z = 1.959963984540054  # a normal variable is within ± Z in 95 of 100 cases


def measure(y: np.ndarray, chosen: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Return the metrics of n rows and k classes; None where the rows do not tell.

    y, chosen: int (n,), the true classes and the predicted ones; scores: probabilities (n, k). Of
    two classes, the second is the positive one; of more, each class that y has is measured against
    all others, and the metric is the plain mean (macro, one versus rest).
    """
    n, k = scores.shape
    present = np.unique(y).tolist()
    kinds = [1] if k == 2 else present
    auc, low, high = auc_interval([(y == c, scores[:, c]) for c in kinds])
    tables = {c: calibration(y == c, scores[:, c]) for c in kinds}
    true_scores = np.clip(scores[np.arange(n), y], np.finfo(float).eps, 1)
    return {
        "roc_auc": auc,
        "roc_auc_low": low,
        "roc_auc_high": high,
        "log_loss": float(-np.log(true_scores).mean()),
        "average_precision": None
        if auc is None
        else float(np.mean([average_precision(y == c, scores[:, c]) for c in kinds])),
        "calibration_error": float(
            np.mean([sum(m * abs(p - q) for m, p, q in tables[c]) / n for c in kinds])
        ),
        "accuracy": float((y == chosen).mean()),
        "confusion_matrix": np.bincount(y * k + chosen, minlength=k * k).reshape(k, k).tolist(),
        "calibration": tables,
    }


def auc_interval(
    tasks: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[float | None, float | None, float | None]:
    """Return the mean area under the ROC curve of (truth, score) pairs, and its 95 % interval.

    The variance is that of DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or
    more correlated ROC curves" (Biometrics 44, 1988), by midranks as in Sun and Xu, "Fast
    implementation of DeLong's algorithm" (IEEE Signal Processing Letters 21, 2014). It is a sum of
    squares over the rows, so that for the mean of several areas a row's parts are added up first.
    """
    areas, parts = [], np.zeros(len(tasks[0][0]))
    for truth, score in tasks:
        m, n = int(truth.sum()), int((~truth).sum())
        if not m or not n:
            return None, None, None
        ranks = midranks(score)
        above = (
            ranks[truth] - midranks(score[truth])
        ) / n  # share of negatives below each positive
        below = 1 - (ranks[~truth] - midranks(score[~truth])) / m
        area = float(above.mean())
        areas.append(area)
        parts[truth] += (above - area) / math.sqrt(m * (m - 1)) if m > 1 else math.nan
        parts[~truth] += (below - area) / math.sqrt(n * (n - 1)) if n > 1 else math.nan
    auc, width = float(np.mean(areas)), Z * float(np.sqrt((parts**2).sum())) / len(tasks)
    if math.isnan(width):  # one row of a class says nothing of how these rows vary
        return auc, None, None
    return auc, max(0.0, auc - width), min(1.0, auc + width)


def midranks(x: np.ndarray) -> np.ndarray:
    """Return the rank of each value from 1 on; equal values have their mean rank."""
    _, where, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return ranks


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Return the mean of the precision at each threshold, weighted by what it adds in recall."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=math.nan) != 0)
    hits = np.cumsum(truth[order])[ends]
    return float((np.diff(hits, prepend=0) / hits[-1] * hits / (ends + 1)).sum())


def calibration(truth: np.ndarray, score: np.ndarray) -> list[tuple[int, float, float]]:
    """Return rows, mean probability and observed rate of each bin of equal width that has rows.

    truth: bool (rows,); score: probabilities (rows,). The expected calibration error is the mean
    distance of the last two, weighted by rows: Naeini, Cooper and Hauskrecht, "Obtaining well
    calibrated probabilities using Bayesian binning" (2015). predict's classification.py has a
    twin, as metrics are no matter of the frame that images share.
    """
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    counts, hits = np.bincount(bins, minlength=BINS), np.bincount(bins, truth, BINS)
    sums = np.bincount(bins, score, BINS)
    return [
        (int(counts[b]), float(sums[b] / counts[b]), float(hits[b] / counts[b]))
        for b in np.flatnonzero(counts)
    ]
