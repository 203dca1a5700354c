"""The verdict of a comparison, and its reason in one sentence for the person who decides."""

from dataclasses import dataclass

from bootstrap import CONFIDENCE
from candidates import Candidate

SURE = f"{CONFIDENCE:.0%}".replace("%", " %")

Metrics = dict[str, float]


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


def conclude(
    measured: list[Metrics],
    difference: Metrics | None,
    challenger: Candidate,
    champion: Candidate | None,
    obstacle: str,
    rows: Rows,
) -> tuple[str, str]:
    """Return the verdict, and its reason.

    measured: the challenger's metrics, then the champion's; difference: that of their AUC, None
    where the challenger alone was measured, and if there is a champion for the `obstacle`.
    """
    if not champion or not difference:
        return conclude_alone(measured[0], obstacle, rows)
    if not rows.whole_days and champion.sha256 != challenger.sha256:
        return conclude_favoured(measured, difference, champion, rows)
    return conclude_both(measured, difference, champion, rows)


def conclude_alone(ours: Metrics, obstacle: str, rows: Rows) -> tuple[str, str]:
    """Return the verdict where the challenger alone could be measured."""
    alone = (
        f"on {rows.told('it has not', 'it has')}, the AUC of this model is {ours['roc_auc']:.3f},"
        f" between {ours['roc_auc_low']:.3f} and {ours['roc_auc_high']:.3f} ({SURE})."
    )
    if obstacle:
        return "not_comparable", f"{obstacle}, so the two cannot be compared; {alone}"
    return "first", f"There is no model in production yet; {alone}"


def conclude_favoured(
    measured: list[Metrics], difference: Metrics, champion: Candidate, rows: Rows
) -> tuple[str, str]:
    """Return the verdict where the days are known to the challenger alone.

    Rows of one day are alike (its weather, say), so who knows the others of that day has an
    advantage that a day to come will not give.
    """
    ours, theirs = (one["roc_auc"] for one in measured)
    version = f"version {champion.version['version']}"
    better = "Train on more than one day (window)" if len(rows.days) == 1 else "Split by whole days"
    return "not_comparable", (
        f"The {rows.number:,} rows were held out of {rows.these_days} this model has learned from"
        f" and {version} in production has not, which favours this model: its AUC is {ours:.3f} and"
        f" that of {version} {theirs:.3f} (difference {difference['roc_auc']:+.3f},"
        f" {difference['low']:+.3f} to {difference['high']:+.3f}, {SURE}). {better} for a verdict."
    )


def conclude_both(
    measured: list[Metrics], difference: Metrics, champion: Candidate, rows: Rows
) -> tuple[str, str]:
    """Return the verdict where the rows are as new to the one as to the other."""
    ours, theirs = (one["roc_auc"] for one in measured)
    verdict, then = "no_clear_difference", "neither is clearly better"
    if difference["low"] > 0:
        verdict, then = "better", "this model is better"
    elif difference["high"] < 0:
        verdict, then = "worse", "this model is worse"
    return verdict, (
        f"On {rows.told('neither model has', 'both models have')}, the AUC of this model is"
        f" {ours:.3f} and that of version {champion.version['version']} in production"
        f" {theirs:.3f}; the difference {difference['roc_auc']:+.3f} lies between"
        f" {difference['low']:+.3f} and {difference['high']:+.3f} ({SURE}), so {then}."
    )
