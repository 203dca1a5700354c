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
PARAMS = {"seed": 17, "threshold": 0.5, "loss": "squared", "quantile": 0.5}
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
    monkeypatch.setattr("stageframe.tables.PART", 10)
    before = []

    def convert(x: np.ndarray, above: int) -> np.ndarray:
        before.append(above)
        return x.astype(np.float32)

    found = training.read_training(training.read_prepared(), PARAMS, convert)

    assert ([0, 2], [2, 1]) == (before, [len(x) for x in found.blocks[:2]])
    assert {np.dtype(np.float32)} == {x.dtype for x in found.blocks}
    assert ([0, 1, 0], 3) == (found.targets[:3].tolist(), found.rows)
    assert 1 / 3 == found.share


@pytest.mark.usefixtures("root")
def test_copies_with_gaps_come_after_the_rows_and_weigh_less() -> None:
    found = training.read_training(training.read_prepared(), PARAMS)
    copies = found.blocks[-1]

    assert found.weights is not None
    assert len(found.targets) == len(found.weights) == 3 + len(copies)
    assert [1, 1, 1] == found.weights[:3].tolist()
    assert 1 > found.weights[3:].max()
    assert np.isnan(copies[:, :2]).any(axis=1).all()


def test_rows_with_gaps_enough_have_no_copies_and_no_weights(root: Path) -> None:
    (root / "train.csv").write_text("a,b,c,target\n" + ",,,no\n1,1,,yes\n" * 50)
    found = training.read_training(training.read_prepared(), PARAMS)

    assert ([100], None) == ([len(x) for x in found.blocks], found.weights)


def test_rows_of_one_class_are_refused(root: Path) -> None:
    (root / "train.csv").write_text(TABLE.replace("yes", "no"))

    with pytest.raises(StageError, match=r"train\.csv has rows of one class only"):
        training.read_training(training.read_prepared(), PARAMS)


def test_a_model_is_described_with_all_that_serving_it_needs(root: Path) -> None:
    summary = training.write_model(
        b"trees",
        "lightgbm",
        training.read_prepared(),
        training.Training([], np.array([0, 1]), None, 2),
        trees=7,
        gains=[3.0, 0.0, 6.0],
        score=len,
        params=PARAMS | {"threshold": 0.25},
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
        "threshold": 0.25,
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
        "importance": {"a": 0.333333, "b": 0.0, "c": 0.666667},
        "threshold": 0.25,
        "params": {"seed": 17, "threshold": 0.25},
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


def test_a_model_that_never_splits_rests_on_nothing() -> None:
    assert [0, 0] == training.shares([0.0, 0.0])


def test_of_more_classes_than_two_no_threshold_is_said(root: Path) -> None:
    (root / "preprocess.json").write_text(json.dumps({**SPEC, "classes": ["no", "yes", "?"]}))
    summary = training.write_model(
        b"",
        "lightgbm",
        training.read_prepared(),
        training.Training([], np.array([0, 1, 2]), None, 3),
        trees=1,
        gains=[1.0, 0.0, 0.0],
        score=len,
        params=PARAMS,
        versions={},
    )
    described = json.loads((root / "out" / "model.json").read_bytes())

    assert {"importance"} == {"importance", "threshold"} & {*described, *summary}


# --- numbers ---------------------------------------------------------------------------------


@pytest.fixture
def numbers(root: Path) -> Path:
    """The same inputs, with numbers to predict."""
    spec = {key: value for key, value in SPEC.items() if key != "classes"}
    (root / "preprocess.json").write_text(json.dumps({**spec, "task": "regression"}))
    (root / "train.csv").write_text(TABLE.replace("no", "7").replace("yes", "-0.5"))
    return root


@pytest.mark.usefixtures("numbers")
def test_numbers_are_learned_as_they_are_and_so_are_their_copies() -> None:
    found = training.read_training(training.read_prepared(), PARAMS)

    assert [7, -0.5, 7] == found.targets[:3].tolist()
    assert {7, -0.5} == set(found.targets[3:])
    assert len(found.targets) == sum(map(len, found.blocks))
    assert {1.0, 0.5} == set(found.weights.tolist() if found.weights is not None else [])


def test_a_model_of_numbers_says_its_loss_and_its_constant_and_no_threshold(numbers: Path) -> None:
    prepared = training.read_prepared()
    summary = training.write_model(
        b"",
        "lightgbm",
        prepared,
        training.read_training(prepared, PARAMS),
        trees=1,
        gains=[1.0, 0.0, 0.0],
        score=len,
        params=PARAMS | {"loss": "absolute"},
        versions={},
    )
    described = json.loads((numbers / "out" / "model.json").read_bytes())

    assert "regression" == described["task"]
    assert ("absolute", {"mean": 4.5, "constant": 7}) == (described["loss"], described["baseline"])
    assert set() == {"classes", "threshold", "quantile"} & {*described, *summary}
    assert {"seed": 17, "loss": "absolute", "quantile": 0.5} == described["params"]
    assert "absolute" == summary["loss"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("late", "column 'target' holds 'late'"), ("", "column 'target'"), ("inf", "'inf'")],
)
def test_a_target_that_is_no_number_is_refused(numbers: Path, text: str, sentence: str) -> None:
    (numbers / "train.csv").write_text(TABLE.replace("no", "7").replace("yes", text))

    with pytest.raises(StageError) as caught:
        training.read_training(training.read_prepared(), PARAMS)

    assert "train.csv, row 2" in str(caught.value)
    assert sentence in str(caught.value)
