"""What of val.csv a model knows: copies of rows that it has learned from, and classes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from models import Model, read_rows
from stageframe import IN, StageError, read_json, shown
from stageframe.near_rows import (
    EXACT,
    OTHER_KEY,
    ROUNDED,
    Marks,
    RowMarks,
    are_near,
    beside_of,
    joined,
)
from stageframe.roundings import about
from stageframe.rows import Group, Known, from_texts, with_targets
from stageframe.tables import read_texts
from stageframe.tasks import is_regression
from stageframe.training import days_of

HOW = {OTHER_KEY: ", with another key", ROUNDED: ", rounded"}
REST = 0.1  # of a day: where fewer rows are new, the day is another one that came again
TRAIN = IN / "split" / "train.csv"


@dataclass(frozen=True)
class Copies:
    """Which of the rows to measure on have been learned from."""

    rows: np.ndarray
    """bool (rows,)"""
    days: dict[str, str]
    """Days of which little or nothing else is left, and the days whose rows they have."""
    how: dict[str, str] = field(default_factory=dict)
    """What kind of copies these are."""
    kinds: dict[str, int] = field(default_factory=dict)
    """How many rows of each kind that could be looked for."""

    @property
    def number(self) -> int:
        """How many rows that is."""
        return int(self.rows.sum())

    def told(self) -> str:
        """Return what they are, for a sentence: 2024-01-04 has the rows of 2024-01-03."""
        return ", ".join(
            f"{day} has the rows of {known} again{HOW.get(self.how.get(day, EXACT), '')}"
            for day, known in self.days.items()
        )


def columns_of(model: Model) -> list[dict[str, Any]]:
    """Return the columns of the preprocess.json beside a model, in the model's order."""
    path = model.path.with_name("preprocess.json")
    columns = {c["name"]: c for c in read_json(path, "columns", version=1)["columns"]}
    if odd := set(model.features).difference(columns):
        raise StageError(f"{shown(path)} has no column {min(odd)!r} of the model: train again")
    return [columns[name] for name in model.features]


class Marked(NamedTuple):
    """Rows by which they are known again."""

    marks: dict[str, Marks]  # of each kind of copies that can be told
    targets: np.ndarray  # (rows,), codes of classes, int, or numbers
    classes: list[str]

    def at(self, kind: str, where: slice) -> "Marked":
        """Return some of the rows, with the marks of this kind."""
        return Marked({kind: self.marks[kind].at(where)}, self.targets[where], self.classes)

    def compared(self, kind: str) -> np.ndarray:
        """Return the targets as they are compared, (rows,)."""
        is_rough = kind == ROUNDED and not self.classes
        return about(self.targets) if is_rough else self.targets

    def labelled(self, kind: str) -> np.ndarray:
        """Return the digests with these targets, uint64 (rows,)."""
        return with_targets(self.marks[kind].digests, self.compared(kind), self.classes)

    def known(self, kind: str, rows: int) -> Group:
        """Return them as some or all of so many known rows."""
        digests, beside, _ = self.marks[kind]
        return Group(digests, self.labelled(kind), rows, beside)


def near_of(model: Model) -> dict[str, Any] | None:
    """Return how near copies are looked for, as the preprocess.json beside a model says, if so."""
    digests = read_json(model.path.with_name("preprocess.json"), version=1).get("digests") or {}
    near: dict[str, Any] | None = digests.get("near")
    return near


def read_learned(model: Model) -> Marked:
    """Return the rows of train.csv."""
    parts = [*read_rows(model, TRAIN, RowMarks(columns_of(model), near_of(model)))]
    marks, targets = zip(*parts, strict=True)
    return Marked(joined(marks), np.concatenate(targets), model.classes)


def read_known(path: Path, learned: Sequence[str]) -> dict[str, Known] | None:
    """Return what a preprocess.json says of the rows of these days, by the kind of copies.

    None if it says nothing.
    """
    prepared = read_json(path, "days", version=1)
    numbers = is_regression(path, prepared)
    classes = [] if numbers else prepared["classes"]
    rows = {day["day"]: day["rows"] for day in prepared["days"] if day["day"] in learned}
    digests = prepared.get("digests") or {"days": {}}
    if not digests["days"].keys() >= rows.keys():
        return None
    near = digests.get("near") or {"days": {}, "share": 1.0}
    known = {}
    for kind, days in {EXACT: digests["days"], **near["days"]}.items():
        share = digests["share"] if kind == EXACT else near["share"]
        groups = dict[str, Group]()
        for day, number in rows.items():
            try:
                if not 0 < share <= 1:
                    raise ValueError(f"a share is wanted, and not {share}")
                found, targets = from_texts(days[day], numbers=numbers)
                marks = Marks(found, None if kind == EXACT else beside_of(days[day]))
                groups[day] = Marked({kind: marks}, targets, classes).known(kind, number)
            except (TypeError, ValueError, LookupError) as error:
                sentence = f"{shown(path)}: the digests of {day} are not as fit writes them"
                raise StageError(f"{sentence}: run it again") from error
        known[kind] = known_as(kind, groups, share, share)
    return known


def known_as(kind: str, groups: Mapping[str, Group], share: float, looked_at: float) -> Known:
    """Return rows by their names as known ones of a kind; shares: as Known has them."""
    return Known(groups, share, None if kind == EXACT else partial(are_near, kind), looked_at)


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
    by_day = sum(rows for _, rows in parts) == len(val.targets)
    if by_day and (known := read_known(path, learned)):
        copies = find_copies(val, parts, known.items())
        if not any(copies.kinds.get(kind) for kind, one in known.items() if one.share < 1):
            return copies
    table = read_learned(model)
    names = [(day["day"], day["rows"]) for day in days[: len(learned)]]
    if not by_day:
        names, parts = [("train.csv", len(table.targets))], [("val.csv", len(val.targets))]

    def known_by(kind: str) -> Known:
        groups = {
            name: table.at(kind, where).known(kind, where.stop - where.start)
            for name, where in slices(names)
        }
        return known_as(kind, groups, 1.0, table.marks[kind].share)

    # One kind after the other: of many rows each takes memory.
    return find_copies(val, parts, ((kind, known_by(kind)) for kind in table.marks))


def find_copies(
    val: Marked, parts: list[tuple[str, int]], known: Iterable[tuple[str, Known]]
) -> Copies:
    """Return which rows are known; parts: days, and how many rows each has, in order.

    known: by the kind of copies, exact ones first. Of a day of which little else is left all rows
    count as known, and so do they where only some digests of the known rows are there.
    """
    found = np.zeros(len(val.targets), bool)
    copies = Copies(found, {})
    for kind, learned in known:
        if kind not in val.marks:
            continue
        before = found.sum()
        for day, where in slices(parts):
            rows = val.at(kind, where)
            digests, beside, _ = rows.marks[kind]
            labelled, targets = rows.labelled(kind), rows.compared(kind)
            copied = learned.copies(digests, labelled, targets, beside, ~found[where])
            if not copied.any():
                continue
            found[where] |= copied
            if found[where].mean() > 1 - REST or learned.share < 1:
                copies.days[day] = learned.nearest(labelled)
                copies.how[day] = kind
                found[where] = True
        copies.kinds[kind] = int(found.sum() - before)
    return copies


def slices(parts: Iterable[tuple[str, int]]) -> Iterator[tuple[str, slice]]:
    """Yield each part's name and where its rows are; parts: names, and how many rows each has."""
    start = 0
    for name, rows in parts:
        yield name, slice(start, start := start + rows)


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
