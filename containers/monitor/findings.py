"""quality.json: the numbers of a day, the verdict on it, and the days before."""

from typing import Any

from days import Day
from drift import Feature
from verdict import Evidence, Verdict

SCORES = ("roc_auc", "roc_auc_low", "roc_auc_high", "log_loss")  # of quality.measure


def describe(evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    """Return quality.json."""
    today, features, trained = evidence.today, evidence.features, evidence.trained
    metrics, named = today.metrics or {}, (*SCORES, "average_precision", "calibration_error")
    version = {} if evidence.other else evidence.given.version
    return {
        "version": 1,
        "date": today.day,
        "rows": today.rows,
        "model": {
            "name": version.get("name") or today.name,
            "version": version.get("version") or today.version,
            "path": today.path,
            "trained_on": [trained[0], trained[-1]] if trained else None,
        },
        "labels": today.true is not None,
        "labelled": today.labelled,
        **{name: metrics.get(name) for name in named},
        "drift": None if features is None else {f.name: as_json(f) for f in features},
        "drifted": verdict.drifted,
        "gaps": verdict.gaps,
        "prediction_drift": verdict.prediction_drift,
        "other_model_given": evidence.other,
        "learned_from_this_day": evidence.learned,
        "ok": not verdict.problems,
        "problems": verdict.problems,
        "notes": verdict.notes,
        "history": [as_history(day) for day in [*evidence.past, today]],
        "class_shares": class_shares(today, evidence.given.class_counts),
    }


def as_json(feature: Feature) -> dict[str, Any]:
    """Return a feature as quality.json has it."""
    names = ("kind", "psi", "chance", "missing", "missing_reference", "unknown",
             "unknown_reference", "unseen", "by_day", "by_nature", "ignored")  # fmt: skip
    return {name: getattr(feature, name) for name in names}


def as_history(day: Day) -> dict[str, Any]:
    """Return a day of the history in quality.json; rates are of the second of two classes."""
    metrics, binary = day.metrics or {}, len(day.classes) == 2
    return {
        "date": day.day,
        "rows": day.rows,
        "labelled": day.labelled,
        "model_version": day.version,
        "model_path": day.path,
        **{name: metrics.get(name) for name in (*SCORES, "accuracy")},
        "predicted_rate": float(day.mean[1]) if binary and day.rows else None,
        "observed_rate": float(day.true[1] / day.labelled)
        if binary and day.true is not None
        else None,
    }


def class_shares(today: Day, counts: list[int] | None) -> dict[str, dict[str, float | None]]:
    """Return for each class its share in training, among the predictions, and of what came true.

    counts: rows of each class in training, None where they are not known.
    """
    return {
        label: {
            "training": counts[k] / sum(counts) if counts else None,
            "predicted": float(today.chosen[k] / today.rows) if today.rows else None,
            "probability": float(today.mean[k]) if today.rows else None,
            "observed": None if today.true is None else float(today.true[k] / today.labelled),
        }
        for k, label in enumerate(today.classes)
    }


def in_short(found: dict[str, Any], features: list[Feature]) -> dict[str, Any]:
    """Return the summary of quality.json."""
    worst = max(features, key=lambda f: f.psi * f.judged, default=None)
    return {
        "date": found["date"],
        "rows": found["rows"],
        "labelled": found["labelled"],
        "ok": found["ok"],
        "problems": "; ".join(found["problems"]),
        **{name: found[name] for name in ("roc_auc", "log_loss", "calibration_error")},
        "drifted": len(found["drifted"]),
        "worst_feature": worst and worst.name,
        "worst_psi": worst and worst.psi,
        "prediction_drift": found["prediction_drift"],
        "model_version": found["model"]["version"] or found["model"]["path"],
    }
