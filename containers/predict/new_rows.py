"""Which rows are new to both models of a comparison, and the proof of it."""

from dataclasses import dataclass

import numpy as np
from candidates import Candidate
from learned_rows import Copies, Marked, find_copies, read_known
from stageframe import IN, StageError, digest, read_json, shown


@dataclass(frozen=True)
class Group:
    """Rows of val.csv that come one after the other."""

    days: list[str]
    """Those that they are of."""
    rows: int
    known: bool
    """Whether the champion may have learned from them."""


def check_digests(challenger: Candidate) -> dict[str, str]:
    """Refuse tables and a model that are not of the same run; return the digest of each raw day.

    What was published is what the manifests say, and the model has learned from that train.csv:
    then the rows of val.csv are those that it has not learned from.
    """
    split, processed = IN / "split" / "manifest.json", IN / "processed" / "manifest.json"
    parts, made = (read_json(path, "inputs", "outputs", version=1) for path in (split, processed))
    tables, fitted = parts["outputs"], "challenger/preprocess.json"
    for file, recorded in (
        ("split/train.csv", tables.get("train.csv")),
        ("split/val.csv", tables.get("val.csv")),
        (fitted, parts["inputs"].get("processed/preprocess.json")),
        (fitted, made["outputs"].get("preprocess.json")),
    ):
        if digest(IN / file) != (recorded or {}).get("sha256"):
            raise StageError(
                f"{file} is not what the manifests of split and processed say: run the steps from"
                " preprocess on again"
            )
    if challenger.sha256 != tables["train.csv"]["sha256"]:
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


def group_rows(
    challenger: Candidate, champion: Candidate | None, raw: dict[str, str]
) -> list[Group]:
    """Return the rows of val.csv in order: day by day if they are whole days, else as one group.

    raw: the digests of the challenger's days.
    """
    parts = [(challenger.learned, sum(d["rows"] for d in challenger.window) - challenger.rows)]
    if challenger.whole_days:
        rest = challenger.window[len(challenger.learned) :]
        parts = [([day["day"]], day["rows"]) for day in rest]
    return [
        Group(days, rows, champion is not None and has_learned(champion, challenger, days, raw))
        for days, rows in parts
    ]


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


def find_their_copies(
    val: Marked, challenger: Candidate, champion: Candidate, groups: list[Group]
) -> Copies:
    """Return which rows of val.csv the champion has learned from, as far as it says which it has.

    val: the rows by the champion's columns.
    """
    path = champion.model.path.with_name("preprocess.json")
    known = read_known(path, champion.learned)
    if known is None or champion.sha256 == challenger.sha256:
        return Copies(np.zeros(len(val.targets), bool), {})
    return find_copies(val, [(", ".join(g.days), g.rows) for g in groups], known.items())


def find_obstacle(challenger: Candidate, champion: Candidate, groups: list[Group]) -> str:
    """Return why the champion cannot be measured on the challenger's rows, or ""."""
    it = f"ersion {champion.version['version']} in production"
    if other := find_other_target(challenger, champion, it):
        return other
    for name in champion.model.features:
        kind = champion.columns[name]["kind"]
        if name not in challenger.model.features:
            return f"V{it} needs the column {name!r}, which the rows do not have"
        if kind != challenger.columns[name]["kind"]:
            return f"The column {name!r} is {kind} for v{it}, for this model it is not"
    unknown = [d for d in champion.learned if f"{d}/data.csv" not in champion.version["raw"]]
    if unknown and champion.sha256 != challenger.sha256:
        return f"V{it} does not say which data of {unknown[0]} it has learned from"
    if all(group.known for group in groups):
        known = (
            "has learned from every day that is new"
            if challenger.whole_days
            else "may have learned from the rows that are new"
        )
        return f"V{it} {known} to this model"
    return ""


def find_other_target(challenger: Candidate, champion: Candidate, it: str) -> str:
    """Return in what the targets differ, or ""; `it` is the champion, without its first letter."""
    if bool(challenger.model.loss) != bool(champion.model.loss):
        what, other = ("a number", "classes") if champion.model.loss else ("classes", "a number")
        return f"V{it} predicts {what}, this model {other}"
    ours, theirs = challenger.model.classes, champion.model.classes
    if odd := set(ours) ^ set(theirs):
        knows, not_ = ("V" + it, "this model") if min(odd) in theirs else ("This model", "v" + it)
        return f"{knows} knows the class {min(odd)!r}, which {not_} does not"
    return ""
