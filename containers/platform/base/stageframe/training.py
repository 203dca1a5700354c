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
from stageframe.losses import check_targets, describe_loss, require_classes, require_numbers
from stageframe.tables import read_table
from stageframe.tasks import REGRESSION, is_regression
from stageframe.threshold import Scorer, choose_threshold, require_two_classes

PREPARED = IN / "processed" / "preprocess.json"
TABLE = IN / "split" / "train.csv"


@dataclass(frozen=True)
class Prepared:
    """What preprocess has learned of the table: its features, its target, its days."""

    names: list[str]
    categorical: list[str]
    """Names of those features that are codes of categories."""
    categories: list[int]
    """How many categories each feature has, 0 if it is numeric."""
    classes: list[str]
    """Those that are predicted; none where numbers are."""
    days: list[dict[str, Any]]
    """The days of train.csv and val.csv, the oldest first: `day`, and how many `rows`."""


@dataclass(frozen=True)
class Training:
    """What a model learns from: the rows of split/train.csv, then copies of some with gaps."""

    blocks: list[NDArray[Any]]
    """(rows, features), NaN = missing. A trainer takes them out, to spare memory."""
    targets: NDArray[Any]
    """(rows and copies,): codes of classes, int, or numbers, float64."""
    weights: NDArray[np.float32] | None
    """(rows and copies,), 1 for a row; None: there are no copies."""
    rows: int
    """How many there are without the copies."""

    @property
    def share(self) -> float:
        """The share of the second class in the rows."""
        return float(np.mean(self.targets[: self.rows] == 1))


def read_prepared() -> Prepared:
    """Return what processed/preprocess.json says. Raises StageError (65)."""
    spec = read_json(PREPARED, "columns", "days", version=1)
    numbers = is_regression(PREPARED, spec)
    columns = spec["columns"]
    return Prepared(
        names=[column["name"] for column in columns],
        categorical=[column["name"] for column in columns if column["kind"] == "categorical"],
        categories=[len(column.get("categories", [])) for column in columns],
        classes=[] if numbers else spec["classes"],
        days=spec["days"],
    )


def read_training(
    prepared: Prepared,
    params: Mapping[str, Any],
    convert: Callable[[NDArray[np.float64], int], NDArray[Any]] = lambda x, _before: x,
) -> Training:
    """Return split/train.csv, and copies of its rows with gaps where it has none.

    params: those of the command line. `convert` makes of a block, float64, what is kept of it; it
    is told how many rows are before. Raises StageError (65) where the table does not fit, or does
    not tell a model of these `params` anything.
    """
    blocks: list[NDArray[Any]] = []
    parts: list[NDArray[Any]] = []
    numbers = not prepared.classes
    names, classes = prepared.names, prepared.classes
    for x, y in read_table(TABLE, names, classes, numbers=numbers, convert=convert):
        blocks.append(x)
        parts.append(y)
    targets = np.concatenate(parts)
    rows = len(targets)
    if numbers:
        check_targets(params["loss"], targets)
    elif len(np.unique(targets)) < 2:
        raise StageError(f"{shown(TABLE)} has rows of one class only: train on more rows or days")
    copies = copies_with_gaps(blocks, targets)
    gaps = f", and {len(copies.x)} copies with gaps" if copies else ""
    print(f"training on {rows} rows of {len(prepared.names)} features{gaps}", flush=True)
    if not copies:
        return Training(blocks, targets, None, rows)
    weights = np.concatenate([np.ones(rows, np.float32), copies.weights])
    return Training([*blocks, copies.x], np.concatenate([targets, copies.targets]), weights, rows)


def write_model(
    model: bytes,
    form: str,
    prepared: Prepared,
    training: Training,
    *,
    trees: int,
    gains: Sequence[float],
    score: Scorer,
    params: Mapping[str, Any],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Write model.txt, model.json and preprocess.json; return the summary.

    form: how model.txt is read (docs/contract.md); training: what it has learned from; trees: that
    it has; gains: what the splits by each feature have gained; score: of two classes, the
    probability of the second; params: those of the command line; versions: of the libraries
    beside NumPy.
    """
    rows, days = training.rows, days_of(training.rows, prepared.days)
    target, chosen, unused = describe_target(prepared, training, score, params)
    description = {
        "version": 1,
        "format": form,
        "features": prepared.names,
        "categorical": prepared.categorical,
        **target,
        "trained_on": {"days": days, "rows": rows, "sha256": digest(TABLE)},
        "importance": dict(zip(prepared.names, shares(gains), strict=True)),
        **chosen,
        "params": {name: value for name, value in params.items() if name not in unused},
        "versions": {**versions, "numpy": np.__version__},
    }
    (OUT / "model.txt").write_bytes(model)
    (OUT / "preprocess.json").write_bytes(PREPARED.read_bytes())
    write_json(OUT / "model.json", description)
    classes = {"classes": len(prepared.classes)} if prepared.classes else {}
    return {
        "rows": rows,
        "days": len(days),
        "features": len(prepared.names),
        "categorical": len(prepared.categorical),
        **classes,
        "trees": trees,
        **{name: value for name, value in chosen.items() if name != "baseline"},
    }


def require_params(prepared: Prepared, params: Mapping[str, Any]) -> None:
    """Raise StageError (64), before there is a model, for `params` that do not fit the target."""
    if prepared.classes:
        require_classes(params)
        require_two_classes(params["threshold"], prepared.classes)
    else:
        require_numbers(params)


def describe_target(
    prepared: Prepared, training: Training, score: Scorer, params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """Return what model.json says of what is predicted, and how; and what it does not say.

    The latter are names of `params` that mean nothing for this target.
    """
    if not prepared.classes:
        numbers = training.targets[: training.rows]
        return {"task": REGRESSION}, describe_loss(params, numbers), {"threshold"}
    chosen = {}
    if len(prepared.classes) == 2:
        share = training.share
        chosen["threshold"] = choose_threshold(
            params["threshold"], prepared.names, prepared.classes, share, score
        )
    return {"classes": prepared.classes}, chosen, {"loss", "quantile"}


def days_of(rows: int, days: list[dict[str, Any]]) -> list[str]:
    """Return the days trained on: the oldest ones that add up to `rows`, or else all."""
    ends = list(itertools.accumulate(day["rows"] for day in days))
    return [day["day"] for day in days[: ends.index(rows) + 1 if rows in ends else None]]


def shares(gains: Sequence[float]) -> list[float]:
    """Return each gain's share of all, of six digits; zeros where nothing is gained."""
    total = math.fsum(gains)
    return [round(float(gain) / total, 6) if total else 0.0 for gain in gains]
