"""What trainers have in common: the rows that they learn from, and what they say of the model."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stageframe import StageError, training

SPEC: dict[str, Any] = {
    "version": 1,
    "columns": [
        {"name": "a", "kind": "numeric", "profile": {}},
        {"name": "b", "kind": "categorical", "categories": ["x", "y"], "profile": {}},
        {"name": "c", "kind": "categorical", "categories": []},
    ],
    "classes": ["no", "yes"],
    "days": [{"day": "2013-01-05", "rows": 2}, {"day": "2013-01-06", "rows": 1}],
}
TABLE = "a,b,c,target\n1,0,,no\n,1,,yes\n3,,,no\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inputs of a trainer, and where it writes."""
    monkeypatch.setattr("stageframe.files.IN", tmp_path)
    monkeypatch.setattr(training, "PREPARED", tmp_path / "preprocess.json")
    monkeypatch.setattr(training, "TABLE", tmp_path / "train.csv")
    monkeypatch.setattr(training, "OUT", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "preprocess.json").write_text(json.dumps(SPEC))
    (tmp_path / "train.csv").write_text(TABLE)
    return tmp_path


@pytest.mark.usefixtures("root")
def test_what_preprocess_has_learned_is_read() -> None:
    found = training.read_prepared()

    assert (["a", "b", "c"], ["b", "c"], [0, 2, 0]) == (
        found.names,
        found.categorical,
        found.categories,
    )
    assert (["no", "yes"], SPEC["days"]) == (found.classes, found.days)


def test_what_is_not_version_1_is_refused(root: Path) -> None:
    (root / "preprocess.json").write_text(json.dumps({**SPEC, "version": 2}))

    with pytest.raises(StageError, match=r"preprocess\.json is not version 1 with columns"):
        training.read_prepared()


@pytest.mark.usefixtures("root")
def test_rows_come_in_blocks_that_can_be_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stageframe.tables.FIELDS", 8)
    before = []

    def convert(x: np.ndarray, above: int) -> np.ndarray:
        before.append(above)
        return x.astype(np.float32)

    blocks, y = training.read_training(training.read_prepared(), convert)

    assert ([0, 2], [2, 1]) == (before, [len(x) for x in blocks])
    assert {np.dtype(np.float32)} == {x.dtype for x in blocks}
    assert [0, 1, 0] == y.tolist()


def test_rows_of_one_class_are_refused(root: Path) -> None:
    (root / "train.csv").write_text(TABLE.replace("yes", "no"))

    with pytest.raises(StageError, match=r"train\.csv has rows of one class only"):
        training.read_training(training.read_prepared())


def test_a_model_is_described_with_all_that_serving_it_needs(root: Path) -> None:
    summary = training.write_model(
        b"trees",
        "lightgbm",
        training.read_prepared(),
        rows=2,
        trees=7,
        params={"seed": 17},
        versions={"lightgbm": "4"},
    )
    described = json.loads((root / "out" / "model.json").read_bytes())

    assert {
        "rows": 2,
        "days": 1,
        "features": 3,
        "categorical": 2,
        "classes": 2,
        "trees": 7,
    } == summary
    assert {
        "version": 1,
        "format": "lightgbm",
        "features": ["a", "b", "c"],
        "categorical": ["b", "c"],
        "classes": ["no", "yes"],
        "trained_on": {
            "days": ["2013-01-05"],
            "rows": 2,
            "sha256": hashlib.sha256(TABLE.encode()).hexdigest(),
        },
        "params": {"seed": 17},
        "versions": {"lightgbm": "4", "numpy": np.__version__},
    } == described
    assert b"trees" == (root / "out" / "model.txt").read_bytes()
    assert json.dumps(SPEC).encode() == (root / "out" / "preprocess.json").read_bytes()


@pytest.mark.parametrize(
    ("rows", "days"),
    [(2, ["2013-01-05"]), (3, ["2013-01-05", "2013-01-06"]), (1, ["2013-01-05", "2013-01-06"])],
)
def test_the_days_of_a_model_are_the_oldest_that_add_up_or_else_all(
    rows: int, days: list[str]
) -> None:
    assert days == training.days_of(rows, SPEC["days"])
