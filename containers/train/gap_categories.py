"""Gaps of categories in LightGBM: it sends them right at each split, whatever it has learned.

So a gap is a category of its own while the model learns; and once it has, wherever that category
goes left, the sides of the split change places, and what goes left are all the others.
"""

import re
from collections.abc import Sequence

import numpy as np

WORD = 32  # bits of a number in cat_threshold, each of which is a category that goes left


def fill_gaps(blocks: Sequence[np.ndarray], categories: Sequence[int]) -> None:
    """Make gaps of categorical columns a category more, in place.

    blocks: float64 (rows, features), NaN = missing; categories: of each feature, 0 if numeric.
    """
    for j, count in enumerate(categories):
        for x in blocks if count else ():
            x[np.isnan(x[:, j]), j] = count


def empty_gaps(model: str, categories: Sequence[int]) -> str:
    """Return a model, LightGBM's text, that sends gaps where it has sent the category more."""
    head, *trees, end = re.split(r"(?m)^(?=Tree=\d+$|end of trees$)", model)
    trees = [turn_splits(tree, categories) for tree in trees]
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    head = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head)
    return "".join([head, *trees, end])


def turn_splits(tree: str, categories: Sequence[int]) -> str:
    """Return a tree of the model's text, none of whose splits sends the category more left."""
    fields = dict(re.findall(r"(?m)^(\w+)=(.*)$", tree))
    if fields["num_cat"] == "0":
        return tree
    names = ("split_feature", "decision_type", "left_child", "right_child", "cat_threshold")
    features, kinds, left, right, words = ([int(v) for v in fields[name].split()] for name in names)
    starts = [int(v) for v in fields["cat_boundaries"].split()]
    sets: list[list[int]] = []
    for node in [node for node, kind in enumerate(kinds) if kind & 1]:  # not split by a number
        start, stop = starts[len(sets) : len(sets) + 2]
        bits = sum(word << WORD * i for i, word in enumerate(words[start:stop]))
        gap = 1 << categories[features[node]]
        if bits & gap:
            bits = (gap - 1) & ~bits
            left[node], right[node] = right[node], left[node]
        size = max(bits.bit_length(), 1)
        sets.append([bits >> shift & ((1 << WORD) - 1) for shift in range(0, size, WORD)])
    changed = {
        "left_child": left,
        "right_child": right,
        "cat_boundaries": np.cumsum([0, *map(len, sets)]).tolist(),
        "cat_threshold": [word for one in sets for word in one],
    }
    for name, values in changed.items():
        text = f"{name}={' '.join(map(str, values))}"
        tree = re.sub(rf"(?m)^{name}=.*$", text, tree)
    return tree
