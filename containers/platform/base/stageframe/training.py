"""What trainers have in common: what they learn from, and what they say of the model; needs NumPy.

A trainer is then what its library needs: see containers/train/fit.py.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stageframe.errors import StageError
from stageframe.files import IN, OUT, digest, read_json, shown, write_json
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
) -> tuple[list[NDArray[Any]], NDArray[np.int_]]:
    """Return split/train.csv: blocks of (rows, features), NaN = missing, and codes, int (rows,).

    `convert` makes of a block, float64, what is kept of it; it is told how many rows are before.
    Raises StageError (65) where the table does not fit, and where all rows are of one class.
    """
    blocks: list[NDArray[Any]] = []
    codes: list[NDArray[np.int_]] = []
    for x, y in read_table(TABLE, prepared.names, prepared.classes):
        blocks.append(convert(x, sum(map(len, codes))))
        codes.append(y)
    y = np.concatenate(codes)
    if len(np.unique(y)) < 2:
        raise StageError(f"{shown(TABLE)} has rows of one class only: train on more rows or days")
    print(f"training on {len(y)} rows of {len(prepared.names)} features", flush=True)
    return blocks, y


def write_model(
    model: bytes,
    form: str,
    prepared: Prepared,
    *,
    rows: int,
    trees: int,
    params: Mapping[str, Any],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Write model.txt, model.json and preprocess.json; return the summary.

    form: how model.txt is read (docs/contract.md); rows: that it has learned from; trees: that it
    has; params: those of the command line; versions: of the libraries beside NumPy.
    """
    days = days_of(rows, prepared.days)
    description = {
        "version": 1,
        "format": form,
        "features": prepared.names,
        "categorical": prepared.categorical,
        "classes": prepared.classes,
        "trained_on": {"days": days, "rows": rows, "sha256": digest(TABLE)},
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
    }


def days_of(rows: int, days: list[dict[str, Any]]) -> list[str]:
    """Return the days trained on: the oldest ones that add up to `rows`, or else all."""
    ends = list(itertools.accumulate(day["rows"] for day in days))
    return [day["day"] for day in days[: ends.index(rows) + 1 if rows in ends else None]]
