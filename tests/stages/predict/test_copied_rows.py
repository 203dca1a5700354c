"""Rows that a model has learned from are no news, by whatever name they come again."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness import Result, RunStage

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
LAST = DAYS[-1]
NAMES = ["a", "b", "c", "shop"]

Table = list[list[str]]


def table_of(seed: int, rows: int = 120, *, kinds: int = 0) -> Table:
    """Rows that tell nothing of their target, which is the last field."""
    random = np.random.default_rng(seed)
    x = random.integers(0, kinds, (rows, 3)) if kinds else random.normal(size=(rows, 3)).round(4)
    shops = random.choice(["Bonn", "Ulm"], rows)
    return [
        [*map(str, row), shop, str(n % 2)]
        for n, (row, shop) in enumerate(zip(x.tolist(), shops, strict=True))
    ]


def as_files(rows: Table, order: tuple[int, ...] = (0, 1, 2, 3), end: str = "\n") -> dict[str, str]:
    data = io.StringIO(newline="")
    csv.writer(data, lineterminator=end).writerows(
        [[NAMES[i] for i in order], *([row[i] for i in order] for row in rows)]
    )
    return {
        "data.csv": data.getvalue(),
        "target.csv": end.join(["target", *(r[-1] for r in rows), ""]),
    }


def learn(run_stage: RunStage, days: dict[str, dict[str, str]]) -> dict[str, Result]:
    """Fit, split and train on these days."""
    done = {
        "processed": run_stage("preprocess", "fit", inputs={f"raw/{d}": f for d, f in days.items()})
    }
    inputs = {"processed": done["processed"].out}
    done["split"] = run_stage("preprocess", "split", inputs=inputs)
    inputs["split"] = done["split"].out
    done["model"] = run_stage("train", "fit", inputs=inputs, rounds=5)
    assert [0, 0, 0] == [result.code for result in done.values()]
    return done


def validate(run_stage: RunStage, done: dict[str, Result]) -> Result:
    return run_stage(
        "predict", "validate", inputs={name: done[name].out for name in ("model", "split")}
    )


def rewritten(rows: Table, form: str) -> Table:
    return [[*(format(float(text), form) for text in row[:3]), *row[3:]] for row in rows]


@pytest.mark.parametrize(
    "again",
    [
        as_files,
        lambda rows: as_files(rows, (3, 1, 0, 2), "\r\n"),
        lambda rows: as_files(rewritten(rows, ".6e")[::-1]),
    ],
    ids=["the same file", "other columns and line ends", "other numbers and order"],
)
def test_a_day_that_came_before_is_refused_by_both_names(
    run_stage: RunStage, again: Callable[[Table], dict[str, str]]
) -> None:
    days = {day: as_files(table_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = again(table_of(1))
    result = validate(run_stage, learn(run_stage, days))

    assert 65 == result.code
    assert "120 of 120 rows are copies of rows that the model has learned from" in result.last_error
    assert "2024-01-03 has the rows of 2024-01-02 again" in result.last_error


def test_copies_among_new_rows_are_left_out_and_counted(run_stage: RunStage) -> None:
    days = {day: as_files(table_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files([*table_of(0)[:50], *table_of(2)])
    result = validate(run_stage, learn(run_stage, days))

    assert (0, "") == (result.code, result.last_error)
    assert (120, 50) == (result.summary["rows"], result.summary["copied_rows"])


def test_rows_of_few_kinds_are_measured_although_they_are_alike(run_stage: RunStage) -> None:
    days = {day: as_files(table_of(seed, kinds=2)) for seed, day in enumerate(DAYS)}
    result = validate(run_stage, learn(run_stage, days))

    assert (0, 120, 0) == (result.code, result.summary["rows"], result.summary["copied_rows"])


def test_a_class_that_no_learned_row_has_is_named(run_stage: RunStage) -> None:
    days = {
        day: as_files([[*row[:-1], f"{row[-1]}K"] for row in table_of(n)])
        for n, day in enumerate(DAYS)
    }
    days[LAST] = as_files([[*row[:-1], f"{row[-1]}K."] for row in table_of(2)])
    result = validate(run_stage, learn(run_stage, days))

    assert "The classes '0K.', '1K.' are in the rows to validate with" in result.summary["warnings"]
    metrics: dict[str, Any] = json.loads((result.out / "metrics.json").read_text())
    assert ["0K.", "1K."] == metrics["untaught_classes"]
