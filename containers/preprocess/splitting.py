"""Part processed/ into rows to learn from, and rows to validate with."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from csv_tables import csv_line, read_blocks, read_frames, read_header, read_json
from faults import IN, OUT, StageError, shown


def split(fraction: float, seed: int) -> dict[str, Any]:
    """Part train_data.csv by time, or a single day by class; return the summary."""
    table = IN / "processed" / "train_data.csv"
    days = read_days(IN / "processed" / "preprocess.json")
    ends = np.cumsum([day["rows"] for day in days])
    names = read_header(table)
    if names[-1] != "target":
        raise StageError(f"{shown(table)}: its last column is not target: run fit again")
    if len(days) > 1:
        newest = min(max(round(fraction * len(days)), 1), len(days) - 1)
        chosen = np.arange(ends[-1]) >= ends[-newest - 1]
    else:
        targets = pd.concat([frame["target"] for frame in read_frames(table, ["target"])])
        chosen = choose(pd.factorize(targets)[0], fraction, seed)
    rows = 0
    with (OUT / "train.csv").open("wb") as train, (OUT / "val.csv").open("wb") as val:
        for file in (train, val):
            file.write(csv_line(names) + b"\n")
        for block, stops in read_blocks(table, len(names)):
            starts = [0, *(stops[:-1] + 1).tolist()]
            sides = chosen[rows : rows + len(stops)].tolist()
            for start, stop, validates in zip(starts, stops.tolist(), sides, strict=False):
                (val if validates else train).write(block[start : stop + 1])
            rows += len(stops)
    if rows != ends[-1]:
        raise StageError(
            f"{shown(table)} has {rows} rows, preprocess.json {ends[-1]}: run fit again"
        )
    if not chosen.any():
        raise StageError(f"{shown(table)}: no class has two rows: provide more rows")
    return {
        "train_rows": int((~chosen).sum()),
        "val_rows": int(chosen.sum()),
        "by": "time" if len(days) > 1 else "class",
    }


def choose(codes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return which rows validate, bool (rows,): this fraction of each class, at random.

    codes: int (rows,). A class with two rows or more has rows on both sides.
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(codes), bool)
    for code in np.unique(codes):
        rows = random.permutation(np.flatnonzero(codes == code))
        if len(rows) > 1:
            chosen[rows[: min(max(round(fraction * len(rows)), 1), len(rows) - 1)]] = True
    return chosen


def read_days(path: Path) -> list[dict[str, Any]]:
    """Return the days of preprocess.json, sure that each has its rows."""
    days = read_json(path, "days")["days"]
    if isinstance(days, list) and days and all(is_day(day) for day in days):
        return days
    raise StageError(f"{shown(path)}: days is not a list of days with rows: run fit again")


def is_day(day: object) -> bool:
    """Return whether it is a day of preprocess.json, of some rows, fewer than there can be."""
    rows = day.get("rows") if isinstance(day, dict) else None
    return isinstance(rows, int) and 0 < rows < 2**40
