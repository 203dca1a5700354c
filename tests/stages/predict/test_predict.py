"""predict gives the model's own probabilities, whatever trained it."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import treelite
from harness import Result, RunStage
from sklearn.ensemble import RandomForestClassifier

XGBOOST = Path(__file__).with_name("xgboost_3.2_binary.json")


def model_files(
    model: str | bytes, features: Sequence[str], classes: Sequence[str], form: str = "lightgbm"
) -> dict[str, str | bytes]:
    described = {"version": 1, "format": form, "features": features, "classes": classes}
    return {"model.txt": model, "model.json": json.dumps(described)}


def table(x: np.ndarray, names: Sequence[str]) -> str:
    rows = (["" if np.isnan(value) else repr(value) for value in row] for row in x.tolist())
    return "".join(",".join(row) + "\n" for row in [names, *rows])


def predict(run_stage: RunStage, model: Mapping[str, str | bytes], text: str) -> Result:
    result = run_stage(
        "predict", "predict", inputs={"model": model, "features": {"data.csv": text}}
    )
    assert (0, "") == (result.code, result.last_error)
    return result


def read(result: Result) -> tuple[list[str], list[str], list[list[str]]]:
    """Return the header, the classes and the texts of the probabilities."""
    with (result.out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, [row[0] for row in rows], [row[1:] for row in rows]


def floats(texts: list[list[str]]) -> list[list[float]]:
    return [[float(text) for text in row] for row in texts]


def mixed(rows: int) -> np.ndarray:
    """Return two numeric features and one of 300 categories, float64 (rows, 3), some missing."""
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=(rows, 2)), random.integers(0, 300, rows)])
    x[random.random(x.shape) < 0.1] = np.nan
    return x


def trained(x: np.ndarray, classes: int, **params: Any) -> lightgbm.Booster:
    y = np.nan_to_num(x[:, 0] * 2 + x[:, 2] % 7).astype(int) % classes
    objective = {"objective": "multiclass", "num_class": classes} if classes > 2 else {}
    settings = {"objective": "binary", "verbosity": -1, **objective, **params}
    return lightgbm.train(settings, lightgbm.Dataset(x, y, categorical_feature=[2]), 30)


def itself(booster: lightgbm.Booster, x: Any) -> np.ndarray:
    """Return LightGBM's own probabilities, float64 (rows,) or (rows, classes)."""
    return np.asarray(booster.predict(x))


NAMES = ["a", "b", "c"]


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_probabilities_are_lightgbms_bit_for_bit(run_stage: RunStage, classes: int) -> None:
    x = mixed(5000)
    booster = trained(x, classes)
    labels = [str(k) for k in range(classes)]
    model = model_files(booster.model_to_string(), NAMES, labels)
    extremes: list[list[float]] = [[0, 0, 300], [np.nan] * 3, [1e300, -1e300, 7]]
    unseen = np.vstack([x, extremes])
    header, best, texts = read(predict(run_stage, model, table(unseen, NAMES)))
    expected = itself(booster, unseen)
    if classes == 2:
        expected = np.column_stack([1 - expected, expected])

    assert ["class", *(f"probability_{label}" for label in labels)] == header
    assert expected.tolist() == floats(texts)
    assert expected.argmax(axis=1).astype(str).tolist() == best


def test_probabilities_are_written_as_short_as_they_are_exact(run_stage: RunStage) -> None:
    x = mixed(500)
    model = model_files(trained(x, 2).model_to_string(), NAMES, ["0", "1"])
    _, _, texts = read(predict(run_stage, model, table(x, NAMES)))

    assert [[repr(float(text)) for text in row] for row in texts] == texts


def test_rows_stay_in_order_from_block_to_block(run_stage: RunStage) -> None:
    x = mixed(100_000)
    booster = trained(x[:5000], 2)
    model = model_files(booster.model_to_string(), NAMES, ["0", "1"])
    result = predict(run_stage, model, table(x, NAMES))
    _, _, texts = read(result)

    assert itself(booster, x).tolist() == [row[1] for row in floats(texts)]
    assert 100_000 == result.summary["rows"]


def test_labels_are_quoted_where_csv_wants_it(run_stage: RunStage) -> None:
    x = mixed(500)
    labels = ["setosa, the first", 'versi"color', "日本"]
    model = model_files(trained(x, 3).model_to_string(), NAMES, labels)
    header, best, _ = read(predict(run_stage, model, table(x, NAMES)))

    assert ["class", *(f"probability_{label}" for label in labels)] == header
    assert set(labels) == set(best)


def test_the_summary_counts_the_classes(run_stage: RunStage) -> None:
    x = mixed(500)
    model = model_files(trained(x, 2).model_to_string(), NAMES, ["no", "yes"])
    result = predict(run_stage, model, table(x, NAMES))
    _, best, _ = read(result)

    assert {
        "rows": 500,
        "predicted_no": best.count("no"),
        "predicted_yes": best.count("yes"),
    } == result.summary


def test_the_threshold_of_a_model_decides_and_probabilities_stay(run_stage: RunStage) -> None:
    x = mixed(500)
    files = model_files(trained(x, 2).model_to_string(), NAMES, ["no", "yes"])
    asked = {**json.loads(files["model.json"]), "threshold": 0.2}
    plain = predict(run_stage, files, table(x, NAMES))
    result = predict(run_stage, {**files, "model.json": json.dumps(asked)}, table(x, NAMES))
    _, best, texts = read(result)

    assert read(plain)[2] == texts
    assert ["yes" if row[1] > 0.2 else "no" for row in floats(texts)] == best
    assert best.count("yes") == result.summary["predicted_yes"] > plain.summary["predicted_yes"]
    assert 0.2 == result.summary["threshold"]


def test_an_xgboost_model_predicts(run_stage: RunStage) -> None:
    model = model_files(XGBOOST.read_bytes(), ["a", "b"], ["0", "1"], "xgboost_json")
    _, best, texts = read(predict(run_stage, model, "a,b\n-1,0\n1,0\n,1\n"))

    assert ["0", "1", "0"] == best
    # What xgboost itself predicts, in single precision.
    assert pytest.approx([0.14673419, 0.81895024, 0.14673419], abs=1e-7) == [
        row[1] for row in floats(texts)
    ]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_treelite_checkpoint_of_a_random_forest_predicts(
    run_stage: RunStage, classes: int
) -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    forest = RandomForestClassifier(5, random_state=0).fit(x, np.arange(300) % classes)
    checkpoint = treelite.sklearn.import_model(forest).serialize_bytes()
    labels = [str(k) for k in range(classes)]
    model = model_files(checkpoint, ["a", "b"], labels, "treelite")
    _, _, texts = read(predict(run_stage, model, table(x, ["a", "b"])))

    assert pytest.approx(forest.predict_proba(x)) == np.array(floats(texts))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "pickle"}, "'pickle' is none of lightgbm, xgboost_json, treelite"),
        ({"format": "xgboost_json"}, "model/model.txt is no whole xgboost_json model"),
        ({"format": "treelite"}, "model/model.txt is no whole treelite model"),
        ({"features": ["a", "b"]}, "model/model.txt wants 3 features, model.json names 2"),
        ({"classes": ["0", "1", "2"]}, "scores 2 classes, model.json names 3"),
        ({"version": 2}, "model/model.json"),
        ({"threshold": 1.5}, "model/model.json: threshold 1.5 is no number between 0 and 1"),
        ({"threshold": "f1"}, "model/model.json: threshold 'f1' is no number between 0 and 1"),
    ],
)
def test_a_model_that_is_not_what_it_says_is_refused(
    run_stage: RunStage, changes: dict[str, Any], says: str
) -> None:
    x = mixed(500)
    model = model_files(trained(x, 2).model_to_string(), NAMES, ["0", "1"])
    described = json.loads(model["model.json"]) | changes
    features = described["features"]
    inputs: dict[str, dict[str, str | bytes]] = {
        "model": {**model, "model.json": json.dumps(described)},
        "features": {"data.csv": table(x[:, : len(features)], features)},
    }
    result = run_stage("predict", "predict", inputs=inputs)

    assert 65 == result.code
    assert says in result.last_error


@pytest.mark.parametrize("spelled", ["a,b,c\r\n1,2,3\r\n,,\r\n", '\ufeff"a",b,c\n"1",2,3\n,"",\n'])
def test_another_spelling_of_the_same_table_gives_the_same_bytes(
    run_stage: RunStage, spelled: str
) -> None:
    model = model_files(trained(mixed(500), 2).model_to_string(), NAMES, ["0", "1"])
    written = {
        (predict(run_stage, model, text).out / "predictions.csv").read_bytes()
        for text in ("a,b,c\n1,2,3\n,,\n", spelled)
    }

    assert 1 == len(written)


def test_an_empty_line_is_a_missing_value_where_there_is_one_feature(run_stage: RunStage) -> None:
    x = mixed(500)[:, :1]
    data = lightgbm.Dataset(x, (np.nan_to_num(x[:, 0]) > 0).astype(int))
    booster = lightgbm.train({"objective": "binary", "verbosity": -1}, data, 5)
    model = model_files(booster.model_to_string(), ["a"], ["0", "1"])
    _, _, texts = read(predict(run_stage, model, "a\n1\n\n-1\n"))

    assert itself(booster, [[1], [np.nan], [-1]]).tolist() == [row[1] for row in floats(texts)]


@pytest.mark.parametrize(
    "params",
    [
        {"num_leaves": 2},
        {"num_leaves": 64},
        {"num_leaves": 100},  # more than an integer has bits
        {"use_missing": False},
        {"objective": "cross_entropy"},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"sigmoid": 2.5},
    ],
    ids=str,
)
def test_few_rows_and_many_are_lightgbms_bit_for_bit(
    run_stage: RunStage, params: dict[str, Any]
) -> None:
    x = mixed(6000)
    x[::7, :2] = 0
    booster = trained(x, 2, **params)
    model = model_files(booster.model_to_string(), NAMES, ["0", "1"])
    expected = itself(booster, x).tolist()

    for rows in 100, 6000:
        _, _, texts = read(predict(run_stage, model, table(x[:rows], NAMES)))
        assert expected[:rows] == [row[1] for row in floats(texts)]


def test_zeros_that_are_gaps_are_refused(run_stage: RunStage) -> None:
    x = mixed(500)
    x[::7, :2] = 0
    booster = trained(x, 2, zero_as_missing=True)
    files = model_files(booster.model_to_string(), NAMES, ["0", "1"])
    data = {"data.csv": table(x, NAMES)}
    result = run_stage("predict", "predict", inputs={"model": files, "features": data})

    assert 65 == result.code
    assert "model/model.txt takes zeros for gaps" in result.last_error


def test_one_class_against_the_others_predicts(run_stage: RunStage) -> None:
    x = mixed(3000)
    booster = trained(x, 3, objective="multiclassova")
    model = model_files(booster.model_to_string(), NAMES, ["0", "1", "2"])
    _, _, texts = read(predict(run_stage, model, table(x, NAMES)))

    assert itself(booster, x).tolist() == floats(texts)


def test_trees_that_are_but_a_leaf_predict(run_stage: RunStage) -> None:
    x = mixed(3000)
    booster = trained(x, 2, min_data_in_leaf=2900)
    model = model_files(booster.model_to_string(), NAMES, ["0", "1"])
    _, _, texts = read(predict(run_stage, model, table(x, NAMES)))

    assert itself(booster, x).tolist() == [row[1] for row in floats(texts)]
    assert 1 == len({row[1] for row in texts})
