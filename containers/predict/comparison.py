"""Compare a new model with the one in production, on rows that neither has learned from."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from files import IN, StageError, read_json, read_object, read_table, sha256, shown
from measures import CONFIDENCE, bootstrap, interval, measure, require_two_classes
from models import Model, load_model, predict

METRICS = ("roc_auc", "log_loss", "average_precision", "accuracy", "calibration_error")
SURE = f"{CONFIDENCE:.0%}".replace("%", " %")


def compare(resamples: int, seed: int) -> dict[str, Any]:
    """Measure challenger and champion on rows that are new to both; return comparison.json.

    A champion that cannot be measured on them is a verdict of its own, not an error; then, and if
    there is none, the challenger alone is measured, on all rows that are new to it. Where only the
    challenger has learned from the days of these rows, both are measured, without a verdict.
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
    measured, difference = measure_all(y, scores, challenger.model.classes, resamples, seed)
    rows = Rows(len(y), days, challenger.whole_days)
    if not champion or not difference:
        verdict, reason = conclude_alone(measured[0], obstacle, rows)
    elif not rows.whole_days and champion.sha256 != challenger.sha256:
        verdict, reason = conclude_favoured(measured, difference, champion, rows)
    else:
        verdict, reason = conclude(measured, difference, champion, rows)
    champions: dict[str, Any] | None = None
    if champion:
        version = {key: champion.version[key] for key in ("name", "version")}
        champions = version | (measured[1] if difference else dict.fromkeys(measured[0]))
    return {
        "version": 1,
        "verdict": verdict,
        "reason": reason,
        "metric": "roc_auc",
        "days": days,
        "rows": len(y),
        "challenger": measured[0],
        "champion": champions,
        "difference": difference,
        "proof": {
            "challenger_trained_on": challenger.learned,
            "champion_trained_on": champion.learned if champion else [],
            "left_out": list(itertools.chain(*left_out)),
        },
    }


def measure_all(
    y: np.ndarray, scores: list[np.ndarray], classes: list[str], resamples: int, seed: int
) -> tuple[list[dict[str, float]], dict[str, float] | None]:
    """Return the metrics of each model; of two, how much the first has the larger AUC.

    y: codes of the true classes (rows,); scores: of each model, probabilities (rows, classes).
    """
    drawn = bootstrap(y, scores, resamples, seed)
    measured = []
    for one, aucs in zip(scores, drawn, strict=True):
        metrics, _ = measure(y, one, classes)
        low, high = interval(aucs)
        bounds = {"roc_auc_low": low, "roc_auc_high": high}
        measured.append({name: metrics[name] for name in METRICS} | bounds)
    if len(measured) == 1:
        return measured, None
    low, high = interval(drawn[0] - drawn[1])
    return measured, {
        "roc_auc": measured[0]["roc_auc"] - measured[1]["roc_auc"],
        "low": low,
        "high": high,
        "confidence": CONFIDENCE,
        "resamples": resamples,
    }


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

    @property
    def whole_days(self) -> bool:
        """Whether the rows that it has not learned from are whole days.

        They are not if they are of a single day, or if another rule than the time has chosen them.
        """
        return len(self.learned) < len(self.window)


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

    They are whole days; or rows from among all days.
    """
    if challenger.whole_days:
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
        known = (
            "has learned from every day that is new"
            if challenger.whole_days
            else "may have learned from the rows that are new"
        )
        return f"V{it} {known} to this model"
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


def conclude_alone(ours: dict[str, float], obstacle: str, rows: Rows) -> tuple[str, str]:
    """Return the verdict, and its reason, where the challenger alone could be measured."""
    alone = (
        f"on {rows.told('it has not', 'it has')}, the AUC of this model is {ours['roc_auc']:.3f},"
        f" between {ours['roc_auc_low']:.3f} and {ours['roc_auc_high']:.3f} ({SURE})."
    )
    if obstacle:
        return "not_comparable", f"{obstacle}, so the two cannot be compared; {alone}"
    return "first", f"There is no model in production yet; {alone}"


def conclude_favoured(
    measured: list[dict[str, float]],
    difference: dict[str, float],
    champion: Candidate,
    rows: Rows,
) -> tuple[str, str]:
    """Return the verdict, and its reason, where the days are known to the challenger alone.

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


def conclude(
    measured: list[dict[str, float]],
    difference: dict[str, float],
    champion: Candidate,
    rows: Rows,
) -> tuple[str, str]:
    """Return the verdict, and its reason in one sentence for the person who decides."""
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
