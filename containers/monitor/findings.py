"""quality.json: the numbers of a day, the verdict on it, and the days before."""

from typing import Any

from days import Day
from drift import Feature
from tasks import Task, task_of
from verdict import Evidence, Verdict


def describe(evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    """Return quality.json."""
    today, features, trained = evidence.today, evidence.features, evidence.trained
    metrics, task = today.metrics or {}, task_of(evidence.given)
    version = {} if evidence.other else evidence.given.version
    return {
        "version": 1,
        **({"task": evidence.given.spec["task"]} if evidence.given.numbers else {}),
        "date": today.day,
        "rows": today.rows,
        "model": {
            "name": version.get("name") or today.name,
            "version": version.get("version") or today.version,
            "path": today.path,
            "trained_on": [trained[0], trained[-1]] if trained else None,
        },
        "labels": today.metrics is not None,
        "labelled": today.labelled,
        **{name: metrics.get(name) for name in task.metrics_of(evidence.given)},
        "drift": None if features is None else {f.name: as_json(f) for f in features},
        "drifted": verdict.drifted,
        "gaps": verdict.gaps,
        "prediction_drift": verdict.prediction_drift,
        "other_model_given": evidence.other,
        "learned_from_this_day": evidence.learned,
        "ok": not verdict.problems,
        "problems": verdict.problems,
        "notes": verdict.notes,
        "history": [as_history(day, task) for day in [*evidence.past, today]],
        **task.describe(today, evidence.given),
    }


def as_json(feature: Feature) -> dict[str, Any]:
    """Return a feature as quality.json has it."""
    names = ("kind", "psi", "chance", "missing", "missing_reference", "unknown",
             "unknown_reference", "unseen", "by_day", "by_nature", "ignored")  # fmt: skip
    return {name: getattr(feature, name) for name in names}


def as_history(day: Day, task: Task) -> dict[str, Any]:
    """Return a day of the history in quality.json."""
    return {
        "date": day.day,
        "rows": day.rows,
        "labelled": day.labelled,
        "model_version": day.version,
        "model_path": day.path,
        **task.as_history(day),
    }


def in_short(found: dict[str, Any], features: list[Feature], task: Task) -> dict[str, Any]:
    """Return the summary of quality.json."""
    worst = max(features, key=lambda f: f.psi * f.judged, default=None)
    return {
        "date": found["date"],
        "rows": found["rows"],
        "labelled": found["labelled"],
        "ok": found["ok"],
        "problems": "; ".join(found["problems"]),
        **{name: found[name] for name in task.SUMMARY},
        "drifted": len(found["drifted"]),
        "worst_feature": worst and worst.name,
        "worst_psi": worst and worst.psi,
        "prediction_drift": found["prediction_drift"],
        "model_version": found["model"]["version"] or found["model"]["path"],
    }
