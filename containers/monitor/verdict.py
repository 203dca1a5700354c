"""Judge a day: what is wrong with it, and what has to be said beside the numbers."""

from typing import Any, NamedTuple

import drift
import numpy as np
from days import Day
from inputs import Given


class Limits(NamedTuple):
    """What a day is held against."""

    min_auc: float
    max_drift: float  # population stability index of a feature
    max_drifted: float  # share of the features
    max_prediction_drift: float  # population stability index of the probabilities


class Evidence(NamedTuple):
    """All that is known of a day."""

    today: Day
    given: Given
    other: bool  # the model given is not the one that made the predictions
    features: list[drift.Feature] | None  # None where the model has no profile
    reference: np.ndarray | None  # int (k, bins), histograms to hold the probabilities against
    source: str  # where they are from

    @property
    def trained(self) -> list[str]:
        """The days that the model which predicted has learned from, as far as they are known."""
        days: list[str] = self.given.spec["trained_on"].get("days") or []
        return [] if self.other else days

    @property
    def learned(self) -> bool | None:
        """Whether it has learned from this day; None where that is not known."""
        return None if self.other else self.today.day in self.trained


class Verdict(NamedTuple):
    """What is wrong with a day, and what is to be said of it."""

    problems: list[str]
    notes: list[str]
    drifted: list[str]  # names of features, the worst first
    prediction_drift: float | None


def judge(evidence: Evidence, limits: Limits) -> Verdict:
    """Return the verdict on a day; it is ok if there are no problems."""
    today, features = evidence.today, evidence.features or []
    drifted = sorted((f for f in features if f.drifted(limits.max_drift)), key=lambda f: -f.psi)
    moved, beyond = None, ""
    if evidence.reference is not None:
        moved, beyond = judge_predictions(today, evidence.reference, limits.max_prediction_drift)
    low, by_chance = judge_auc(today, limits.min_auc)
    many = judge_features(today, drifted, len(features), limits.max_drifted)
    notes = notes_of(evidence)
    return Verdict(
        [problem for problem in (low, many, beyond) if problem],
        [*notes, by_chance] if by_chance else notes,
        [f.name for f in drifted],
        moved,
    )


def judge_auc(today: Day, limit: float) -> tuple[str, str]:
    """Return what is wrong with the day's AUC, and a note if chance may explain it; "" if not."""
    auc, low, high = (
        (today.metrics or {}).get(name) for name in ("roc_auc", "roc_auc_low", "roc_auc_high")
    )
    if auc is None or auc >= limit:
        return "", ""
    interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
    problem = f"The AUC of {today.day} is {auc:.3f}{interval}, below its threshold of {limit:g}."
    if high is None or high <= limit:
        return problem, ""
    return problem, (
        "The interval of the AUC reaches above the threshold: with this many rows, the day may be"
        " low by chance."
    )


def judge_features(today: Day, drifted: list[drift.Feature], features: int, limit: float) -> str:
    """Return what is wrong if too large a share of so many features has drifted, or ""."""
    if len(drifted) <= limit * features:
        return ""
    names = ", ".join(f"{f.name} ({f.psi:.2f})" for f in drifted[:3])
    more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""
    return (
        f"{len(drifted)} of {features} features drifted on {today.day} (population stability"
        f" index): {names}{more}."
    )


def judge_predictions(today: Day, reference: np.ndarray, limit: float) -> tuple[float, str]:
    """Return the drift of the probabilities that is the largest of any class, and what is wrong.

    reference: int (k, bins), histograms. Of two classes the second tells all.
    """
    kinds = [1] if len(today.classes) == 2 else range(len(today.classes))
    each = {k: drift.psi(reference[k], today.histograms[k]) for k in kinds}
    k, moved = max(each.items(), key=lambda item: item[1])
    if moved <= max(limit, drift.chance(reference[k], today.histograms[k])):
        return moved, ""
    return moved, (
        f"The predicted probabilities of class {today.classes[k]!r} on {today.day} have drifted:"
        f" their population stability index is {moved:.2f}, above {limit:g}."
    )


def notes_of(evidence: Evidence) -> list[str]:
    """Return what the numbers do not tell: which of them are missing, and why."""
    today, notes = evidence.today, []
    if evidence.other:
        notes.append(
            "These predictions were made by another model"
            f" ({called(today._asdict())}) than the one given ({called(evidence.given.version)}):"
            " its model.json differs. Prediction drift is not known, and all that is said of"
            " training is about the model given."
        )
    if evidence.features is None:
        notes.append(
            "Drift of the features is not known: the model's preprocess.json has no profile of"
            " its training data, as it was made by an older preprocess. Train again to get one."
        )
    if evidence.reference is None and not evidence.other:
        notes.append(
            "Prediction drift is not known: the model has no histogram from its validation, and"
            " there are no earlier predictions of this version."
        )
    if evidence.learned:
        notes.append(
            f"The model has learned from {today.day}: its numbers of that day are better than it is"
            " on days that it does not know."
        )
    if today.metrics is None:
        notes.append(f"Labels of {today.day} have not come yet: how good it was is not known.")
    elif today.metrics["roc_auc"] is None:
        notes.append(f"All rows of {today.day} are of one class: there is no AUC.")
    return notes


def called(model: dict[str, Any]) -> str:
    """Return what a person calls a model: its version, or where it is if it never got one."""
    if model.get("version"):
        return f"{model.get('name') or 'model'} version {model['version']}"
    return model.get("path") or "without a version"
