"""What a comparison says about a promotion: whether to ask, and what a person is told.

Pure functions of version.json and comparison.json, whose formats are in docs/contract.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

# What a promotion without a person must not cost, at the least favourable end of its interval.
MARGIN = 0.02  # of the AUC
MORE_LOSS = 1.05  # times the log loss
MORE_ERROR = 1.02  # times the error of numbers
VERDICTS = ("first", "better", "no_clear_difference", "worse")  # that tell something
METRICS = {
    "roc_auc": "AUC",
    "average_precision": "average precision",
    "log_loss": "log loss (less is better)",
    "calibration_error": "calibration error (less is better)",
    "accuracy": "accuracy",
    "rmse": "root mean squared error (less is better)",
    "mae": "mean absolute error (less is better)",
    "median_error": "median absolute error (less is better)",
    "r2": "R²",
    "skill": "skill: what it saves of a constant's loss",
    "poisson_deviance": "Poisson deviance (less is better)",
    "pinball_loss": "pinball loss (less is better)",
    "coverage": "coverage: share of the targets up to the prediction",
}


def automatic(policy: str, comparison: dict[str, Any]) -> bool:
    """Tell whether to promote without asking; False: ask. Raises AirflowSkipException for a no.

    Not worse is what has no clear difference and, at the worse end of the interval, loses at most
    MARGIN of the AUC, or has at most MORE_ERROR: a wide interval alone is no evidence. Whatever the
    verdict, a model that may be no better than chance, or than a constant, or whose probabilities
    are worse, is a person's decision.
    """
    verdict = comparison["verdict"]
    if policy == "off" or verdict not in VERDICTS:  # such as not_comparable
        return False
    if verdict == "worse" or (policy == "better" and verdict == "no_clear_difference"):
        raise AirflowSkipException(f"Production stays as it is: {comparison['reason']}")
    return _is_sure(comparison)


def _is_sure(comparison: dict[str, Any]) -> bool:
    """Tell whether the new model is worth something, and surely not much worse than the other."""
    challenger, champion = comparison["challenger"], comparison["champion"] or {}
    difference, metric = comparison["difference"] or {}, comparison["metric"]
    if metric == "roc_auc":
        return bool(
            challenger["roc_auc_low"] > 0.5
            and difference.get("low", 0) > -MARGIN
            and challenger["log_loss"] <= MORE_LOSS * champion.get("log_loss", float("inf"))
        )
    # Of an error less is better; models of which one has no error at all cannot be in a ratio.
    most = (MORE_ERROR - 1) * champion.get(metric, float("inf"))
    return bool(challenger["skill_low"] > 0 and difference.get("high", 0) <= most)


def body(version: dict[str, Any], comparison: dict[str, Any], report: str) -> Iterator[str]:
    """Yield what a person needs to decide, as lines of Markdown."""
    champion = comparison["champion"] or {}
    verdict = comparison["verdict"].replace("_", " ")
    yield f"**Verdict: {verdict}.** {comparison['reason']}"
    yield ""
    in_production = (
        f"in production (version {champion['version']})" if champion else "in production"
    )
    yield f"| | this model (version {version['version']}) | {in_production} |"
    yield "|---|---:|---:|"
    for key, name in METRICS.items():
        both = [_shown(metrics.get(key)) for metrics in (comparison["challenger"], champion)]
        if any(value != "–" for value in both):
            yield f"| {name} | {both[0]} | {both[1]} |"
    yield ""
    learned = comparison["proof"]["challenger_trained_on"]
    if len(learned) > 1:
        yield f"It has learned from {len(learned)} days, {learned[0]} to {learned[-1]}."
    elif learned:
        yield f"It has learned from one day, {learned[0]}."
    mlflow = os.environ.get("MICROSTAGE_MLFLOW_URL", "")
    run = f"{mlflow}/#/experiments/{version['experiment_id']}/runs/{version['run_id']}"
    yield ""
    yield f"- [The run in MLflow, with parameters, curves and files]({run})"
    if report:
        yield f"- [How the model in production has done lately]({report})"


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "–"
