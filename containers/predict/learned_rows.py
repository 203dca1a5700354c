"""What of val.csv a model knows: copies of rows that it has learned from, and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from models import Model
from stageframe import IN, StageError, read_json, shown
from stageframe.rows import Known, from_text, row_digests
from stageframe.tables import read_table, read_texts
from stageframe.training import days_of

REST = 0.1  # of a day: where fewer rows are new, the day is another one that came again
TRAIN = IN / "split" / "train.csv"


@dataclass(frozen=True)
class Copies:
    """Which of the rows to measure on have been learned from."""

    rows: np.ndarray
    """bool (rows,)"""
    days: dict[str, str]
    """Days of which little or nothing else is left, and the days whose rows they have."""

    @property
    def number(self) -> int:
        """How many rows that is."""
        return int(self.rows.sum())

    def told(self) -> str:
        """Return what they are, for a sentence: 2024-01-04 has the rows of 2024-01-03."""
        return ", ".join(f"{day} has the rows of {known} again" for day, known in self.days.items())


def columns_of(model: Model) -> list[dict[str, Any]]:
    """Return the columns of the preprocess.json beside a model, in the model's order."""
    path = model.path.with_name("preprocess.json")
    columns = {c["name"]: c for c in read_json(path, "columns", version=1)["columns"]}
    if odd := set(model.features).difference(columns):
        raise StageError(f"{shown(path)} has no column {min(odd)!r} of the model: train again")
    return [columns[name] for name in model.features]


def read_digests(table: Path, model: Model) -> np.ndarray:
    """Return the digest of each row of train.csv, uint64 (rows,)."""
    columns = columns_of(model)
    parts = [row_digests(x, columns) for x, _ in read_table(table, model.features, model.classes)]
    return np.concatenate(parts)


def read_known(path: Path, learned: Sequence[str]) -> Known | None:
    """Return what a preprocess.json says of the rows of these days; None if it says nothing."""
    prepared = read_json(path, "days", version=1)
    rows = {day["day"]: day["rows"] for day in prepared["days"] if day["day"] in learned}
    digests = prepared.get("digests") or {"days": {}}
    if not digests["days"].keys() >= rows.keys():
        return None
    try:
        groups = {day: from_text(digests["days"][day]) for day in rows}
    except (TypeError, ValueError) as error:
        sentence = f"{shown(path)}: the digests of a day are not base64: run fit again"
        raise StageError(sentence) from error
    return Known(groups, rows, digests["share"])


def find_own_copies(digests: np.ndarray, model: Model) -> Copies:
    """Return which rows of val.csv a model has learned from in train.csv.

    digests: of val.csv, uint64 (rows,). train.csv is read only where it has to be: the digests that
    preprocess.json has of its days may tell enough.
    """
    path = model.path.with_name("preprocess.json")
    days = read_json(path, "days", version=1)["days"]
    if "rows" not in (trained_on := model.spec.get("trained_on") or {}):
        path = model.path.with_name("model.json")
        raise StageError(f"{shown(path)}: trained_on has no rows: train again")
    learned = days_of(trained_on["rows"], days)
    later = days[len(learned) :]
    parts = [(day["day"], day["rows"]) for day in later]
    by_day = sum(rows for _, rows in parts) == len(digests)
    if by_day and (known := read_known(path, learned)):
        copies = find_copies(digests, parts, known)
        if known.share >= 1 or not copies.rows.any():
            return copies
    table = read_digests(TRAIN, model)
    groups = {"train.csv": table}
    if by_day:
        stops = np.cumsum([day["rows"] for day in days[: len(learned)]])[:-1]
        groups = dict(zip(learned, np.split(table, stops), strict=True))
    known = Known(groups, {name: len(group) for name, group in groups.items()}, 1.0)
    return find_copies(digests, parts if by_day else [("val.csv", len(digests))], known)


def find_copies(digests: np.ndarray, parts: list[tuple[str, int]], known: Known) -> Copies:
    """Return which rows are known; parts: days, and how many rows each has, in order.

    Of a day of which little else is left all rows count as known, and so do they where only some
    digests of the known rows are there.
    """
    found, days = [], dict[str, str]()
    stops = np.cumsum([rows for _, rows in parts])[:-1]
    for (day, rows), part in zip(parts, np.split(digests, stops), strict=True):
        copied = known.copies(part)
        if copied.sum() > (1 - REST) * rows or (known.share < 1 and copied.any()):
            days[day] = known.nearest(part)
            copied[:] = True
        found.append(copied)
    return Copies(np.concatenate(found), days)


def require_news(copies: Copies, y: np.ndarray) -> None:
    """Raise StageError (65) where the rows that are no copies do not tell how good a model is.

    y: codes of the true classes, int (rows,).
    """
    left = np.unique(y[~copies.rows])
    if not copies.rows.any() or len(left) > 1:
        return
    told = f": {copies.told()}" if copies.days else ""
    raise StageError(
        f"split/val.csv: {copies.number:,} of {len(y):,} rows are copies of rows that the model"
        f" has learned from{told}: deliver each day's own rows, or leave the day out"
    )


def untaught(y: np.ndarray, classes: list[str]) -> list[str]:
    """Return the classes that are in val.csv, but in no row of train.csv; y: codes, int (rows,).

    Of two classes there are none: a trainer wants rows of both.
    """
    if len(classes) == 2:
        return []
    names = {classes[k] for k in np.unique(y).tolist()}
    for _, (targets,) in read_texts(TRAIN, ["target"]):
        names.difference_update(targets)
        if not names:
            break
    return [name for name in classes if name in names]


def tell_untaught(names: list[str]) -> str:
    """Return the sentence on classes that no learned row has, "" if there are none."""
    if not names:
        return ""
    what = f"classes {', '.join(map(repr, names))} are" if names[1:] else f"class {names[0]!r} is"
    return (
        f"The {what} in the rows to validate with and in no row that the model has learned from:"
        " is it a new spelling of another?"
    )


def tell_copies(*copies: Copies) -> str:
    """Return the sentence on rows that were left out, with a space before it; "" for none."""
    if not (number := int(np.logical_or.reduce([one.rows for one in copies]).sum())):
        return ""
    told = "; ".join(one.told() for one in copies if one.days)
    return (
        f" {number:,} rows were left out as copies of rows that a model has learned from"
        f"{f' ({told})' if told else ''}."
    )
