"""The verdict of a comparison, and its reason in one sentence for the person who decides."""

import math
from dataclasses import dataclass
from typing import Any

from bootstrap import CONFIDENCE
from candidates import Candidate
from tasks import task_of

SURE = f"{CONFIDENCE:.0%}".replace("%", " %")
NAMES = {
    "roc_auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "poisson_deviance": "Poisson deviance",
    "pinball_loss": "pinball loss",
}

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """What the models are measured on."""

    number: int
    days: list[str]
    whole_days: bool
    """Whether the challenger has learned from no row of these days."""

    def told(self, none: str, some: str) -> str:
        """Return what they are, in words, and that `none` learned from them.

        `some`: who learned from other rows of these days, if they are not whole days.
        """
        many = len(self.days) > 1
        if self.whole_days:
            days = f"{len(self.days)} day{'s' if many else ''}"
            return f"{self.number:,} rows of {days} that {none} learned from"
        return f"{self.number:,} rows held out of {self.these_days} {some} learned from"

    @property
    def these_days(self) -> str:
        """The days that they are some rows of, in words that a subject and verb may follow."""
        if len(self.days) > 1:
            return f"{len(self.days)} days whose other rows"
        return f"{self.days[0]}, a day whose other rows"


@dataclass(frozen=True)
class Metric:
    """What the models are compared by."""

    key: str
    less_is_better: bool

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        return NAMES[self.key]

    def of(self, metrics: Metrics, suffix: str = "") -> str:
        """Return its value among a model's metrics, for a sentence; suffix: _low or _high."""
        return self.shown(metrics[f"{self.key}{suffix}"])

    def shown(self, value: float, sign: str = "") -> str:
        """Return a value with three decimals; of an error, in whatever unit, with four digits."""
        digits = 3
        if self.less_is_better and value:
            digits = max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:{sign},.{min(digits, 12)}f}"


def conclude(
    measured: list[Metrics],
    difference: Metrics | None,
    challenger: Candidate,
    champion: Candidate | None,
    obstacle: str,
    rows: Rows,
) -> tuple[str, str]:
    """Return the verdict, and its reason.

    measured: the challenger's metrics, then the champion's; difference: that of what they are
    compared by, None where the challenger alone was measured, and if there is a champion for the
    `obstacle`.
    """
    task = task_of(challenger.model)
    metric = Metric(task.metric_of(challenger.model), task.LESS_IS_BETTER)
    if not champion or not difference:
        return conclude_alone(measured[0], metric, obstacle, rows)
    if not rows.whole_days and champion.sha256 != challenger.sha256:
        return conclude_favoured(measured, metric, difference, champion, rows)
    ours, theirs = challenger.model.loss, champion.model.loss
    if ours and theirs and ours.measures != theirs.measures:
        apart = f"This model keeps {ours.told()} small, version {champion.version['version']} in"
        return conclude_apart(
            f"{apart} production {theirs.told()}", measured, metric, difference, rows
        )
    return conclude_both(measured, metric, difference, champion, rows)


def conclude_alone(ours: Metrics, metric: Metric, obstacle: str, rows: Rows) -> tuple[str, str]:
    """Return the verdict where the challenger alone could be measured."""
    alone = (
        f"on {rows.told('it has not', 'it has')}, the {metric.name} of this model is"
        f" {metric.of(ours)}, between {metric.of(ours, '_low')} and {metric.of(ours, '_high')}"
        f" ({SURE})."
    )
    if obstacle:
        return "not_comparable", f"{obstacle}, so the two cannot be compared; {alone}"
    return "first", f"There is no model in production yet; {alone}"


def apart(difference: Metrics, metric: Metric) -> tuple[str, str, str]:
    """Return the difference and its bounds, for a sentence."""
    values = (difference[key] for key in (metric.key, "low", "high"))
    shown, low, high = (metric.shown(value, "+") for value in values)
    return shown, low, high


def conclude_favoured(
    measured: list[Metrics], metric: Metric, difference: Metrics, champion: Candidate, rows: Rows
) -> tuple[str, str]:
    """Return the verdict where the days are known to the challenger alone.

    Rows of one day are alike (its weather, say), so who knows the others of that day has an
    advantage that a day to come will not give.
    """
    ours, theirs = map(metric.of, measured)
    shown, low, high = apart(difference, metric)
    version = f"version {champion.version['version']}"
    better = "Train on more than one day (window)" if len(rows.days) == 1 else "Split by whole days"
    return "not_comparable", (
        f"The {rows.number:,} rows were held out of {rows.these_days} this model has learned from"
        f" and {version} in production has not, which favours this model: its {metric.name} is"
        f" {ours} and that of {version} {theirs} (difference {shown}, {low} to {high}, {SURE})."
        f" {better} for a verdict."
    )


def conclude_apart(
    why: str, measured: list[Metrics], metric: Metric, difference: Metrics, rows: Rows
) -> tuple[str, str]:
    """Return the verdict where the models are not made for the same: either is best at its own."""
    ours, theirs = map(metric.of, measured)
    shown, low, high = apart(difference, metric)
    return "not_comparable", (
        f"{why}, so there is no verdict: on {rows.told('neither model has', 'both models have')},"
        f" the {metric.name} of this model is {ours} and that of the other {theirs} (difference"
        f" {shown}, {low} to {high}, {SURE})."
    )


def conclude_both(
    measured: list[Metrics], metric: Metric, difference: Metrics, champion: Candidate, rows: Rows
) -> tuple[str, str]:
    """Return the verdict where the rows are as new to the one as to the other."""
    ours, theirs = map(metric.of, measured)
    shown, low, high = apart(difference, metric)
    verdict, then = "no_clear_difference", "neither is clearly better"
    if difference["low"] > 0 or difference["high"] < 0:
        better = (difference["high"] < 0) == metric.less_is_better
        verdict = "better" if better else "worse"
        then = f"this model is {verdict}"
    return verdict, (
        f"On {rows.told('neither model has', 'both models have')}, the {metric.name} of this model"
        f" is {ours} and that of version {champion.version['version']} in production {theirs}; the"
        f" difference {shown} lies between {low} and {high} ({SURE}), so {then}."
    )
