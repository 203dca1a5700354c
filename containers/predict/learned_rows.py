"""What of val.csv a model knows: copies of rows that it has learned from, and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from models import Model, read_rows
from stageframe import IN, StageError, read_json, shown
from stageframe.rows import Group, Known, RowDigests, from_texts, with_targets
from stageframe.tables import read_texts
from stageframe.tasks import is_regression
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


class Marked(NamedTuple):
    """Rows by which they are known again."""

    digests: np.ndarray  # uint64 (rows,), of their features
    labelled: np.ndarray  # uint64 (rows,), with their targets
    targets: np.ndarray  # (rows,), codes of classes, int, or numbers


def mark(digests: np.ndarray, targets: np.ndarray, classes: list[str]) -> Marked:
    """Return rows by their digests, uint64 (rows,), and their targets, codes if of `classes`."""
    return Marked(digests, with_targets(digests, targets, classes), targets)


def read_learned(model: Model) -> Marked:
    """Return the rows of train.csv."""
    digest = RowDigests(columns_of(model))
    parts = [*read_rows(model, TRAIN, digest)]
    digests, targets = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mark(digests, targets, model.classes)


def read_known(path: Path, learned: Sequence[str]) -> Known | None:
    """Return what a preprocess.json says of the rows of these days; None if it says nothing."""
    prepared = read_json(path, "days", version=1)
    numbers = is_regression(path, prepared)
    classes = [] if numbers else prepared["classes"]
    rows = {day["day"]: day["rows"] for day in prepared["days"] if day["day"] in learned}
    digests = prepared.get("digests") or {"days": {}}
    if not digests["days"].keys() >= rows.keys():
        return None
    groups = {}
    try:
        for day, number in rows.items():
            marked = mark(*from_texts(digests["days"][day], numbers=numbers), classes)
            groups[day] = Group(marked.digests, marked.labelled, number)
    except (TypeError, ValueError, LookupError) as error:
        sentence = f"{shown(path)}: the digests of {day} are not as fit writes them: run it again"
        raise StageError(sentence) from error
    return Known(groups, digests["share"])


def find_own_copies(val: Marked, model: Model) -> Copies:
    """Return which rows of val.csv a model has learned from in train.csv.

    train.csv is read only where it has to be: the digests that preprocess.json has of its days may
    tell enough.
    """
    path = model.path.with_name("preprocess.json")
    days = read_json(path, "days", version=1)["days"]
    if "rows" not in (trained_on := model.spec.get("trained_on") or {}):
        path = model.path.with_name("model.json")
        raise StageError(f"{shown(path)}: trained_on has no rows: train again")
    learned = days_of(trained_on["rows"], days)
    later = days[len(learned) :]
    parts = [(day["day"], day["rows"]) for day in later]
    by_day = sum(rows for _, rows in parts) == len(val.digests)
    if by_day and (known := read_known(path, learned)):
        copies = find_copies(val, parts, known)
        if known.share >= 1 or not copies.rows.any():
            return copies
    table = read_learned(model)
    names, stops = ["train.csv"], np.array([], int)
    if by_day:
        names = learned
        stops = np.cumsum([day["rows"] for day in days[: len(learned)]])[:-1]
    split = zip(names, np.split(table.digests, stops), np.split(table.labelled, stops), strict=True)
    known = Known({name: Group(one, two, len(one)) for name, one, two in split}, 1.0)
    return find_copies(val, parts if by_day else [("val.csv", len(val.digests))], known)


def find_copies(val: Marked, parts: list[tuple[str, int]], known: Known) -> Copies:
    """Return which rows are known; parts: days, and how many rows each has, in order.

    Of a day of which little else is left all rows count as known, and so do they where only some
    digests of the known rows are there.
    """
    found, days = [], dict[str, str]()
    stops = np.cumsum([rows for _, rows in parts])[:-1]
    split = zip(parts, *(np.split(column, stops) for column in val), strict=True)
    for (day, rows), digests, labelled, targets in split:
        copied = known.copies(digests, labelled, targets)
        if copied.sum() > (1 - REST) * rows or (known.share < 1 and copied.any()):
            days[day] = known.nearest(labelled)
            copied[:] = True
        found.append(copied)
    return Copies(np.concatenate(found), days)


def require_news(copies: Copies, y: np.ndarray) -> None:
    """Raise StageError (65) where the rows that are no copies do not tell how good a model is.

    y: targets (rows,).
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
    if len(classes) < 3:
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
