"""Measure a day's predicted numbers against what came true; NumPy alone, see quality.py."""

import math
from typing import Any

import numpy as np
from quality import Z
from stageframe.losses import POISSON, QUANTILE, losses_of_rows

BINS = 10  # of predictions, of as many rows each
RESIDUAL_BINS = 24  # of the picture of residuals


def measure(y: np.ndarray, predicted: np.ndarray, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of predicted numbers; None where the rows do not tell.

    y: what came true, predicted: float64 (rows,), a row at least; spec: model.json.
    """
    loss, baseline = spec["loss"], spec["baseline"]
    level = spec["quantile"] if loss == QUANTILE else 0.5
    gap, squares = predicted - y, np.square(predicted - y)
    guesses = (predicted, baseline["constant"])
    each = [losses_of_rows(loss, y, guess, level) for guess in guesses]
    mean, low, high = interval(squares)
    spread = float(np.square(y - y.mean()).sum())
    skill, skill_low, skill_high = ratio_interval(*each)
    found: dict[str, Any] = {
        "rmse": math.sqrt(mean),
        "rmse_low": None if low is None else math.sqrt(max(low, 0)),
        "rmse_high": None if high is None else math.sqrt(high),
        "mae": float(np.abs(gap).mean()),
        "r2": 1 - float(squares.sum()) / spread if spread else None,
        "median_error": float(np.median(np.abs(gap))),
        "bias": float(gap.mean()),
        "skill": skill,
        "skill_low": skill_low,
        "skill_high": skill_high,
    }
    if loss == POISSON:
        found["poisson_deviance"] = float(each[0].mean())
    if loss == QUANTILE:
        found["pinball_loss"] = float(each[0].mean())
        found["coverage"] = float(np.mean(y <= predicted))
    found["baseline_rmse"] = float(np.sqrt(np.square(y - baseline["mean"]).mean()))
    found["calibration"] = calibration(y, predicted)
    found["residuals"] = residuals(-gap)
    return found


def interval(values: np.ndarray) -> tuple[float, float | None, float | None]:
    """Return the mean of values, (rows,), and its 95 % interval by the central limit theorem."""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, None, None
    width = Z * float(values.std(ddof=1)) / math.sqrt(n)
    return mean, mean - width, mean + width


def ratio_interval(
    model: np.ndarray, constant: np.ndarray
) -> tuple[float | None, float | None, float | None]:
    """Return 1 less the ratio of two mean losses, each (rows,), and its 95 % interval.

    The variance is that of a ratio estimate: Cochran, Sampling Techniques (1977), chapter 6.
    """
    mean, n = float(constant.mean()), len(constant)
    if not mean:
        return None, None, None
    ratio = float(model.mean()) / mean
    if n < 2:
        return 1 - ratio, None, None
    width = Z * float((model - ratio * constant).std(ddof=1)) / math.sqrt(n) / mean
    return 1 - ratio, 1 - ratio - width, 1 - ratio + width


def calibration(y: np.ndarray, predicted: np.ndarray) -> list[tuple[int, float, float]]:
    """Return rows, mean prediction and mean of what came true of up to BINS bins of rows."""
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return [(len(part), float(predicted[part].mean()), float(y[part].mean())) for part in parts]


def residuals(gap: np.ndarray) -> tuple[list[float], list[int]]:
    """Return edges and counts of a histogram of target less prediction, (rows,).

    It goes as far as 98 of 100 rows; the first and last bin have those beyond.
    """
    low, high = np.quantile(gap, [0.01, 0.99])
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(gap, low, high), RESIDUAL_BINS, (low, high))
    return edges.tolist(), counts.tolist()
