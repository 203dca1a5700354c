"""What train learns, from what, and what it says of itself."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from harness import Engine, Result, RunStage

Inputs = dict[str, dict[str, str]]


def inputs(
    x: np.ndarray,
    labels: Sequence[str],
    *,
    names: Sequence[str] = ("x", "y"),
    categorical: Sequence[str] = (),
    classes: Sequence[str] = (),
    days: Sequence[int] = (),
) -> Inputs:
    """Return what fit and split write; `days` are the rows of each day, not all in train.csv."""
    columns = [
        {"name": name, "kind": "categorical", "categories": [str(i) for i in range(50)]}
        if name in categorical
        else {"name": name, "kind": "numeric"}
        for name in names
    ]
    spec = {
        "version": 1,
        "columns": columns,
        "classes": list(classes or sorted(set(labels))),
        "days": [
            {"day": f"2013-01-{day:02}", "rows": rows}
            for day, rows in enumerate(days or [len(x)], start=1)
        ],
    }
    rows = [
        [*("" if np.isnan(value) else repr(value) for value in row), label]
        for row, label in zip(x.tolist(), map(quoted, labels), strict=True)
    ]
    table = [[*map(quoted, names), "target"], *rows]
    text = "".join(",".join(row) + "\n" for row in table)
    return {"processed": {"preprocess.json": json.dumps(spec)}, "split": {"train.csv": text}}


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set('",\n') else text


def fit(run_stage: RunStage, files: Inputs, **params: object) -> Result:
    result = run_stage("train", "fit", inputs=files, **params)
    assert (0, "") == (result.code, result.last_error)
    return result


def described(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((result.out / "model.json").read_text("utf-8"))
    return content


def model(out: Path) -> lightgbm.Booster:
    return lightgbm.Booster(model_file=out / "model.txt")


def predict(booster: lightgbm.Booster, x: np.ndarray) -> np.ndarray:
    return np.asarray(booster.predict(x))


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Two features, float64 (600, 2), some of them missing."""
    random = np.random.default_rng(0)
    values = random.normal(size=(600, 2))
    values[random.random(values.shape) < 0.1] = np.nan
    return values


def signs(x: np.ndarray) -> list[str]:
    return ["1" if value > 0 else "0" for value in x[:, 0]]


def test_it_learns_what_lightgbm_itself_learns(run_stage: RunStage, x: np.ndarray) -> None:
    found = model(fit(run_stage, inputs(x, signs(x)), rounds=10).out)
    data = lightgbm.Dataset(x, [int(label) for label in signs(x)])
    itself = lightgbm.train({**found.params, "verbosity": -1}, data, num_boost_round=10)

    assert predict(itself, x).tolist() == predict(found, x).tolist()
    assert 0.9 < np.mean((predict(found, x) > 0.5) == (x[:, 0] > 0))


def test_the_parameters_reach_the_model(run_stage: RunStage, x: np.ndarray) -> None:
    result = fit(
        run_stage,
        inputs(x, signs(x[:, :1] + x[:, 1:])),
        rounds=7,
        leaves=3,
        learning_rate=0.5,
        leaf_rows=40,
        seed=5,
    )
    trees = model(result.out).trees_to_dataframe()
    leaves = trees[trees["left_child"].isna()]

    assert 7 == model(result.out).num_trees() == result.summary["trees"]
    assert 3 == leaves.groupby("tree_index").size().max()
    assert 40 <= leaves["count"].min()
    assert {
        "seed": 5,
        "rounds": 7,
        "learning_rate": 0.5,
        "leaves": 3,
        "leaf_rows": 40,
        "threshold": 0.5,
    } == described(result)["params"]


def test_chance_has_no_part_but_the_seeds(run_stage: RunStage, x: np.ndarray) -> None:
    result = fit(run_stage, inputs(x, signs(x)), rounds=2, seed=5)
    text = (result.out / "model.txt").read_text("utf-8")

    assert "[seed: 5]" in text
    assert "[deterministic: 1]" in text


def test_one_tree_a_class_and_round_where_there_are_more_than_two(
    run_stage: RunStage, x: np.ndarray
) -> None:
    labels = ["setosa, the first", 'versi"color', "日本"]
    y = [labels[i % 3] for i in range(len(x))]
    x = x + np.array([[i % 3, 0] for i in range(len(x))])
    result = fit(run_stage, inputs(x, y), rounds=20)
    best = predict(model(result.out), x).argmax(axis=1)

    assert 60 == result.summary["trees"]
    assert sorted(labels) == described(result)["classes"]
    assert 0.5 < np.mean([sorted(labels)[k] == label for k, label in zip(best, y, strict=True)])


def test_categories_are_no_numbers(run_stage: RunStage) -> None:
    codes = np.arange(10_000) % 50
    x = np.column_stack([codes.astype(float), np.zeros(10_000)])
    odd = [str(code * 7919 % 13 % 2) for code in codes]
    files = inputs(x, odd, names=["word", "y"], categorical=["word"])
    result = fit(run_stage, files, rounds=5)

    assert ["word"] == described(result)["categorical"]
    assert {"=="} == set(model(result.out).trees_to_dataframe()["decision_type"].dropna())


def test_a_gap_of_a_category_goes_where_such_gaps_have_come_true(run_stage: RunStage) -> None:
    """LightGBM by itself sends it right at every split, and gives these 0.5."""
    x = np.column_stack([np.arange(1200) % 25.0, np.zeros(1200)])
    truth = (x[:, 0] % 5 == 0).astype(int)
    gap = np.arange(1200) >= 1100
    x[gap, 0] = np.nan
    truth[gap] = np.arange(100) % 10 < 9
    files = inputs(x, [str(k) for k in truth], names=["word", "y"], categorical=["word"])
    found = predict(model(fit(run_stage, files).out), x)

    assert 0.05 > abs(found[gap].mean() - 0.9)
    assert 0.05 > abs(found - truth)[~gap].mean()


def test_the_model_keeps_the_names_that_lightgbm_can_hold(
    run_stage: RunStage, x: np.ndarray
) -> None:
    result = fit(run_stage, inputs(x, signs(x), names=["größe_(m)", "y/z"]), rounds=2)

    assert ["größe_(m)", "y/z"] == model(result.out).feature_name()


@pytest.mark.parametrize("name", ["with space", "a,b", '"quoted"', "[x]", "{x:1}", "two\nlines"])
def test_any_name_is_kept_in_model_json(run_stage: RunStage, x: np.ndarray, name: str) -> None:
    result = fit(run_stage, inputs(x, signs(x), names=[name, "y"]), rounds=2)

    assert [name, "y"] == described(result)["features"]
    assert ["Column_0", "Column_1"] == model(result.out).feature_name()


def test_the_model_says_what_it_was_trained_on(run_stage: RunStage, x: np.ndarray) -> None:
    files = inputs(x, signs(x), days=[250, 350, 100])
    result = fit(run_stage, files, rounds=2)
    sha256 = hashlib.sha256(files["split"]["train.csv"].encode()).hexdigest()

    assert {
        "days": ["2013-01-01", "2013-01-02"],
        "rows": 600,
        "sha256": sha256,
    } == described(result)["trained_on"]
    assert files["processed"]["preprocess.json"] == (result.out / "preprocess.json").read_text()


def test_a_single_day_of_which_a_part_trains_is_that_day(
    run_stage: RunStage, x: np.ndarray
) -> None:
    result = fit(run_stage, inputs(x, signs(x), days=[800]), rounds=2)

    assert ["2013-01-01"] == described(result)["trained_on"]["days"]


def test_the_number_of_threads_does_not_change_the_model(engine: Engine, x: np.ndarray) -> None:
    many = np.tile(x, (20, 1)) + np.random.default_rng(1).normal(size=(12_000, 2))
    files = inputs(many, signs(many))
    texts = set()
    for threads in "1", "2", "4":
        result = engine.run(
            "train",
            ["fit", "--rounds", "20"],
            inputs=files,
            environment={"OMP_NUM_THREADS": threads},
        )
        texts.add((result.out / "model.txt").read_text("utf-8"))

    assert 1 == len(texts)


def test_quotes_and_line_ends_do_not_change_the_model(run_stage: RunStage, x: np.ndarray) -> None:
    files = inputs(x, signs(x))
    lines = files["split"]["train.csv"].splitlines()
    fields = ('","'.join(line.split(",")) for line in lines)
    other = {**files, "split": {"train.csv": "".join(f'"{line}"\r\n' for line in fields)}}
    plain, spelled = (fit(run_stage, some, rounds=5).out for some in (files, other))

    assert (plain / "model.txt").read_bytes() == (spelled / "model.txt").read_bytes()


def test_a_class_that_validation_alone_has_is_no_hindrance(
    run_stage: RunStage, x: np.ndarray
) -> None:
    files = inputs(x, signs(x), classes=["0", "1", "2"])
    result = fit(run_stage, files, rounds=5)

    assert 0.01 > predict(model(result.out), x)[:, 2].max()


def test_a_label_that_fit_did_not_see_is_refused(run_stage: RunStage, x: np.ndarray) -> None:
    files = inputs(x, [*signs(x)[:-1], "2"], classes=["0", "1"])
    result = run_stage("train", "fit", inputs=files)

    assert 65 == result.code
    assert "split/train.csv, row 600: target '2'" in result.last_error


@pytest.mark.parametrize("text", ["abc", "1_000", "1e999", "-inf", " ", "0x10", "１"])
def test_what_is_no_finite_number_is_refused(run_stage: RunStage, x: np.ndarray, text: str) -> None:
    files = inputs(x, signs(x))
    lines = files["split"]["train.csv"].splitlines()
    lines[500] = f"{text},1,0"
    files["split"]["train.csv"] = "\n".join(lines)
    result = run_stage("train", "fit", inputs=files)

    assert 65 == result.code
    assert f"split/train.csv, row 500: column 'x' holds {text!r}" in result.last_error
