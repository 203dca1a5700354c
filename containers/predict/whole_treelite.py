"""Whether a checkpoint of Treelite 4 is whole: its src/serializer.cc.

https://treelite.readthedocs.io/en/latest/serialization/v4.html
"""

import struct
from pathlib import Path

import numpy as np
import treelite
from whole import require, require_tree, require_within

VERSION = 4
KINDS = {2: np.float32, 3: np.float64}  # of numbers: TypeInfo
EQUAL, COMPARISONS = 1, 6  # Operator, 0 is none
# What becomes of scores: src/gtil/postprocessor.cc
OUTPUTS = (
    b"identity identity_multiclass signed_square hinge sigmoid exponential softmax"
    b" exponential_standard_ratio logarithm_one_plus_exp multiclass_ova"
).split()
NUMERIC, CATEGORICAL = 1, 2  # TreeNodeType, beside 0 of a leaf
I32, U32, U64, I8, F64 = (np.dtype(f"<{kind}") for kind in ("i4", "u4", "u8", "i1", "f8"))


class Reader:
    """Takes one thing after the other from a file's content. Raises ValueError at its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        require(0 <= size <= len(self._content) - self._at, "it is cut short")
        self._at += size
        return self._content[self._at - size : self._at]

    def one(self, form: str) -> int:
        """Return a number, by its form of the module struct."""
        (found,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return int(found)

    def array(self, kind: np.dtype) -> np.ndarray:
        """Return an array, whose length is before it."""
        return np.frombuffer(self.take(self.one("Q") * kind.itemsize), kind)

    def nothing_more(self) -> None:
        """Require that this was all: fields that may be there are in no file of ours."""
        require(self._at == len(self._content), "it has more than its trees")


def load(path: Path, content: bytes) -> treelite.Model:
    """Return the model, once it is whole. Raises ValueError or TreeliteError."""
    check(content)
    return treelite.Model.deserialize(path)


def check(content: bytes) -> None:
    """Raise ValueError unless a model.txt is whole."""
    read = Reader(content)
    major, _, _ = (read.one("i") for _ in range(3))
    require(major == VERSION, f"it is not of Treelite {VERSION}")
    kinds = [read.one("B") for _ in range(2)]
    require(kinds[0] == kinds[1] and kinds[0] in KINDS, "its numbers are of no kind")
    trees, features = read.one("Q"), read.one("i")
    require_within(np.array([read.one("B")]), 5, "its task is none")
    require_within(np.array([read.one("B")]), 2, "average_tree_output is neither yes nor no")
    targets, classes, shape = read.one("i"), read.array(I32), read.array(I32)
    require(targets == len(classes) == 1 and classes[0] > 0, "it has not one target")
    require(shape.tolist() in ([1, 1], [1, classes[0]]), "its leaves are of no shape")
    target, of_class = read.array(I32), read.array(I32)
    require(len(target) == len(of_class) == trees, "its trees are others than it says")
    width = int(shape.prod())
    # A tree whose leaves are vectors may be of all targets, or classes: -1.
    require_within(target + 1, targets + 1, "a tree is of no target")
    require_within(of_class + 1, int(classes[0]) + 1, "a tree is of no class")
    require(read.array(I8).tobytes() in OUTPUTS, "what becomes of its scores is not known")
    require(np.isfinite(np.frombuffer(read.take(8), "<f4")).all(), "sigmoid_alpha is no number")
    base = read.array(F64)
    require(len(base) == classes[0] and np.isfinite(base).all(), "base_scores are of others")
    read.array(I8)  # attributes
    require(read.one("i") == 0, "it has fields of a later Treelite")
    for is_of_all in (target < 0) | (of_class < 0):
        in_vectors = width if width > 1 or is_of_all else 0
        check_tree(read, features, np.dtype(KINDS[kinds[0]]), in_vectors)
    read.nothing_more()


def check_tree(read: Reader, features: int, number: np.dtype, width: int) -> None:
    """Raise ValueError unless a tree is whole. width: of the vector that each leaf has, or 0."""
    nodes, has_sets = read.one("i"), read.one("B")
    kinds, left, right, split, default, leaf, threshold, compare, right_set = per_node = [
        read.array(kind) for kind in (I8, I32, I32, I32, I8, number, number, I8, I8)
    ]
    require(all(len(one) == nodes for one in per_node), "a tree has other nodes than it says")
    vectors, vector_bounds = read.array(number), [read.array(U64) for _ in range(2)]
    sets, set_bounds = read.array(U32), [read.array(U64) for _ in range(2)]
    is_leaf = left == -1
    require((is_leaf == (kinds == 0)).all() and (right[is_leaf] == -1).all(), "a leaf is none")
    require(has_sets == (kinds == CATEGORICAL).any(), "it says otherwise of categories")
    require_tree(left, right, is_leaf)
    require_within(kinds, 3, "a node is of no kind")
    require_within(split[~is_leaf], features, "it has no such feature")
    require_within(compare[kinds == NUMERIC] - EQUAL, COMPARISONS - EQUAL, "a comparison is none")
    for flags in (default, right_set):
        require_within(flags, 2, "a flag is neither yes nor no")
    lengths = check_bounds(vector_bounds, len(vectors), nodes)
    if width:
        require((lengths[is_leaf] == width).all(), "a leaf has no vector")
    check_bounds(set_bounds, len(sets), nodes)
    numbers = np.concatenate([leaf[is_leaf], vectors])
    require(np.isfinite(numbers).all() and not np.isnan(threshold).any(), "a leaf is no number")
    for kind in (U64, F64, F64):  # how many rows came by, what they weighed, what it has gained
        found, there = read.array(kind), read.array(I8)
        require({len(found), len(there)} <= {0, nodes}, "its figures are of other nodes")
    for _ in range(2):
        require(read.one("i") == 0, "it has fields of a later Treelite")


def check_bounds(bounds: list[np.ndarray], stop: int, nodes: int) -> np.ndarray:
    """Return how long each node's part of a list is. Raises ValueError for one beyond its end."""
    begin, end = bounds
    require(len(begin) == len(end) == nodes, "a tree has other nodes than it says")
    require((begin <= end).all() and (end <= stop).all(), "a node's list is not there")
    lengths: np.ndarray = end - begin
    return lengths
