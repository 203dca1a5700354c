"""Score data with a trained model, and measure and compare models on data that is new to them."""

import argparse
import csv
import errno
import hashlib
import itertools
import json
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
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
CONFIDENCE = 0.95  # of the intervals of a comparison
COMPARED = ("roc_auc", "log_loss", "average_precision", "accuracy", "calibration_error")

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


def between(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    parse.__name__ = "int"
    return parse


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
    """Return the parameters of one verb, and in `run` the function that does it."""
    parser = Parser(prog="predict", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    predict, validate, compare = (
        verbs.add_parser(verb, allow_abbrev=False, help=text)
        for verb, text in (
            ("predict", "score features/data.csv"),
            ("validate", "measure the model on split/val.csv"),
            ("compare", "measure challenger/ and champion/ on the same rows, new to both"),
        )
    )
    predict.set_defaults(run=run_predict)
    validate.set_defaults(run=run_validate)
    compare.set_defaults(run=run_compare)
    text = "times that the rows are drawn again, for the intervals (default: 1000)"
    compare.add_argument("--resamples", type=between(100, 100_000), default=1000, help=text)
    text = "of these draws (default: 17)"
    compare.add_argument("--seed", type=between(0, 2**31 - 1), default=17, help=text)
    return parser.parse_args(argv)


def run_predict(_args: argparse.Namespace) -> dict[str, Any]:
    """Score features/data.csv into predictions.csv; return the summary."""
    model = load_model(IN / "model")
    classes = model.classes
    counts = np.zeros(len(classes), int)
    with (OUT / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["class", *(f"probability_{label}" for label in classes)])
        for x, _ in read_table(IN / "features" / "data.csv", model.features, []):
            scores = predict(model, x)
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
    model = load_model(IN / "model")
    table = IN / "split" / "val.csv"
    blocks = read_table(table, model.features, model.classes)
    parts = [(predict(model, x), y) for x, y in blocks]
    scores, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    require_two_classes(y, model.classes)
    metrics, curves = measure(y, scores, model.classes)
    metrics["scores"] = histogram(scores, model.classes)
    write_json(OUT / "metrics.json", metrics)
    for name, (header, rows) in curves.items():
        with (OUT / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def run_compare(args: argparse.Namespace) -> dict[str, Any]:
    """Measure challenger and champion on rows that are new to both; return the summary.

    A champion that cannot be measured on them is a verdict of its own, not an error; then, and if
    there is none, the challenger alone is measured, on all rows that are new to it.
    """
    challenger, champion = load_candidate(IN / "challenger"), load_champion()
    raw = check_digests(challenger)
    groups = held_out(challenger)
    left_out, obstacle = [], ""
    if champion:
        left_out = [g for g, _ in groups if has_learned(champion, challenger, g, raw)]
        obstacle = find_obstacle(challenger, champion, groups, left_out)
    y, scores = score(challenger, None if obstacle else champion)
    if len(y) != sum(rows for _, rows in groups):
        raise StageError(
            f"split/val.csv has {len(y)} rows, but challenger/preprocess.json and model.json leave"
            f" {sum(rows for _, rows in groups)} that the model has not learned from: train again"
        )
    new = np.repeat([g not in left_out for g, _ in groups], [rows for _, rows in groups])
    if len(scores) > 1 and len(np.unique(y[new])) < 2:
        obstacle = "The rows that neither model has learned from are all of one class"
    if obstacle or not champion:
        new[:], scores = True, scores[:1]
    y, scores = y[new], [one[new] for one in scores]
    require_two_classes(y, challenger.model.classes)
    days = [day for g, _ in groups if len(scores) == 1 or g not in left_out for day in g]
    drawn = bootstrap(y, scores, args.resamples, args.seed)
    measured = []
    for one, aucs in zip(scores, drawn, strict=True):
        metrics, _ = measure(y, one, challenger.model.classes)
        low, high = interval(aucs)
        bounds = {"roc_auc_low": low, "roc_auc_high": high}
        measured.append({name: metrics[name] for name in COMPARED} | bounds)
    difference = None
    if len(measured) > 1:
        low, high = interval(drawn[0] - drawn[1])
        difference = {
            "roc_auc": measured[0]["roc_auc"] - measured[1]["roc_auc"],
            "low": low,
            "high": high,
            "confidence": CONFIDENCE,
            "resamples": args.resamples,
        }
    where = f"{len(y):,} rows of {len(days)} day{'s' if len(days) > 1 else ''}"
    verdict, reason = conclude(measured, difference, champion, obstacle, where)
    ours, theirs = [*measured, dict.fromkeys(measured[0])][:2]
    comparison: dict[str, Any] = {
        "version": 1,
        "verdict": verdict,
        "reason": reason,
        "metric": "roc_auc",
        "days": days,
        "rows": len(y),
        "challenger": ours,
        "champion": None,
        "difference": difference,
        "proof": {
            "challenger_trained_on": challenger.learned,
            "champion_trained_on": champion.learned if champion else [],
            "left_out": list(itertools.chain(*left_out)),
        },
    }
    if champion:
        version = {key: champion.version[key] for key in ("name", "version")}
        comparison["champion"] = version | theirs
    write_json(OUT / "comparison.json", comparison)
    found = difference or {}
    return {
        "verdict": verdict,
        "reason": reason,
        "rows": len(y),
        "days": len(days),
        "challenger_roc_auc": ours["roc_auc"],
        "champion_roc_auc": theirs["roc_auc"],
        "challenger_log_loss": ours["log_loss"],
        "champion_log_loss": theirs["log_loss"],
        "difference": found.get("roc_auc"),
        "low": found.get("low"),
        "high": found.get("high"),
        "champion_version": champion.version["version"] if champion else None,
    }


@dataclass(frozen=True)
class Model:
    """A trained model, and what its model.json says of it."""

    path: Path
    """Its model.txt."""
    trees: treelite.Model
    lightgbm: bool
    """Whether LightGBM wrote it."""
    features: list[str]
    classes: list[str]
    spec: dict[str, Any]


def load_model(folder: Path) -> Model:
    """Return the model of a folder. Raises StageError where its files do not fit together."""
    path = folder / "model.json"
    spec = read_json(path, "format", "features", "classes")
    if spec["format"] not in LOADERS:
        raise StageError(
            f"{shown(path)}: format {spec['format']!r} is none of {', '.join(LOADERS)}"
        )
    path = path.with_name("model.txt")
    content = path.read_bytes()
    lightgbm = spec["format"] == "lightgbm"
    try:
        # Without its end, treelite would take the trees that are left for the whole model.
        if lightgbm and b"\nend of trees\n" not in content:
            raise treelite.TreeliteError("cut short")
        trees = LOADERS[spec["format"]](str(path))
    except treelite.TreeliteError as error:
        raise StageError(
            f"{shown(path)} is no whole {spec['format']} model: train again"
        ) from error
    if trees.num_feature != len(spec["features"]):
        raise StageError(
            f"{shown(path)} wants {trees.num_feature} features, model.json names"
            f" {len(spec['features'])}: train again"
        )
    return Model(path, trees, lightgbm, spec["features"], spec["classes"], spec)


def predict(model: Model, x: np.ndarray) -> np.ndarray:
    """Return probabilities, float64 (rows, classes); x: float64 (rows, features), NaN = missing.

    They are the trainer's own, bit for bit: LightGBM's, XGBoost's, and those of scikit-learn's
    histogram gradient boosting.
    """
    softmax = model.trees.get_header_accessor().get_field("postprocessor") == "softmax"
    # XGBoost computes in single precision, as treelite does, and is left to it.
    softmax &= model.trees.output_type == "float64"
    raw = treelite.gtil.predict(model.trees, x, pred_margin=softmax)
    scores: np.ndarray = raw[:, 0, :].astype(float)
    if softmax:
        # treelite's own softmax is of single precision; this is the trainer's, down to its order.
        scores -= scores.max(axis=1, keepdims=True)
        if model.lightgbm:  # C's exp, which differs from NumPy's in the last digit
            scores = np.array([math.exp(v) for v in scores.ravel().tolist()]).reshape(scores.shape)
        else:
            scores = np.exp(scores)
        scores /= np.cumsum(scores, axis=1)[:, -1:]
    if scores.shape[1] == 1:
        scores = np.hstack([1 - scores, scores])
    if scores.shape[1] != len(model.classes):
        raise StageError(
            f"{shown(model.path)} scores {scores.shape[1]} classes, model.json names"
            f" {len(model.classes)}: train again"
        )
    return scores


@dataclass(frozen=True)
class Candidate:
    """A model of a comparison, and what it has learned from."""

    model: Model
    columns: dict[str, dict[str, Any]]
    """Those of its preprocess.json, by name."""
    window: list[dict[str, Any]]
    """The days that it was made from, and their rows, in order."""
    learned: list[str]
    """The days of which it has learned from some rows at least."""
    rows: int
    sha256: str
    """Of the train.csv that it has learned from, with so many rows."""
    version: dict[str, Any]
    """Its version.json; empty if it has none."""


def load_candidate(folder: Path, version: dict[str, Any] | None = None) -> Candidate:
    """Return the model of a folder, with what its files say that it has learned from."""
    model = load_model(folder)
    path = folder / "preprocess.json"
    prepared = read_json(path, "columns", "days")
    columns = {column["name"]: column for column in prepared["columns"]}
    if odd := set(model.features).difference(columns):
        raise StageError(f"{shown(path)} has no column {min(odd)!r} of the model: train again")
    trained_on = model.spec.get("trained_on") or {}
    if not trained_on.keys() >= {"rows", "sha256"}:
        raise StageError(
            f"{shown(folder / 'model.json')}: trained_on has no rows and sha256: train again"
        )
    days = [day["day"] for day in prepared["days"]]
    ends = list(itertools.accumulate(day["rows"] for day in prepared["days"]))
    learned = days[: ends.index(trained_on["rows"]) + 1] if trained_on["rows"] in ends else days
    if learned != trained_on.get("days", learned):
        learned = days  # its rows were chosen otherwise: which days they are of is not known
    rows, digest = trained_on["rows"], trained_on["sha256"]
    return Candidate(model, columns, prepared["days"], learned, rows, digest, version or {})


def load_champion() -> Candidate | None:
    """Return the model in production, if there is one, sure that it is the version it claims."""
    folder = IN / "champion"
    if not folder.exists():
        return None
    path = folder / "version.json"
    version = read_object(path, "name", "version", "files", "raw")
    for name in ("model.txt", "model.json", "preprocess.json"):
        if sha256(folder / name) != version["files"].get(name):
            raise StageError(
                f"{shown(folder / name)} is not that of {shown(path)}, version"
                f" {version['version']}: fetch the model again"
            )
    return load_candidate(folder, version)


def check_digests(challenger: Candidate) -> dict[str, str]:
    """Refuse tables and a model that are not of the same run; return the digest of each raw day.

    What was published is what the manifests say, and the model has learned from that train.csv:
    then the rows of val.csv are those that it has not learned from.
    """
    split, processed = IN / "split" / "manifest.json", IN / "processed" / "manifest.json"
    parts, made = (read_json(path, "inputs", "outputs") for path in (split, processed))
    prepared = sha256(IN / "challenger" / "preprocess.json")
    for found, name, recorded in (
        (
            sha256(split.with_name("train.csv")),
            "split/train.csv",
            parts["outputs"].get("train.csv"),
        ),
        (sha256(split.with_name("val.csv")), "split/val.csv", parts["outputs"].get("val.csv")),
        (prepared, "challenger/preprocess.json", parts["inputs"].get("processed/preprocess.json")),
        (prepared, "challenger/preprocess.json", made["outputs"].get("preprocess.json")),
    ):
        if not recorded or found != recorded["sha256"]:
            raise StageError(
                f"{name} is not what the manifests of split and processed say: run the steps from"
                " preprocess on again"
            )
    if challenger.sha256 != parts["outputs"]["train.csv"]["sha256"]:
        raise StageError(
            "challenger/model.json: the model has learned from another table than split/train.csv"
            " (trained_on.sha256 differs): train again"
        )
    raw = {}
    for day in (day["day"] for day in challenger.window):
        if f"raw/{day}/data.csv" not in made["inputs"]:
            raise StageError(
                f"{shown(processed)} has no digest of raw/{day}/data.csv: run preprocess again"
            )
        raw[day] = made["inputs"][f"raw/{day}/data.csv"]["sha256"]
    return raw


def held_out(challenger: Candidate) -> list[tuple[list[str], int]]:
    """Return which days the rows of val.csv are of: days, and how many rows of them come next.

    They are whole days; or rows from among all days, as of a single day, or if another rule than
    the time has parted them.
    """
    if len(challenger.learned) < len(challenger.window):
        rest = challenger.window[len(challenger.learned) :]
        return [([day["day"]], day["rows"]) for day in rest]
    total = sum(day["rows"] for day in challenger.window)
    return [(challenger.learned, total - challenger.rows)]


def has_learned(
    champion: Candidate, challenger: Candidate, days: list[str], raw: dict[str, str]
) -> bool:
    """Return whether the champion may have learned from the challenger's new rows of these days.

    It may, if it has learned from a day of that name, or from the same data by another name.
    """
    if champion.sha256 == challenger.sha256:
        return False  # both have learned from this train.csv, val.csv is new to both
    known = {champion.version["raw"].get(f"{day}/data.csv") for day in champion.learned}
    return any(day in champion.learned or raw[day] in known for day in days)


def find_obstacle(
    challenger: Candidate,
    champion: Candidate,
    groups: list[tuple[list[str], int]],
    left_out: list[list[str]],
) -> str:
    """Return why the champion cannot be measured on the challenger's rows, or ""."""
    ours, theirs = challenger.model.classes, champion.model.classes
    it = f"ersion {champion.version['version']} in production"
    if odd := set(ours) ^ set(theirs):
        knows, not_ = ("V" + it, "this model") if min(odd) in theirs else ("This model", "v" + it)
        return f"{knows} knows the class {min(odd)!r}, which {not_} does not"
    for name in champion.model.features:
        kind = champion.columns[name]["kind"]
        if name not in challenger.model.features:
            return f"V{it} needs the column {name!r}, which the rows do not have"
        if kind != challenger.columns[name]["kind"]:
            return f"The column {name!r} is {kind} for v{it}, for this model it is not"
    unknown = [d for d in champion.learned if f"{d}/data.csv" not in champion.version["raw"]]
    if unknown and champion.sha256 != challenger.sha256:
        return f"V{it} does not say which data of {unknown[0]} it has learned from"
    if len(left_out) == len(groups):
        return f"V{it} has learned from every day that is new to this model"
    return ""


def score(challenger: Candidate, champion: Candidate | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the class codes of val.csv (rows,), and each model's probabilities of these classes.

    They are float64 (rows, classes).
    """
    classes = challenger.model.classes
    parts = []
    table = read_table(IN / "split" / "val.csv", challenger.model.features, classes)
    for x, codes in table:
        parts.append([codes, predict(challenger.model, x)])
        if champion:
            order = [champion.model.classes.index(label) for label in classes]
            parts[-1].append(predict(champion.model, recode(x, challenger, champion))[:, order])
    y, *scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    return y, scores


def recode(x: np.ndarray, challenger: Candidate, champion: Candidate) -> np.ndarray:
    """Return the champion's features, float64 (rows, features), of those of the challenger.

    Codes of categories are exchanged by their texts. What the champion does not know is missing,
    as transform would have it; so is what was too rare for the challenger's preprocess.json.
    """
    recoded = np.empty((len(x), len(champion.model.features)))
    for j, name in enumerate(champion.model.features):
        values = x[:, challenger.model.features.index(name)]
        if champion.columns[name]["kind"] == "categorical":
            codes = {text: i for i, text in enumerate(champion.columns[name]["categories"])}
            ours = challenger.columns[name]["categories"]
            exchange = np.array([codes.get(text, math.nan) for text in [*ours, None]])
            at = np.where(np.isnan(values), len(ours), values).astype(int)
            if at.min() < 0 or at.max() > len(ours):
                raise StageError(
                    f"split/val.csv: column {name!r} has a code that is no category of"
                    " challenger/preprocess.json: run preprocess again"
                )
            values = exchange[at]
        recoded[:, j] = values
    return recoded


def bootstrap(y: np.ndarray, scores: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Return the AUC of each model, as `measure` has it, on rows that are drawn again and again.

    y: codes of the true classes (rows,); scores: of each model, probabilities (rows, classes).
    Returns float64 (models, resamples). All models are measured on the same draws (paired). A draw
    has as many rows of each class as there are, with replacement (stratified), so that no class is
    ever without a row. The rows count as independent of each other.
    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13; of differences
    of AUC: Robin et al., pROC (2011), https://doi.org/10.1186/1471-2105-12-77.
    """
    order = np.argsort(y, kind="stable")
    stops = np.cumsum(np.bincount(y))
    spans = {k: slice(stops[k - 1] if k else 0, stops[k]) for k in np.unique(y).tolist()}
    measured = [1] if scores[0].shape[1] == 2 else list(spans)
    # Only the order of the scores counts: they are sorted once, for all draws.
    ranks = [
        [(np.unique(one[order, k], return_inverse=True)[1], spans[k]) for k in measured]
        for one in scores
    ]
    random = np.random.default_rng(seed)
    aucs = np.empty((len(scores), resamples))
    for n in range(resamples):
        drawn = np.concatenate(
            [random.integers(s.start, s.stop, s.stop - s.start) for s in spans.values()]
        )
        aucs[:, n] = [np.mean([auc(r[drawn], span) for r, span in each]) for each in ranks]
    return aucs


def auc(ranks: np.ndarray, positive: slice) -> float:
    """Return the area under the ROC curve: Mann and Whitney's U, ties counted half.

    ranks: int (rows,), equal for equal scores; positive: the rows of the positive class.
    """
    others = np.bincount(
        np.concatenate([ranks[: positive.start], ranks[positive.stop :]]), minlength=len(ranks)
    )
    below = np.cumsum(others) - others / 2
    pairs = (positive.stop - positive.start) * (len(ranks) - positive.stop + positive.start)
    return float(below[ranks[positive]].sum() / pairs)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of a bootstrap's values (resamples,)."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return low, high


def conclude(
    measured: list[dict[str, float]],
    difference: dict[str, float] | None,
    champion: Candidate | None,
    obstacle: str,
    where: str,
) -> tuple[str, str]:
    """Return the verdict, and its reason in one sentence for the person who decides."""
    sure = f"({CONFIDENCE:.0%})".replace("%", " %")
    ours = measured[0]
    if not champion or not difference:
        alone = (
            f"on {where} that it has not learned from, the AUC of this model is"
            f" {ours['roc_auc']:.3f}, between {ours['roc_auc_low']:.3f} and"
            f" {ours['roc_auc_high']:.3f} {sure}."
        )
        if champion:
            return "not_comparable", f"{obstacle}, so the two cannot be compared; {alone}"
        return "first", f"There is no model in production yet; {alone}"
    verdict, then = "no_clear_difference", "neither is clearly better"
    if difference["low"] > 0:
        verdict, then = "better", "this model is better"
    elif difference["high"] < 0:
        verdict, then = "worse", "this model is worse"
    return verdict, (
        f"On {where} that neither model has learned from, the AUC of this model is"
        f" {ours['roc_auc']:.3f} and that of version {champion.version['version']} in production"
        f" {measured[1]['roc_auc']:.3f}; the difference {difference['roc_auc']:+.3f} lies between"
        f" {difference['low']:+.3f} and {difference['high']:+.3f} {sure}, so {then}."
    )


def require_two_classes(y: np.ndarray, classes: list[str]) -> None:
    """Refuse rows that no model can be measured on; y: codes of their classes (rows,)."""
    if len(np.unique(y)) < 2:
        raise StageError(
            f"split/val.csv has rows of one class only, {classes[y[0]]!r}: validate on more days"
        )


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


def histogram(scores: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Return how the probabilities of each class are spread, to compare other days with.

    A probability that is an edge is above it.
    """
    edges = [k / 10 for k in range(1, 10)]
    counts = {
        label: np.bincount(np.searchsorted(edges, scores[:, k], side="right"), minlength=10)
        for k, label in enumerate(classes)
    }
    return {"edges": edges, "counts": {label: n.tolist() for label, n in counts.items()}}


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
    value = read_object(path, *keys)
    if value.get("version") != 1:
        raise StageError(f"{shown(path)} is not version 1 with {', '.join(keys)}: write it again")
    return value


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} has not the keys {', '.join(keys)}: write it again")
    return value


def sha256(path: Path) -> str:
    """Return the digest of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
