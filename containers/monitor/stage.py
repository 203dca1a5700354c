"""Watch a model at work: how good its predictions were, and how far the data moved away."""

import argparse
import errno
import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import drift
import numpy as np
import quality
from inputs import (
    IN,
    INPUT_MISSING,
    StageError,
    find_days,
    read_json,
    read_optional,
    read_predictions,
    read_target,
    shown,
)

OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, TRY_AGAIN = 64, 75
FILE = "predictions.csv"
EDGES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]  # between bins of probabilities


class Day(NamedTuple):
    """A day's predictions, and how they came true; k classes."""

    day: str
    rows: int
    classes: list[str]
    name: str | None  # of the model that made them
    version: str | None
    path: str | None  # from where it was read
    digest: str | None  # SHA-256 of that model's model.json
    histograms: np.ndarray  # int (k, bins) of the probabilities
    mean: np.ndarray  # float64 (k,), of the probabilities
    chosen: np.ndarray  # int (k,), rows for which the class was predicted
    true: np.ndarray | None  # int (k,), rows of the class
    metrics: dict[str, Any] | None  # of quality.measure


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


def day(text: str) -> str:
    """Parse a day."""
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError
    return text


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def end_on_signal() -> None:
    """End at once on SIGTERM and SIGINT, as PID 1 and inside a long C call too.

    Python runs handlers in the main thread only, once its C call is over; the wake-up descriptor
    is written at once, whichever thread the signal reached.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    # PID 1 ignores every signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=lambda: os._exit(128 + os.read(reader, 1)[0]), daemon=True).start()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, the same bytes for the same value."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Run one verb; return the exit code, with one sentence on stderr when it is not 0."""
    end_on_signal()
    args = parse_arguments(argv)
    try:
        write_json(OUT / "summary.json", args.run(args))
        return 0
    except StageError as error:
        code, sentence = error.code, str(error)
    except MemoryError:
        code, sentence = TRY_AGAIN, "memory ran out: give the stage more, or fewer rows"
    except OSError as error:
        if str(error.filename).startswith(f"{IN}/"):
            code = INPUT_MISSING
            sentence = f"{shown(error.filename)}: {error.strerror}: run the stage that writes it"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            code, sentence = TRY_AGAIN, "the disk of the output is full: free some space"
        else:
            code, sentence = TRY_AGAIN, f"{error}: check the disk, then try again"
    print(" ".join(sentence.split()), file=sys.stderr)
    return code


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parameters of the verb, and in `run` the function that does it."""
    parser = Parser(prog="monitor", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    report = verbs.add_parser(
        "report",
        allow_abbrev=False,
        help="write a day's report.html and quality.json",
        description="Report on a day's predictions: predictions/<day>/, raw/<day>/ (target.csv if"
        " labels have come) and model/. Earlier days that are there become the history.",
    )
    report.set_defaults(run=run_report)
    add: Callable[..., Any] = report.add_argument
    add("--date", type=day, help="the day (default: the newest under predictions/)")
    text = "AUC below which the day is not ok (default: 0.55; 0.5 is a coin's)"
    add("--min-auc", type=share, default=0.55, help=text)
    text = (
        "population stability index above which a feature has drifted, unless chance explains it"
        " (default: 0.2)"
    )
    add("--max-drift", type=float, default=0.2, help=text)
    text = "share of the features that may have drifted while the day is ok (default: 0.5)"
    add("--max-drifted", type=share, default=0.5, help=text)
    text = "the same index of the predicted probabilities, above which the day is not ok"
    add("--max-prediction-drift", type=float, default=0.5, help=f"{text} (default: 0.5)")
    return parser.parse_args(argv)


def run_report(args: argparse.Namespace) -> dict[str, Any]:
    """Write report.html and quality.json; return the summary."""
    days = find_days("predictions")
    chosen = args.date or (days[-1] if days else "a day")
    if chosen not in days:
        raise StageError(f"predictions/{chosen} is missing: predict that day", INPUT_MISSING)
    model = read_json(IN / "model" / "model.json", "classes", "trained_on")
    fitted = read_json(IN / "model" / "preprocess.json", "columns")
    metrics = read_optional(*(IN / "model" / f"{f}metrics.json" for f in ("", "validation/")))
    version = read_optional(*(IN / "model" / f"{f}version.json" for f in ("", "version/")))
    edges = metrics.get("scores", {}).get("edges", EDGES)
    there = [d for d in days if d <= chosen and (IN / "predictions" / d).joinpath(FILE).is_file()]
    history = [look(d, edges) for d in dict.fromkeys([*there, chosen])]
    today = history[-1]
    if today.classes != model["classes"]:
        raise StageError(
            f"predictions/{chosen}/{FILE} has classes {today.classes}, model/model.json"
            f" {model['classes']}: give the model that made them"
        )
    notes = []
    other = today.digest not in (None, sha256(IN / "model" / "model.json"))
    if other:
        notes.append(
            f"These predictions were made by another model ({called(today._asdict())}) than the one"
            f" given ({called(version)}): its model.json differs. Prediction drift is not known,"
            " and all that is said of training is about the model given."
        )
    features = compare(fitted["columns"], today)
    if features is None:
        notes.append(
            "Drift of the features is not known: the model's preprocess.json has no profile of"
            " its training data, as it was made by an older preprocess. Train again to get one."
        )
    reference, source = (None, "") if other else find_reference(metrics, history)
    if reference is None and not other:
        notes.append(
            "Prediction drift is not known: the model has no histogram from its validation, and"
            " there are no earlier predictions of this version."
        )
    maker = {} if other else version
    found = conclude(args, today, model, maker, features, reference, notes, other=other)
    found["history"] = [as_history(d) for d in history]
    found["class_shares"] = class_shares(today, fitted.get("class_counts"))
    # matplotlib takes a while to start: not for what ends before anything is drawn.
    import page  # noqa: PLC0415

    html = page.render(
        found,
        model=model,
        features=features or [],
        metrics=today.metrics,
        scores=(edges, reference, today.histograms, source),
        limits=vars(args),
        called=called(found["model"]),
    )
    (OUT / "report.html").write_text(html, encoding="utf-8")
    write_json(OUT / "quality.json", found)
    worst = max(features or [], key=lambda f: f.psi * (not f.by_day), default=None)
    return {
        "date": chosen,
        "rows": today.rows,
        "ok": found["ok"],
        "problems": "; ".join(found["problems"]),
        **{name: found[name] for name in ("roc_auc", "log_loss", "calibration_error")},
        "drifted": len(found["drifted"]),
        "worst_feature": worst and worst.name,
        "worst_psi": worst and worst.psi,
        "prediction_drift": found["prediction_drift"],
        "model_version": found["model"]["version"] or found["model"]["path"],
    }


def look(name: str, edges: Sequence[float]) -> Day:
    """Read one day's predictions, and its targets if they are there."""
    folder = IN / "predictions" / name
    found = read_predictions(folder / FILE)
    manifest = read_optional(folder / "manifest.json")
    by = manifest.get("model") or {}
    k, target, y, metrics = len(found.classes), IN / "raw" / name / "target.csv", None, None
    if target.exists():
        y = read_target(target, found.classes)
        if len(y) != len(found.chosen):
            raise StageError(
                f"{shown(target)} has {len(y)} rows, predictions/{name}/{FILE} {len(found.chosen)}:"
                " give each prediction its target"
            )
        metrics = quality.measure(y, found.chosen, found.scores)
    bins = [np.searchsorted(edges, column, side="right") for column in found.scores.T]
    return Day(
        day=name,
        rows=len(found.chosen),
        classes=found.classes,
        name=by.get("name"),
        version=by.get("version"),
        path=by.get("path") or manifest.get("sources", {}).get("model"),
        digest=manifest.get("inputs", {}).get("model/model.json", {}).get("sha256"),
        histograms=np.array([np.bincount(column, minlength=len(edges) + 1) for column in bins]),
        mean=found.scores.mean(axis=0),
        chosen=np.bincount(found.chosen, minlength=k),
        true=None if y is None else np.bincount(y, minlength=k),
        metrics=metrics,
    )


def called(model: dict[str, Any]) -> str:
    """Return what a person calls a model: its version, or where it is if it never got one."""
    if model.get("version"):
        return f"{model.get('name') or 'model'} version {model['version']}"
    return model.get("path") or "without a version"


def compare(columns: list[dict[str, Any]], today: Day) -> list[drift.Feature] | None:
    """Return the day's features against the model's profiles, None if it has none."""
    if not all("profile" in column for column in columns):
        return None
    table = IN / "raw" / today.day / "data.csv"
    raws = [IN / "raw" / name / "data.csv" for name in find_days("raw") if name < today.day]
    rows, features = drift.compare(columns, table, [path for path in raws if path.is_file()])
    if rows != today.rows:
        raise StageError(
            f"{shown(table)} has {rows} rows, predictions/{today.day}/{FILE} {today.rows}: predict"
            " that day again"
        )
    return features


def find_reference(
    metrics: dict[str, Any], history: Sequence[Day]
) -> tuple[np.ndarray | None, str]:
    """Return histograms (k, bins) to hold the day's probabilities against, and where from."""
    today = history[-1]
    counts = metrics.get("scores", {}).get("counts", {})
    if counts.keys() >= set(today.classes):
        return np.array([counts[label] for label in today.classes]), "the validation"
    same = [
        d.histograms
        for d in history[:-1]
        if (d.digest, d.version or d.path, d.classes)
        == (today.digest, today.version or today.path, today.classes)
        and (d.digest or d.version or d.path)
    ]
    return (sum(same[1:], same[0]), "earlier days of this model") if same else (None, "")


def conclude(
    args: argparse.Namespace,
    today: Day,
    model: dict[str, Any],
    version: dict[str, Any],
    features: list[drift.Feature] | None,
    reference: np.ndarray | None,
    notes: list[str],
    *,
    other: bool,
) -> dict[str, Any]:
    """Return quality.json but for its history: the numbers, and what is wrong with them.

    other: the model given is not the one that made the predictions.
    """
    problems, metrics = [], today.metrics or {}
    trained = [] if other else model["trained_on"].get("days") or []
    learned = None if other else today.day in trained
    if learned:
        notes.append(
            f"The model has learned from {today.day}: its numbers of that day are better than it is"
            " on days that it does not know."
        )
    if today.true is None:
        notes.append(f"Labels of {today.day} have not come yet: how good it was is not known.")
    elif metrics["roc_auc"] is None:
        notes.append(f"All rows of {today.day} are of one class: there is no AUC.")
    elif metrics["roc_auc"] < args.min_auc:
        low, high = metrics["roc_auc_low"], metrics["roc_auc_high"]
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        problems.append(
            f"The AUC of {today.day} is {metrics['roc_auc']:.3f}{interval}, below its threshold of"
            f" {args.min_auc:g}."
        )
        if high is not None and high > args.min_auc:
            notes.append(
                "The interval of the AUC reaches above the threshold: with this many rows, the day"
                " may be low by chance."
            )
    drifted = [f for f in features or [] if f.drifted(args.max_drift)]
    drifted.sort(key=lambda f: -f.psi)
    if len(drifted) > args.max_drifted * len(features or []):
        names = ", ".join(f"{f.name} ({f.psi:.2f})" for f in drifted[:3])
        more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""
        problems.append(
            f"{len(drifted)} of {len(features or [])} features drifted on {today.day}"
            f" (population stability index): {names}{more}."
        )
    moved = None
    if reference is not None:
        kinds = [1] if len(today.classes) == 2 else range(len(today.classes))
        each = {k: drift.psi(reference[k], today.histograms[k]) for k in kinds}
        k, moved = max(each.items(), key=lambda item: item[1])
        if moved > max(args.max_prediction_drift, drift.chance(reference[k], today.histograms[k])):
            problems.append(
                f"The predicted probabilities of class {today.classes[k]!r} on {today.day} have"
                f" drifted: their population stability index is {moved:.2f}, above"
                f" {args.max_prediction_drift:g}."
            )
    named = ("roc_auc", "roc_auc_low", "roc_auc_high", "log_loss", "average_precision")
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
        **{name: metrics.get(name) for name in (*named, "calibration_error")},
        "drift": None if features is None else {f.name: as_json(f) for f in features},
        "drifted": [f.name for f in drifted],
        "prediction_drift": moved,
        "other_model_given": other,
        "learned_from_this_day": learned,
        "ok": not problems,
        "problems": problems,
        "notes": notes,
    }


def as_json(feature: drift.Feature) -> dict[str, Any]:
    """Return a feature as quality.json has it."""
    names = ("kind", "psi", "chance", "missing", "missing_reference", "unseen", "by_day")
    return {name: getattr(feature, name) for name in names}


def as_history(day: Day) -> dict[str, Any]:
    """Return a day of the history in quality.json; rates are of the second of two classes."""
    metrics, binary = day.metrics or {}, len(day.classes) == 2
    named = ("roc_auc", "roc_auc_low", "roc_auc_high", "log_loss", "accuracy")
    return {
        "date": day.day,
        "rows": day.rows,
        "model_version": day.version,
        "model_path": day.path,
        **{name: metrics.get(name) for name in named},
        "predicted_rate": float(day.mean[1]) if binary else None,
        "observed_rate": float(day.true[1] / day.rows) if binary and day.true is not None else None,
    }


def class_shares(today: Day, counts: Sequence[int] | None) -> dict[str, dict[str, float | None]]:
    """Return for each class its share in training, among the predictions, and of what came true."""
    return {
        label: {
            "training": counts[k] / sum(counts) if counts else None,
            "predicted": float(today.chosen[k] / today.rows),
            "probability": float(today.mean[k]),
            "observed": None if today.true is None else float(today.true[k] / today.rows),
        }
        for k, label in enumerate(today.classes)
    }


def sha256(path: Path) -> str:
    """Return a file's digest, as manifests have it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
