"""Score data with a trained model, and measure a model on data that it has not seen."""

import argparse
import csv
import errno
import itertools
import json
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import treelite

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
FIELDS = 2**19  # of a CSV table, read at a time
POINTS = 200  # of a curve, at most
BINS = 10  # of probabilities, for the calibration

# How model.txt is read, by the format that model.json names. None of them can run code.
LOADERS: dict[str, Callable[[str], treelite.Model]] = {
    "lightgbm": treelite.frontend.load_lightgbm_model,
    "xgboost_json": lambda path: treelite.frontend.load_xgboost_model(path, format_choice="json"),
    "treelite": treelite.Model.deserialize,
}


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


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


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/").removeprefix(f"{OUT}/")


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
    """Return the verb, and in `run` the function that does it."""
    parser = Parser(prog="predict", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, run, text in (
        ("predict", run_predict, "score features/data.csv"),
        ("validate", run_validate, "measure the model on split/val.csv"),
    ):
        verbs.add_parser(verb, allow_abbrev=False, help=text).set_defaults(run=run)
    return parser.parse_args(argv)


def run_predict(_args: argparse.Namespace) -> dict[str, Any]:
    """Score features/data.csv into predictions.csv; return the summary."""
    model, names, classes, lightgbm = load_model()
    counts = np.zeros(len(classes), int)
    with (OUT / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["class", *(f"probability_{label}" for label in classes)])
        for x, _ in read_table(IN / "features" / "data.csv", names, []):
            scores = predict(model, x, len(classes), lightgbm=lightgbm)
            best = scores.argmax(axis=1)
            counts += np.bincount(best, minlength=len(classes))
            # csv writes a float as repr does: the shortest text that reads back as the same.
            table.writerows(
                [classes[i], *row] for i, row in zip(best, scores.tolist(), strict=True)
            )
    predicted = {f"predicted_{label}": int(n) for label, n in zip(classes, counts, strict=True)}
    return {"rows": int(counts.sum()), **predicted}


def run_validate(_args: argparse.Namespace) -> dict[str, Any]:
    """Compare the model's scores of split/val.csv with its targets; return the summary."""
    model, names, classes, lightgbm = load_model()
    table = IN / "split" / "val.csv"
    parts = [
        (predict(model, x, len(classes), lightgbm=lightgbm), y)
        for x, y in read_table(table, names, classes)
    ]
    scores, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    if len(np.unique(y)) < 2:
        raise StageError(
            f"{shown(table)} has rows of one class only, {classes[y[0]]!r}: validate on more days"
        )
    metrics, curves = measure(y, scores, classes)
    write_json(OUT / "metrics.json", metrics)
    for name, (header, rows) in curves.items():
        with (OUT / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def load_model() -> tuple[treelite.Model, list[str], list[str], bool]:
    """Return the model of model/, its features' names, its classes, and if it is LightGBM's."""
    path = IN / "model" / "model.json"
    spec = read_json(path, "format", "features", "classes")
    if spec["format"] not in LOADERS:
        raise StageError(
            f"{shown(path)}: format {spec['format']!r} is none of {', '.join(LOADERS)}"
        )
    path = path.with_name("model.txt")
    content = path.read_bytes()
    try:
        # Without its end, treelite would take the trees that are left for the whole model.
        if spec["format"] == "lightgbm" and b"\nend of trees\n" not in content:
            raise treelite.TreeliteError("cut short")
        model = LOADERS[spec["format"]](str(path))
    except treelite.TreeliteError as error:
        raise StageError(
            f"{shown(path)} is no whole {spec['format']} model: train again"
        ) from error
    if model.num_feature != len(spec["features"]):
        raise StageError(
            f"{shown(path)} wants {model.num_feature} features, model.json names"
            f" {len(spec['features'])}: train again"
        )
    return model, spec["features"], spec["classes"], spec["format"] == "lightgbm"


def predict(model: treelite.Model, x: np.ndarray, classes: int, *, lightgbm: bool) -> np.ndarray:
    """Return probabilities, float64 (rows, classes); x: float64 (rows, features), NaN = missing.

    They are the trainer's own, bit for bit: LightGBM's, XGBoost's, and those of scikit-learn's
    histogram gradient boosting.
    """
    softmax = model.get_header_accessor().get_field("postprocessor") == "softmax"
    # XGBoost computes in single precision, as treelite does, and is left to it.
    softmax &= model.output_type == "float64"
    raw = treelite.gtil.predict(model, x, pred_margin=softmax)
    scores: np.ndarray = raw[:, 0, :].astype(float)
    if softmax:
        # treelite's own softmax is of single precision; this is the trainer's, down to its order.
        scores -= scores.max(axis=1, keepdims=True)
        if lightgbm:  # C's exp, which differs from NumPy's in the last digit
            scores = np.array([math.exp(v) for v in scores.ravel().tolist()]).reshape(scores.shape)
        else:
            scores = np.exp(scores)
        scores /= np.cumsum(scores, axis=1)[:, -1:]
    if scores.shape[1] == 1:
        scores = np.hstack([1 - scores, scores])
    if scores.shape[1] != classes:
        raise StageError(
            f"model/model.txt scores {scores.shape[1]} classes, model.json names {classes}:"
            " train again"
        )
    return scores


def measure(
    y: np.ndarray, scores: np.ndarray, classes: list[str]
) -> tuple[dict[str, Any], dict[str, tuple[list[str], list[list[Any]]]]]:
    """Return the metrics, and the header and rows of each curve by file name.

    y: codes of the true classes (rows,), two of them at least; scores: probabilities (rows,
    classes). Of two classes, the second is the positive one; of more, each class that y has is
    measured against all others, and the metric is the plain mean (macro, one versus rest).
    """
    # Scoring does without scikit-learn, and starts in half the time.
    from sklearn import metrics as sk  # noqa: PLC0415

    codes = range(len(classes))
    curves: dict[str, tuple[list[str], list[list[Any]]]] = {
        "roc.csv": (["class", "false_positive_rate", "true_positive_rate", "threshold"], []),
        "precision_recall.csv": (["class", "recall", "precision", "threshold"], []),
        "calibration.csv": (["class", "rows", "mean_probability", "observed_rate"], []),
    }
    each = {}
    for k in [1] if len(classes) == 2 else np.unique(y).tolist():
        truth, score = y == k, scores[:, k]
        precision, recall, thresholds = sk.precision_recall_curve(truth, score)
        bins = calibration(truth, score)
        for name, rows in (
            ("roc.csv", thinned(*sk.roc_curve(truth, score))),
            ("precision_recall.csv", thinned(recall[:-1], precision[:-1], thresholds)),
            ("calibration.csv", bins),
        ):
            curves[name][1].extend([classes[k], *row] for row in rows)
        each[classes[k]] = {
            "roc_auc": float(sk.roc_auc_score(truth, score)),
            "average_precision": float(sk.average_precision_score(truth, score)),
            "calibration_error": sum(n * abs(mean - rate) for n, mean, rate in bins) / len(y),
        }
    macro = {
        name: float(np.mean([one[name] for one in each.values()]))
        for name in ("roc_auc", "average_precision", "calibration_error")
    }
    best = scores.argmax(axis=1)
    return {
        "rows": len(y),
        "classes": classes,
        "accuracy": float(sk.accuracy_score(y, best)),
        "log_loss": float(sk.log_loss(y, scores, labels=codes)),
        "brier_score": float(sk.brier_score_loss(y, scores, labels=codes)),
        **macro,
        "confusion_matrix": sk.confusion_matrix(y, best, labels=codes).tolist(),
        "per_class": each,
    }, curves


def calibration(truth: np.ndarray, score: np.ndarray) -> list[tuple[int, float, float]]:
    """Return rows, mean probability and observed rate of each bin of equal width that has rows."""
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    return [
        (int((bins == b).sum()), float(score[bins == b].mean()), float(truth[bins == b].mean()))
        for b in np.unique(bins)
    ]


def thinned(*columns: np.ndarray) -> list[list[float]]:
    """Return a curve's points, or POINTS of them evenly, the first and the last included."""
    points = np.column_stack(columns)
    chosen = np.linspace(0, len(points) - 1, min(len(points), POINTS)).astype(int)
    rows: list[list[float]] = points[chosen].tolist()
    return rows


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object of version 1 that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or value.get("version") != 1 or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} is not version 1 with {', '.join(keys)}: write it again")
    return value


def read_table(
    path: Path, names: list[str], classes: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a CSV table in blocks: float64 (rows, features), NaN = empty; class codes (rows,).

    The columns are `names`, and then `target` if there are classes; all codes are 0 if there are
    none. Raises StageError where the table is not like that.
    """
    columns = [*names, "target"] if classes else names
    code = {label: i for i, label in enumerate(classes)} or {"": 0}
    rows = 0
    try:
        with path.open("rb") as file:
            quoted = any(b'"' in block for block in iter(lambda: file.read(2**20), b""))
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, []) != columns:
                raise ValueError
            records: Iterator[tuple[str, str]]
            if quoted:
                split = (lambda r: (r[:-1], r[-1])) if classes else (lambda r: (r, ""))
                records = ((",".join(fields), label) for fields, label in map(split, reader))
            elif classes:
                records = (line.rstrip("\r\n").rpartition(",")[::2] for line in file)
            else:
                records = ((line.rstrip("\r\n"), "") for line in file)
            while block := list(itertools.islice(records, max(1, FIELDS // len(columns)))):
                x = to_floats([fields for fields, _ in block])
                if x.shape != (len(block), len(names)) or np.isinf(x).any():
                    raise ValueError
                yield x, np.array([code[label] for _, label in block])
                rows += len(block)
    except (ValueError, LookupError, csv.Error) as error:
        raise StageError(explain(path, columns, code)) from error
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def to_floats(lines: list[str]) -> np.ndarray:
    """Return lines of comma separated numbers as float64 (rows, columns), NaN = empty."""
    # np.loadtxt is the fastest reader here, but it has to be told where values are missing:
    # wherever a separator follows a separator.
    text = "\n".join(["", *lines, ""]).encode()
    symbols = np.frombuffer(text, np.uint8)
    separators = (symbols == ord(",")) | (symbols == ord("\n"))
    gaps = np.flatnonzero(separators[:-1] & separators[1:]) + 1
    pieces = itertools.pairwise([1, *gaps.tolist(), len(text) - 1])
    text = b"nan".join([text[start:end] for start, end in pieces])
    return np.loadtxt(text.decode().split("\n"), delimiter=",", comments=None, ndmin=2)


def explain(path: Path, columns: list[str], classes: Container[str]) -> str:
    """Return what is wrong with the first row that is wrong."""
    where = f"{shown(path)}, header"
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        records = csv.reader(file, strict=True)
        try:
            header = next(records, [])
            if not header:
                return f"{shown(path)} is empty: provide a header and rows"
            if header != columns:
                odd = [
                    name for name in [*columns, *header] if (name in columns) != (name in header)
                ]
                what = f"column {odd[0]!r} is in one alone" if odd else "the order differs"
                return f"{where}: not the columns that the model has ({what}): prepare it again"
            for row, record in enumerate(records, 1):
                where = f"{shown(path)}, row {row}"
                if what := fault(record or [""], columns, classes):
                    return f"{where}: {what}"
        except csv.Error as error:
            return f"{where}: {error}: repair the quotes"
    return f"{shown(path)} changed while it was read: run the stage again"


def fault(record: list[str], columns: list[str], classes: Container[str]) -> str:
    """Return what is wrong with a row of a table, or ""."""
    if len(record) != len(columns):
        return f"it has {len(record)} fields, not {len(columns)}: complete the row"
    for name, text in zip(columns, record, strict=True):
        if re.search("[\udc80-\udcff]", text):  # what surrogateescape makes of other bytes
            return f"column {name!r} is not UTF-8: save the file as UTF-8"
        if name == "target" and text not in classes:
            return f"target {text!r} is none of the classes at fit: correct it"
        if name != "target" and not is_number(text):
            return f"column {name!r} holds {text[:50]!r}, not a finite number: correct it"
    return ""


def is_number(text: str) -> bool:
    """Return whether a field is a finite number, or missing."""
    try:
        return text.isascii() and "_" not in text and not math.isinf(float(text or "nan"))
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
