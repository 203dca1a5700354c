"""How good predicted numbers are: metrics, curves, and how sure one may be of them."""

from typing import Any

import numpy as np
from losses import Loss
from models import Model
from stageframe import StageError
from stageframe.losses import POISSON, QUANTILE

BINS = 10  # of predictions, of as many rows each
RESIDUALS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of them that a curve tells
# The files of curves, and their columns.
CURVES: dict[str, tuple[str, ...]] = {
    "calibration.csv": ("rows", "mean_prediction", "mean_target", "share_below"),
    "residuals.csv": (
        "rows",
        "mean_prediction",
        *(f"residual_{100 * level:02.0f}" for level in RESIDUALS),
    ),
}
LESS_IS_BETTER = True


def loss_in(model: Model) -> Loss:
    """Return the loss of a model of numbers."""
    if model.loss is None:
        raise TypeError("the model is of classes")
    return model.loss


def metric_of(model: Model) -> str:
    """Return the name of what a model is measured by."""
    return loss_in(model).metric


def compared(model: Model) -> tuple[str, ...]:
    """Return the metrics that comparison.json has of a model."""
    coverage = ("coverage",) if loss_in(model).name == QUANTILE else ()
    names = ("rmse", "mae", "r2", "median_error", "skill", metric_of(model), *coverage)
    return tuple(dict.fromkeys(names))


def require_evidence(y: np.ndarray, _: Model) -> None:
    """Refuse rows that no model can be measured on; y: targets (rows,)."""
    if len(y) < 2:
        raise StageError("split/val.csv has one row only: validate on more days")


def measure(
    y: np.ndarray, outputs: np.ndarray, model: Model
) -> tuple[dict[str, Any], dict[str, list[list[Any]]]]:
    """Return the metrics, and the rows of each of CURVES.

    y: targets (rows,); outputs: predictions (rows, 1).
    """
    # Scoring does without scikit-learn, and starts in half the time.
    from sklearn import metrics as sk  # noqa: PLC0415

    loss, predicted = loss_in(model), outputs[:, 0]
    mean = np.full(len(y), loss.mean)
    found = {
        "rows": len(y),
        "task": "regression",
        "loss": loss.name,
        **({"quantile": loss.quantile} if loss.name == QUANTILE else {}),
        "rmse": float(sk.root_mean_squared_error(y, predicted)),
        "mae": float(sk.mean_absolute_error(y, predicted)),
        "r2": float(sk.r2_score(y, predicted)) if y.min() < y.max() else None,
        "median_error": float(sk.median_absolute_error(y, predicted)),
        "bias": float(np.mean(predicted - y)),
        "baseline_rmse": float(sk.root_mean_squared_error(y, mean)),
        "baseline_mae": float(sk.mean_absolute_error(y, mean)),
        "skill": skill(loss.of(y, predicted).mean(), loss.of(y, loss.constant).mean()),
    }
    if loss.name in (POISSON, QUANTILE):
        found[loss.metric] = float(loss.of(y, predicted).mean())
    if loss.name == QUANTILE:
        found["coverage"] = float(np.mean(y <= predicted))
    return found, curves(y, predicted)


def skill(model: float, constant: float) -> float | None:
    """Return which share of a constant's mean loss a model saves; None where that has none.

    Murphy (1988), https://doi.org/10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2
    """
    return float(1 - model / constant) if constant > 0 else None


def curves(y: np.ndarray, predicted: np.ndarray) -> dict[str, list[list[Any]]]:
    """Return the rows of each of CURVES; y: targets, predicted: (rows,)."""
    order = np.argsort(predicted, kind="stable")
    calibration, residuals = [], []
    for part in np.array_split(order, min(BINS, len(order))):
        truth, guess = y[part], predicted[part]
        head = [len(part), float(guess.mean())]
        calibration.append([*head, float(truth.mean()), float(np.mean(truth <= guess))])
        residuals.append([*head, *np.quantile(truth - guess, RESIDUALS).tolist()])
    return dict(zip(CURVES, (calibration, residuals), strict=True))


def histogram(outputs: np.ndarray, _: Model) -> dict[str, Any]:
    """Return how predictions, (rows, 1), are spread, to compare other days with.

    The bins have as many of them each, as far as they differ. One that is an edge is above it.
    """
    edges = np.unique(np.quantile(outputs[:, 0], np.arange(1, 10) / 10))
    at = np.searchsorted(edges, outputs[:, 0], side="right")
    counts = np.bincount(at, minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": {"prediction": counts.tolist()}}


def resample(
    y: np.ndarray, outputs: list[np.ndarray], models: list[Model], resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return metric and skill of each model, float64 (models, resamples), on rows drawn again.

    y: targets (rows,); outputs: predictions of each model, (rows, 1). All are measured on the same
    draws of as many rows as there are, with replacement (paired); the rows count as independent of
    each other. Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 6.
    """
    losses = [loss_in(model) for model in models]
    columns = [loss.of(y, one[:, 0]) for loss, one in zip(losses, outputs, strict=True)]
    columns += [loss.of(y, loss.constant) for loss in losses]
    random = np.random.default_rng(seed)
    means = np.empty((len(columns), resamples))
    for n in range(resamples):
        drawn = np.bincount(random.integers(0, len(y), len(y)), minlength=len(y))
        means[:, n] = [drawn @ column / len(y) for column in columns]
    ours, constants = means[: len(models)], means[len(models) :]
    with np.errstate(divide="ignore", invalid="ignore"):
        skills = np.where(constants > 0, 1 - ours / constants, 0)
    return {metric_of(models[0]): losses[0].total(ours), "skill": skills}
