"""Judge a day: what is wrong with it, and what has to be said beside the numbers."""

from typing import Any, NamedTuple

import drift
import numpy as np
from days import Day
from gaps import judge_gaps
from inputs import Given
from labels import few_of
from limits import Limits
from tasks import Task, task_of

MAX_STRANGE = 0.05  # share of the labels that may be no class of the model


class Evidence(NamedTuple):
    """All that is known of a day."""

    today: Day
    past: list[Day]
    given: Given
    other: bool  # the model given is not the one that made the predictions
    features: list[drift.Feature] | None  # None where the model has no profile, or the day no rows
    reference: np.ndarray | None  # int (k, bins), histograms to hold the outputs against
    source: str  # where they are from
    left_out: list[str]  # notes on what could not be read of earlier days

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
    gaps: list[str]  # names of features whose share of gaps is far from training's
    prediction_drift: float | None


def judge(evidence: Evidence, limits: Limits) -> Verdict:
    """Return the verdict on a day; it is ok if there are no problems."""
    today, features = evidence.today, evidence.features or []
    drifted = sorted((f for f in features if f.drifted(limits.max_drift)), key=lambda f: -f.psi)
    task, moved, beyond = task_of(evidence.given), None, ""
    if evidence.reference is not None:
        moved, beyond = judge_predictions(
            today, evidence.reference, limits.max_prediction_drift, task.names(today.classes)
        )
    bad, said = task.judge(today, evidence.given, limits)
    judged = sum(f.judged for f in features)
    many = judge_features(today, drifted, judged, limits.max_drifted)
    gaps, resting, hardly = judge_gaps(today.day, features, evidence.given, limits.max_gaps)
    strange, few = judge_labels(today, task)
    notes = [*notes_of(evidence), *said, few, *hardly, *notes_of_past(evidence, task)]
    return Verdict(
        [problem for problem in (*bad, strange, *resting, many, beyond) if problem],
        [note for note in notes if note],
        [f.name for f in drifted],
        gaps,
        moved,
    )


def judge_labels(today: Day, task: Task) -> tuple[str, str]:
    """Return what is wrong with the labels, and a note if they are few; "" if nothing is."""
    labels = today.labels
    if labels is None or not labels.strange:
        return "", ""
    sentence = (
        f"Of {labels.given} labels of {today.day}, {labels.strange} are {task.NO_LABEL} and are"
        f" left out: {few_of(labels.unknown)}: correct them, or train on them."
    )
    return (sentence, "") if labels.strange > MAX_STRANGE * labels.given else ("", sentence)


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


def judge_predictions(
    today: Day, reference: np.ndarray, limit: float, names: dict[int, str]
) -> tuple[float, str]:
    """Return the drift of the outputs that is the largest of any, and what is wrong.

    reference: int (k, bins), histograms; names: of those that are looked at.
    """
    each = {k: drift.psi(reference[k], today.histograms[k]) for k in names}
    k, moved = max(each.items(), key=lambda item: item[1])
    if moved <= max(limit, drift.chance(reference[k], today.histograms[k])):
        return moved, ""
    return moved, (
        f"The {names[k]} on {today.day} have drifted: their population stability index is"
        f" {moved:.2f}, above {limit:g}."
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
    if not today.rows:
        return [*notes, f"{today.day} has no rows: there is nothing to measure, and nothing wrong."]
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
    if today.labels is None or not today.labels.given:
        notes.append(f"Labels of {today.day} have not come yet: how good it was is not known.")
    elif today.labels.given < today.rows:
        first = " the first ones," if today.labels.rows < today.rows else ""
        notes.append(
            f"{today.labels.given} of {today.rows} rows of {today.day} have a label,{first} and"
            " quality is measured on these alone."
        )
    return [*notes, *notes_of_features(evidence.features or [])]


def notes_of_features(features: list[drift.Feature]) -> list[str]:
    """Return which features are not judged, and why."""
    moving = ", ".join(f.name for f in features if f.by_nature and not f.ignored)
    ignored = ", ".join(f.name for f in features if f.ignored)
    notes = []
    if moving:
        notes.append(
            f"Not judged, as ids and clocks lie outside their training range by nature: {moving}."
        )
    if ignored:
        notes.append(f"Not judged, as --ignore names them: {ignored}.")
    return notes


def notes_of_past(evidence: Evidence, task: Task) -> list[str]:
    """Return what is odd about earlier days: it is none of the day's problems."""
    labelled = [(day, day.labels) for day in evidence.past if day.labels and day.labels.given]
    partly = [f"{d.day} ({t.given} of {d.rows})" for d, t in labelled if t.given < d.rows]
    strange = [f"{d.day}: {few_of(t.unknown)}" for d, t in labelled if t.strange]
    notes = list(evidence.left_out)
    if partly:
        notes.append(f"Earlier days of which not all rows have a label: {', '.join(partly)}.")
    if strange:
        notes.append(
            f"Labels of earlier days that are {task.NO_LABEL} are left out: {'; '.join(strange)}."
        )
    return notes


def called(model: dict[str, Any]) -> str:
    """Return what a person calls a model: its version, or where it is if it never got one."""
    if model.get("version"):
        return f"{model.get('name') or 'model'} version {model['version']}"
    return model.get("path") or "without a version"
