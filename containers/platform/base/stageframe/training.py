"""What trainers have in common: what they learn from, and what they say of the model; needs NumPy.

A trainer is then what its library needs: see containers/train/fit.py.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stageframe.errors import StageError
from stageframe.files import IN, OUT, digest, read_json, shown, write_json
from stageframe.gaps import copies_with_gaps
from stageframe.tables import read_table

PREPARED = IN / "processed" / "preprocess.json"
TABLE = IN / "split" / "train.csv"


@dataclass(frozen=True)
class Prepared:
    """What preprocess has learned of the table: its features, its classes, its days."""

    names: list[str]
    categorical: list[str]
    """Names of those features that are codes of categories."""
    categories: list[int]
    """How many categories each feature has, 0 if it is numeric."""
    classes: list[str]
    days: list[dict[str, Any]]
    """The days of train.csv and val.csv, the oldest first: `day`, and how many `rows`."""


@dataclass(frozen=True)
class Training:
    """What a model learns from: the rows of split/train.csv, then copies of some with gaps."""

    blocks: list[NDArray[Any]]
    """(rows, features), NaN = missing. A trainer takes them out, to spare memory."""
    codes: NDArray[np.int_]
    """Classes, (rows and copies,)."""
    weights: NDArray[np.float32] | None
    """(rows and copies,), 1 for a row; None: there are no copies."""
    rows: int
    """How many there are without the copies."""

    @property
    def share(self) -> float:
        """The share of the second class in the rows."""
        return float(np.mean(self.codes[: self.rows] == 1))


def read_prepared() -> Prepared:
    """Return what processed/preprocess.json says. Raises StageError (65)."""
    spec = read_json(PREPARED, "columns", "classes", "days", version=1)
    columns = spec["columns"]
    return Prepared(
        names=[column["name"] for column in columns],
        categorical=[column["name"] for column in columns if column["kind"] == "categorical"],
        categories=[len(column.get("categories", [])) for column in columns],
        classes=spec["classes"],
        days=spec["days"],
    )


def read_training(
    prepared: Prepared,
    convert: Callable[[NDArray[np.float64], int], NDArray[Any]] = lambda x, _before: x,
) -> Training:
    """Return split/train.csv, and copies of its rows with gaps where it has none.

    `convert` makes of a block, float64, what is kept of it; it is told how many rows are before.
    Raises StageError (65) where the table does not fit, and where all rows are of one class.
    """
    blocks: list[NDArray[Any]] = []
    parts: list[NDArray[np.int_]] = []
    for x, y in read_table(TABLE, prepared.names, prepared.classes):
        blocks.append(convert(x, sum(map(len, parts))))
        parts.append(y)
    codes = np.concatenate(parts)
    rows = len(codes)
    if len(np.unique(codes)) < 2:
        raise StageError(f"{shown(TABLE)} has rows of one class only: train on more rows or days")
    copies = copies_with_gaps(blocks, codes)
    gaps = f", and {len(copies.x)} copies with gaps" if copies else ""
    print(f"training on {rows} rows of {len(prepared.names)} features{gaps}", flush=True)
    if not copies:
        return Training(blocks, codes, None, rows)
    weights = np.concatenate([np.ones(rows, np.float32), copies.weights])
    return Training([*blocks, copies.x], np.concatenate([codes, copies.codes]), weights, rows)


def write_model(
    model: bytes,
    form: str,
    prepared: Prepared,
    *,
    rows: int,
    trees: int,
    gains: Sequence[float],
    threshold: float,
    params: Mapping[str, Any],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Write model.txt, model.json and preprocess.json; return the summary.

    form: how model.txt is read (docs/contract.md); rows: that it has learned from; trees: that it
    has; gains: what the splits by each feature have gained; threshold: see stageframe.threshold;
    params: those of the command line; versions: of the libraries beside NumPy.
    """
    days = days_of(rows, prepared.days)
    chosen = {"threshold": threshold} if len(prepared.classes) == 2 else {}
    description = {
        "version": 1,
        "format": form,
        "features": prepared.names,
        "categorical": prepared.categorical,
        "classes": prepared.classes,
        "trained_on": {"days": days, "rows": rows, "sha256": digest(TABLE)},
        "importance": dict(zip(prepared.names, shares(gains), strict=True)),
        **chosen,
        "params": dict(params),
        "versions": {**versions, "numpy": np.__version__},
    }
    (OUT / "model.txt").write_bytes(model)
    (OUT / "preprocess.json").write_bytes(PREPARED.read_bytes())
    write_json(OUT / "model.json", description)
    return {
        "rows": rows,
        "days": len(days),
        "features": len(prepared.names),
        "categorical": len(prepared.categorical),
        "classes": len(prepared.classes),
        "trees": trees,
        **chosen,
    }


def days_of(rows: int, days: list[dict[str, Any]]) -> list[str]:
    """Return the days trained on: the oldest ones that add up to `rows`, or else all."""
    ends = list(itertools.accumulate(day["rows"] for day in days))
    return [day["day"] for day in days[: ends.index(rows) + 1 if rows in ends else None]]


def shares(gains: Sequence[float]) -> list[float]:
    """Return each gain's share of all, of six digits; zeros where nothing is gained."""
    total = math.fsum(gains)
    return [round(float(gain) / total, 6) if total else 0.0 for gain in gains]
