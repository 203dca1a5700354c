"""A model is data: whatever is in its files, predict ends at once, and reads nothing but them."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import treelite
from harness import Input, Result, RunStage
from sklearn.ensemble import HistGradientBoostingClassifier

XGBOOST = Path(__file__).with_name("xgboost_3.2_binary.json").read_bytes()
ROWS = "a,b\n1,2\n,0\n"
Change = Callable[[bytes], bytes]


def trained(names: list[str]) -> lightgbm.Booster:
    """Return a model of a number and of categories, whose only tree has several splits."""
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=600), random.integers(0, 40, 600)])
    y = ((x[:, 0] > 0) ^ (x[:, 1] % 3 == 0)).astype(int)
    params = {"objective": "binary", "verbosity": -1, "num_leaves": 8, "min_data_in_leaf": 5}
    data = lightgbm.Dataset(x, y, feature_name=names, categorical_feature=[1])
    return lightgbm.train(params, data, 1)


def forest() -> bytes:
    x = np.random.default_rng(0).normal(size=(300, 2))
    model = HistGradientBoostingClassifier(max_iter=2).fit(x, x[:, 0] > 0)
    return treelite.sklearn.import_model(model).serialize_bytes()


def run(
    run_stage: RunStage, model: bytes, form: str, names: tuple[str, str] = ("a", "b")
) -> Result:
    described = {"version": 1, "format": form, "features": names, "classes": ["0", "1"]}
    table = ROWS.replace("a,b", ",".join(names))
    inputs: dict[str, Input] = {
        "model": {"model.txt": model, "model.json": json.dumps(described)},
        "features": {"data.csv": table},
    }
    return run_stage("predict", "predict", inputs=inputs)


def put(key: str, value: str, place: int = 0) -> Change:
    """Put another value into a line of LightGBM's, in the place of one."""

    def change(model: bytes) -> bytes:
        def line(found: re.Match[bytes]) -> bytes:
            words = found[2].split(b" ")
            words[place] = value.encode()
            return found[1] + b" ".join(words)

        changed, number = re.subn(rf"(?m)^({key}=)(.*)$".encode(), line, model, count=1)
        assert (1, True) == (number, changed != model)
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("left_child", "0"), "its nodes are no tree"),  # it is its own child
        (put("left_child", "1000"), "its nodes are no tree"),
        (put("right_child", "-1000", -1), "its nodes are no tree"),
        (put("num_leaves", "2147483647"), "num_leaves is no whole number"),
        (put("num_leaves", "100000000"), "leaf_value has 8 values, not 100000000"),
        (put("num_leaves", "-1"), "num_leaves is no whole number"),
        (put("num_leaves", "0"), "a tree has no leaf"),
        (put("num_class", "900000000"), "num_class is not that of its trees"),
        (put("split_feature", "2"), "it has no such feature"),
        (put("split_feature", "-1"), "it has no such feature"),
        (put("num_cat", "100000"), "cat_boundaries has"),
        (put("cat_boundaries", "4000000000", -1), "cat_threshold has"),
        (put("cat_boundaries", "3"), "cat_boundaries do not rise"),
        (put("leaf_value", "nan"), "a leaf is no number"),
        (put("leaf_value", "1e999"), "a leaf is no number"),
        (put("threshold", "nan", -1), "a threshold is no number"),
        (put("decision_type", "300"), "decision_type is none of LightGBM's"),
        (put("is_linear", "1"), "its leaves are linear"),
        (put("decision_type", "2 "), "decision_type has 8 values, not 7"),  # treelite takes a zero
        (lambda model: re.sub(rb"(?m)^objective=.*", b"objective=", model), "it has no objective"),
        (lambda model: model.replace(b"num_cat=", b"num_cat=1\nnum_cat="), "are not those of"),
        (lambda model: model.replace(b"\n", b"\r\n"), "it is cut short"),
        (lambda model: model[: model.index(b"\nend of trees")], "it is cut short"),
    ],
)
def test_a_model_of_lightgbm_that_is_none_is_refused_with_the_reason(
    run_stage: RunStage, change: Change, says: str
) -> None:
    result = run(run_stage, change(trained(["a", "b"]).model_to_string().encode()), "lightgbm")

    assert 65 == result.code
    assert re.fullmatch(
        rf"model/model\.txt is no whole lightgbm model \(.*{re.escape(says)}.*\): train again",
        result.last_error,
    )


@pytest.mark.parametrize("names", [("num_leaves", "left_child"), ("Tree", "threshold")])
def test_a_feature_may_have_the_name_of_a_part_of_a_model(
    run_stage: RunStage, names: tuple[str, str]
) -> None:
    """LightGBM writes them, with their importance, behind the trees."""
    booster = trained([*names])
    result = run(run_stage, booster.model_to_string().encode(), "lightgbm", names)
    scores = [
        float(line.rpartition(",")[2])
        for line in (result.out / "predictions.csv").read_text().splitlines()[1:]
    ]

    assert np.asarray(booster.predict([[1, 2], [np.nan, 0]])).tolist() == scores


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"left_children":[1,', '"left_children":[0,', "a node that is not there"),
        ('"left_children":[1,', '"left_children":[2,', "a node with two parents"),
        ('"left_children":[1,', '"left_children":[1000000,', "a node that is not there"),
        ('"right_children":[2,', '"right_children":[-1,', "a node has one child"),
        ('"split_indices":[0,', '"split_indices":[7,', "it has no such feature"),
        ('"split_type":[0,', '"split_type":[1,', "its sets of categories are of other nodes"),
        ('"num_nodes":"3"', '"num_nodes":"2000000000"', "num_nodes is of others"),
        ('"num_class":"0"', '"num_class":"900000000"', "num_class is not that of its trees"),
        ('"tree_info":[0,', '"tree_info":[9,', "a tree is of no class"),
        ('"tree_info":[0,', '"tree_info":[', "tree_info is of other trees"),
        ('"tree_info":[', '"tree_info":[],"tree_info":[', "a key comes twice"),
        ('"split_conditions":[', '"split_conditions":[1e999,', "num_nodes is of others"),
        ('"trees":[', '"trees":["x",', "tree_info is of other trees"),
        ('{"learner":', '{"learner":[],"x":', "it lacks what XGBoost writes"),
        ('{"learner":', '{"learner":' + "[" * 100_000, "it lacks what XGBoost writes"),
    ],
)
def test_a_model_of_xgboost_that_is_none_is_refused_with_the_reason(
    run_stage: RunStage, old: str, new: str, says: str
) -> None:
    assert old.encode() in XGBOOST
    result = run(run_stage, XGBOOST.replace(old.encode(), new.encode(), 1), "xgboost_json")

    assert (65, True) == (result.code, says in result.last_error)


@pytest.mark.parametrize("value", [2**63 - 1, 2**64 - 1, 2**40, 10**6])
def test_no_count_of_a_checkpoint_is_taken_at_its_word(run_stage: RunStage, value: int) -> None:
    """Of trees, of classes, and of the nodes of the first tree."""
    model, found = forest(), []
    nodes = model.index(struct.pack("<i", 1), 200)
    for place in (14, 28, nodes):
        changed = model[:place] + struct.pack("<Q", value) + model[place + 8 :]
        found.append(run(run_stage, changed, "treelite"))

    assert [65] * 3 == [result.code for result in found]
    assert all("is no whole treelite model (" in result.last_error for result in found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"sigmoid", b"sigmoit", "what becomes of its scores is not known"),
        (b"sigmoid", b"\xff" * 7, "what becomes of its scores is not known"),
        (struct.pack("<Qii", 2, 1, 1), struct.pack("<Qii", 2, 1, 2), "its leaves are of no shape"),
        (struct.pack("<Qii", 2, 0, 0), struct.pack("<Qii", 2, -1, 0), "a leaf has no vector"),
    ],
)
def test_a_checkpoint_that_says_what_cannot_be_is_refused(
    run_stage: RunStage, old: bytes, new: bytes, says: str
) -> None:
    model = forest()
    assert old in model
    result = run(run_stage, model.replace(old, new, 1), "treelite")

    assert (65, True) == (result.code, says in result.last_error)


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_checkpoint_that_is_cut_short_is_refused(run_stage: RunStage, share: float) -> None:
    model = forest()
    result = run(run_stage, model[: int(share * len(model))], "treelite")

    assert (65, True) == (result.code, "is no whole treelite model (" in result.last_error)


def test_a_pickle_is_not_run(run_stage: RunStage) -> None:
    for form in ("lightgbm", "xgboost_json", "treelite"):
        result = run(run_stage, b"cos\nsystem\n(S'touch /out/owned'\ntR.", form)

        assert (65, []) == (result.code, [*result.out.iterdir()])
