"""Whether a model of XGBoost, as JSON, is whole: XGBoost's doc/model.schema."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import treelite
from whole import require, require_tree, require_within

LEAF = -1  # for a child
CATEGORICAL = 1  # kind of a split


def load(path: Path, content: bytes) -> treelite.Model:
    """Return the model, once it is whole. Raises ValueError or TreeliteError."""
    check(content)
    return treelite.frontend.load_xgboost_model(path, format_choice="json")


def check(content: bytes) -> None:
    """Raise ValueError unless a model.txt is whole."""
    try:
        learner = json.loads(content, object_pairs_hook=unlike)["learner"]
        params, booster = learner["learner_model_param"], learner["gradient_booster"]
        features, classes = int(params["num_feature"]), max(1, int(params["num_class"]))
        model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
        trees, info = model["trees"], numbers(model["tree_info"])
        require(booster["name"] in ("gbtree", "dart"), "it is of no trees")
        require(isinstance(trees, list) and len(info) == len(trees), "tree_info is of other trees")
        require(classes <= max(1, len(trees)), "num_class is not that of its trees")
        require_within(info, classes, "a tree is of no class")
        if booster["name"] == "dart":
            require(len(numbers(booster["weight_drop"])) == len(trees), "weight_drop is of others")
        for tree in trees:
            check_tree(tree, features)
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it lacks what XGBoost writes ({error})") from None


def unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, none of whose keys comes twice: of two, readers differ in which."""
    found = dict(pairs)
    require(len(found) == len(pairs), "a key comes twice")
    return found


def numbers(values: Any, kind: type = np.int64) -> np.ndarray:
    """Return a list of numbers as an array. Raises ValueError."""
    require(isinstance(values, list), "a list of numbers is none")
    allowed = {int, float, bool} if kind is float else {int, bool}
    require(set(map(type, values)) <= allowed, "a list of numbers holds others")
    return np.array(values, kind) if values else np.empty(0, kind)


def check_tree(tree: dict[str, Any], features: int) -> None:
    """Raise ValueError unless a tree is whole."""
    nodes = int(tree["tree_param"]["num_nodes"])
    names = ("left_children", "right_children", "split_indices", "split_type", "parents")
    left, right, split, kinds, _ = found = [numbers(tree[name]) for name in names]
    values, weights = numbers(tree["split_conditions"], float), numbers(tree["base_weights"], float)
    default = numbers(tree["default_left"])
    require(all(len(one) == nodes for one in (*found, values, default)), "num_nodes is of others")
    require(np.isfinite(values).all() and np.isfinite(weights).all(), "a leaf is no number")
    for name in ("loss_changes", "sum_hessian"):
        require(len(numbers(tree[name], float)) == nodes, f"{name} is of other nodes")
    is_leaf = left == LEAF
    require((is_leaf == (right == LEAF)).all(), "a node has one child")
    require_tree(left, right, is_leaf)
    require_within(split[~is_leaf], features, "it has no such feature")
    require_within(kinds, 2, "split_type is none of XGBoost's")
    check_sets(tree, np.flatnonzero(~is_leaf & (kinds == CATEGORICAL)))


def check_sets(tree: dict[str, Any], splits: np.ndarray) -> None:
    """Raise ValueError unless each of these splits has a set of categories, and it is whole."""
    names = ("categories_nodes", "categories_segments", "categories_sizes", "categories")
    nodes, begins, sizes, categories = (numbers(tree[name]) for name in names)
    require(np.array_equal(nodes, splits), "its sets of categories are of other nodes")
    require(len(nodes) == len(begins) == len(sizes), "a set of categories is cut short")
    ends = len(categories) + 1
    for bound in (begins, sizes, begins + sizes):
        require_within(bound, ends, "it has no such set of categories")
    require_within(categories, 2**31, "a category is none")
