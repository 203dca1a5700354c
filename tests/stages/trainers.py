"""What a trainer of any make is given, and what predict makes of its model."""

import csv
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from harness import Engine, Input, Result, RunStage

Inputs = dict[str, dict[str, str]]

# Of each feature, the number of categories: 0 = numeric.
KINDS = {"a": 0, "rounded": 0, "small": 3, "empty, once": 0, "large": 40}


def features(rows: int, seed: int = 0) -> np.ndarray:
    """Rows of KINDS, float64 (rows, 5); a tenth is missing, and so are whole columns of seed 0.

    The feature `rounded` often lies on the threshold of a split. Not all categories, and nothing
    of the feature `empty, once`, are there for seed 0.
    """
    random = np.random.default_rng(seed)
    x = np.column_stack(
        [
            random.normal(size=rows) * 1000,
            random.normal(size=rows).round(1),
            random.integers(0, 3, rows),
            np.ones(rows) if seed else np.full(rows, np.nan),
            random.integers(0, 40 if seed else 30, rows),
        ]
    )
    x[random.random(x.shape) < 0.1] = np.nan
    return x


def targets(x: np.ndarray, classes: int) -> np.ndarray:
    """Codes that can be learned from the features but for some noise, int (rows,)."""
    known = np.nan_to_num(x)
    noise = np.random.default_rng(1).normal(size=len(x))
    score = known[:, 0] / 1000 + known[:, 1] + known[:, 4] % 3 + known[:, 2] + noise
    # The first class is the most frequent, the last one the rarest.
    codes: np.ndarray = np.searchsorted(
        np.quantile(score, np.linspace(0.5, 0.95, classes - 1)), score
    )
    return codes


def inputs(x: np.ndarray, y: np.ndarray, classes: int) -> Inputs:
    """What fit and split write for these features and targets."""
    return prepared(KINDS, x, y, classes)


def prepared(kinds: Mapping[str, int], x: np.ndarray, y: np.ndarray, classes: int) -> Inputs:
    """Likewise, of other features; kinds: of each, the number of categories.

    classes: 0 where the targets are numbers.
    """
    columns = [
        {"name": name, "kind": "categorical", "categories": [str(code) for code in range(count)]}
        if count
        else {"name": name, "kind": "numeric"}
        for name, count in kinds.items()
    ]
    spec = {
        "version": 1,
        "columns": columns,
        **({"classes": [str(k) for k in range(classes)]} if classes else {"task": "regression"}),
        "days": [{"day": "2013-01-01", "rows": len(x)}],
    }
    labels = map(str, y.tolist())
    rows = "".join(f"{row},{label}\n" for row, label in zip(lines(x), labels, strict=True))
    return {
        "processed": {"preprocess.json": json.dumps(spec)},
        "split": {"train.csv": f"{header(kinds)},target\n{rows}"},
    }


def header(kinds: Mapping[str, int]) -> str:
    return ",".join(f'"{name}"' if "," in name else name for name in kinds)


def lines(x: np.ndarray) -> list[str]:
    return [",".join("" if np.isnan(v) else repr(v) for v in row) for row in x.tolist()]


def table(x: np.ndarray, kinds: Mapping[str, int] = KINDS) -> dict[str, str]:
    """What transform writes for these features."""
    return {"data.csv": "".join(f"{line}\n" for line in [header(kinds), *lines(x)])}


def fit(run_stage: RunStage, image: str, files: Inputs, **params: object) -> Result:
    result = run_stage(image, "fit", inputs=files, **params)
    assert (0, "") == (result.code, result.stderr)
    return result


def served(run_stage: RunStage, fitted: Result, x: np.ndarray) -> np.ndarray:
    """The probabilities that predict gives with the model, float64 (rows, classes)."""
    return predictions(run_stage, fitted, table(x))[1]


def predictions(
    run_stage: RunStage, fitted: Result, features: dict[str, str]
) -> tuple[list[str], np.ndarray, dict[str, Any]]:
    """The classes that predict gives, the probabilities (rows, classes), and its summary."""
    files: dict[str, Input] = {"model": fitted.out, "features": features}
    result = run_stage("predict", "predict", inputs=files)
    assert (0, "") == (result.code, result.stderr)
    _, *rows = csv.reader((result.out / "predictions.csv").read_text("utf-8").splitlines())
    return [row[0] for row in rows], np.array([row[1:] for row in rows], float), result.summary


def itself(
    engine: Engine, image: str, program: str, x: np.ndarray, files: Mapping[str, Input]
) -> np.ndarray:
    """The probabilities that a program in the trainer's own image saves as /out/own.npy."""
    everything: dict[str, Input] = {**files, "features": table(x)}
    result = engine.run(image, ["-c", program], entrypoint=["python3"], inputs=everything)
    assert (0, "") == (result.code, result.stderr)
    probabilities: np.ndarray = np.load(result.out / "own.npy").astype(float)
    if probabilities.ndim == 1:
        probabilities = np.column_stack([1 - probabilities, probabilities])
    return probabilities
