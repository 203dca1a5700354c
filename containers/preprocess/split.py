"""split: part processed/ into rows to learn from, and rows to validate with."""

import csv
import io
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from csv_tables import has_rows, lines_of, read_blocks, read_codes
from stageframe import IN, OUT, StageError, read_json, shown
from stageframe.csv_files import csv_line, read_header
from stageframe.tasks import REGRESSION

# Where there are fewer kinds of rows, or more rows of each, they are alike by chance; and where
# more than this share of the kinds that came several times is of several classes.
FEW_KINDS, MANY_ROWS, MIXED = 50, 5, 0.05


def split(val_fraction: float, seed: int) -> dict[str, Any]:
    """Part train_data.csv by time, or a single day by class; return the summary."""
    table = IN / "processed" / "train_data.csv"
    days, numbers = read_days(IN / "processed" / "preprocess.json")
    names = read_header(table)
    if names[-1] != "target":
        raise StageError(f"{shown(table)}: its last column is not target: run fit again")
    if not has_rows(table):
        raise StageError(f"{shown(table)} has a header but no rows: run fit again")
    if len(days) > 1:
        chosen = choose_days([day["rows"] for day in days], val_fraction)
    else:
        chosen = choose_rows(*read_kinds(table), val_fraction, seed, numbers=numbers)
    rows, expected = write_parts(table, names, chosen), sum(day["rows"] for day in days)
    if rows != expected:
        raise StageError(
            f"{shown(table)} has {rows} rows, preprocess.json {expected}: run fit again"
        )
    if not chosen.any():
        few = "there is one row" if numbers else "no class has two rows"
        raise StageError(f"{shown(table)}: {few}: provide more rows")
    if not numbers and (label := only_class(OUT / "train.csv")):
        raise StageError(
            f"{shown(table)}: all rows to learn from are of class {label!r}, as the newest days"
            " validate: provide rows of another class on earlier days, or more days"
        )
    return {
        "train_rows": int((~chosen).sum()),
        "val_rows": int(chosen.sum()),
        "by": "time" if len(days) > 1 else "row" if numbers else "class",
    }


def choose_days(rows: list[int], fraction: float) -> np.ndarray:
    """Return which rows validate, bool (all rows,): those of the newest days, of this fraction.

    rows: of each day, two days or more. There are days on both sides.
    """
    ends = np.cumsum(rows)
    newest = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
    chosen: np.ndarray = np.arange(ends[-1]) >= ends[-newest - 1]
    return chosen


def read_kinds(table: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's target, and which rows are the same but for it.

    Both are codes, int (rows,), in the order in which they come.
    """
    place = dict[str, int]()
    targets, hashes = [np.empty(0, np.int32)], [np.empty(0, np.uint64)]
    for codes, texts, some in read_blocks(table, look):
        known = np.array([place.setdefault(text, len(place)) for text in texts], np.int32)
        targets.append(known[codes])
        hashes.append(some)
    return np.concatenate(targets), number_kinds(np.concatenate(hashes))


def number_kinds(hashes: np.ndarray) -> np.ndarray:
    """Return a code for each hash, int (rows,), 0 for the first, 1 for the next that is new, ...

    It takes a third of the memory of pandas' factorize, where few of them come again.
    """
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not len(repeated):
        return np.arange(len(hashes))
    place = np.searchsorted(repeated, hashes).clip(max=len(repeated) - 1)
    rows = np.flatnonzero(repeated[place] == hashes)
    _, first, which = np.unique(hashes[rows], return_index=True, return_inverse=True)
    is_new = np.ones(len(hashes), bool)
    is_new[rows] = False
    is_new[rows[first]] = True
    kinds: np.ndarray = np.cumsum(is_new) - 1
    kinds[rows] = kinds[rows[first]][which]
    return kinds


def look(block: bytes, ends: np.ndarray, _: int) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return the targets of some rows, codes, int (rows,), and what of; hashes of the features."""
    # The target is the last field; of one with commas a part stays, which is no harm to a hash.
    rows = [line.rpartition(b",") for line in lines_of(block, ends)]
    features = np.array([features for features, _, _ in rows], object)
    if b'"' in block:
        fields = csv.reader(io.StringIO(block.decode(), newline=""))
        targets = [record[-1] for record in fields]
    else:
        targets = [target[:-1].decode() for _, _, target in rows]
    codes, texts = pd.factorize(np.array(targets, object))
    return codes, texts.tolist(), pd.util.hash_array(features, categorize=False)


def choose_rows(
    codes: np.ndarray, kinds: np.ndarray, fraction: float, seed: int, *, numbers: bool
) -> np.ndarray:
    """Return which rows validate, bool (rows,): this fraction of each class, at random.

    codes: int (rows,), of targets that are classes, or `numbers`: then this fraction of the rows. A
    class with two rows or more has rows on both sides. Rows of one kind, `kinds` int (rows,), are
    on one side, or a model would be measured on rows that it has learned by heart; but not where
    rows are alike by chance.
    """
    random = np.random.default_rng(seed)
    if are_alike_by_chance(codes, kinds):
        kinds = np.arange(len(codes))
    if numbers:
        codes = np.zeros_like(codes)
    # A kind counts as the class of its first row: of several, the last one that is put there stays.
    first = np.empty(kinds.max(initial=-1) + 1, int)
    first[kinds[::-1]] = np.arange(len(kinds))[::-1]
    chosen_kinds = np.zeros(len(first), bool)
    for code in np.unique(codes[first]):
        mine = random.permutation(np.flatnonzero(codes[first] == code))
        if len(mine) > 1:
            chosen_kinds[mine[: min(max(round(fraction * len(mine)), 1), len(mine) - 1)]] = True
    chosen: np.ndarray = chosen_kinds[kinds]
    return chosen


def are_alike_by_chance(codes: np.ndarray, kinds: np.ndarray) -> bool:
    """Return whether rows of one kind are others that look the same, not one that came again.

    codes, kinds: int (rows,), of kinds 0, 1, ... without a gap. They are if there are few kinds,
    many rows of each, or where the classes of one kind differ.
    """
    counts = np.bincount(kinds)
    if len(counts) < FEW_KINDS or len(codes) > MANY_ROWS * len(counts):
        return True
    several = int((counts > 1).sum())
    rows = counts[kinds] > 1
    pairs = len(np.unique(kinds[rows] * (int(codes.max()) + 1) + codes[rows]))
    return pairs - several > MIXED * several


def write_parts(table: Path, names: list[str], chosen: np.ndarray) -> int:
    """Write each row as it is to val.csv if it is chosen, else to train.csv; return how many.

    chosen: bool (rows,). Of more rows than that, the rest is counted alone.
    """
    rows = 0

    def parted(block: bytes, ends: np.ndarray, before: int) -> tuple[bytes, bytes, int]:
        lines = [*lines_of(block, ends)]
        validates = chosen[before:][: len(lines)]
        train, val = (b"".join(compress(lines, side.tolist())) for side in (~validates, validates))
        return train, val, len(lines)

    with (OUT / "train.csv").open("wb") as train, (OUT / "val.csv").open("wb") as val:
        for file in (train, val):
            file.write(f"{csv_line(names)}\n".encode())
        for learned, validated, number in read_blocks(table, parted):
            train.write(learned)
            val.write(validated)
            rows += number
    return rows


def only_class(table: Path) -> str:
    """Return the class of all rows; "" if there are two, which the first rows tell as a rule."""
    first = ""
    for _, texts in read_codes(table, "target"):
        first = first or texts[0]
        if texts != [first]:
            return ""
    return first


def read_days(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the days of preprocess.json, sure that each has rows; and whether numbers are targets.

    Raises StageError (65).
    """
    spec = read_json(path, "days", version=1)
    days = spec["days"]
    if days and all(day["rows"] for day in days):
        return days, spec.get("task") == REGRESSION
    raise StageError(f"{shown(path)}: days is not a list of days with rows: run fit again")
