"""What is said of a day whose predictions are numbers: those of quality.json, and the verdict."""

import math
from typing import Any

from days import Day
from drift import Z99
from inputs import Given
from limits import Limits
from stageframe.losses import POISSON, QUANTILE

SCORES = ("rmse", "rmse_low", "rmse_high", "mae", "skill")  # of errors.measure
METRICS = (
    "rmse",
    "rmse_low",
    "rmse_high",
    "mae",
    "r2",
    "median_error",
    "bias",
    "skill",
    "skill_low",
    "skill_high",
)
OF_LOSS = {POISSON: ("poisson_deviance",), QUANTILE: ("pinball_loss", "coverage")}
SUMMARY = ("rmse", "mae", "skill")
NO_LABEL = "no numbers"


def metrics_of(given: Given) -> tuple[str, ...]:
    """Return the names of a day's metrics, as quality.json has them."""
    return (*METRICS, *OF_LOSS.get(given.spec["loss"], ()))


def as_history(day: Day) -> dict[str, Any]:
    """Return what the history tells of a day."""
    metrics = day.metrics or {}
    return {
        **{name: metrics.get(name) for name in SCORES},
        "mean_prediction": float(day.mean[0]) if day.rows else None,
        "mean_target": None if day.observed is None else float(day.observed[0]),
    }


def describe(today: Day, given: Given) -> dict[str, Any]:
    """Return the means: in training, of the predictions, and of what came true."""
    history = as_history(today)
    means = (given.mean_target, history["mean_prediction"], history["mean_target"])
    return {"target": dict(zip(("training", "predicted", "observed"), means, strict=True))}


def judge(today: Day, given: Given, limits: Limits) -> tuple[list[str], list[str]]:
    """Return what is wrong with the day's errors, and what is to be said of them."""
    if not today.metrics:
        return [], []
    problems, notes = judge_skill(today, limits.min_skill)
    if given.spec["loss"] == QUANTILE and (
        problem := judge_coverage(today, given.spec["quantile"], limits.max_coverage_error)
    ):
        problems.append(problem)
    return problems, notes


def judge_skill(today: Day, limit: float) -> tuple[list[str], list[str]]:
    """Return what is wrong if the model saves too little of a constant's loss, and a note."""
    skill, low, high = ((today.metrics or {})[name] for name in ("skill", *SKILL))
    if skill is None:
        why = "a constant would have had no error"
        return [], [f"The skill of {today.day} is not known: {why}, as all targets are alike."]
    if skill >= limit:
        return [], []
    interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
    problem = (
        f"The skill of {today.day} is {skill:.3f}{interval}, below its threshold of {limit:g}: of"
        " the loss of a constant prediction, the model saves this share."
    )
    if high is None or high <= limit:
        return [problem], []
    return [problem], [
        "The interval of the skill reaches above the threshold: with this many rows, the day may be"
        " low by chance."
    ]


SKILL = ("skill_low", "skill_high")


def judge_coverage(today: Day, quantile: float, limit: float) -> str:
    """Return what is wrong if another share of the rows than the quantile is below it, or ""."""
    coverage = (today.metrics or {})["coverage"]
    chance = Z99 * math.sqrt(quantile * (1 - quantile) / today.labelled)
    if abs(coverage - quantile) <= max(limit, chance):
        return ""
    return (
        f"The coverage of {today.day} is {coverage:.3f}: that share of the targets is at or below"
        f" its prediction, of a quantile of {quantile:g}."
    )


def names(_: list[str]) -> dict[int, str]:
    """Return whose drift is looked at, by the place in `Day.histograms`, and what it is called."""
    return {0: "predictions"}
