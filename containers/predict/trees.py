"""The raw scores of trees, for all rows at once, to the bit those of treelite's reference scorer.

QuickScorer, with NumPy: each split of a tree rules out some of its leaves, those below its other
side, whichever way a row gets there. So for each feature a table tells which leaves are left by the
value's place among the thresholds, and the row's leaf is the one that all tables leave.
Lucchese et al. (2015), https://doi.org/10.1145/2766462.2767733
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import treelite

LEAF, NUMERIC, CATEGORICAL = range(3)  # treelite's kinds of nodes
LESS, LESS_OR_EQUAL = 2, 3  # treelite's comparisons
MOST_LEAVES = 64  # of a tree: the bits of an integer
MOST_ENTRIES = 10_000_000  # of all tables
ROWS = 8192  # at a time: what is looked up stays in the processor's cache


class Split(NamedTuple):
    """A node with two sides."""

    feature: int
    threshold: Any
    """Up to which a number goes left."""
    categories: np.ndarray | None
    """Those that are listed; None where it is by number."""
    listed_go_right: bool
    gaps_go_left: bool
    without_left: int
    without_right: int
    """The leaves that are left, as bits, without those below a side."""


@dataclass(frozen=True)
class Feature:
    """How a value becomes its place in the tables of a feature; the last place is that of gaps."""

    edges: np.ndarray
    """Thresholds in order; a number's place is that of the first one that it is not above."""
    categories: int | None
    """How many are told apart, where it is split by these; the place after them is any other's."""

    @property
    def places(self) -> int:
        """How many there are."""
        return (len(self.edges) if self.categories is None else self.categories) + 2

    def places_of(self, values: np.ndarray) -> np.ndarray:
        """Return the places of values, int (rows,)."""
        if self.categories is None:
            found = np.searchsorted(self.edges, values)
        else:
            known = (values >= 0) & (values < self.categories)
            found = np.where(known, values, self.categories).astype(np.intp)
        found[np.isnan(values)] = self.places - 1
        return found

    def goes_left(self, split: Split) -> np.ndarray:
        """Return at which places a value goes left, bool (places,)."""
        left = np.zeros(self.places, bool)
        if split.categories is None:
            left[: np.searchsorted(self.edges, split.threshold) + 1] = True
        else:
            left[split.categories] = True
            left ^= split.listed_go_right
        left[-1] = split.gaps_go_left
        return left


@dataclass(frozen=True)
class Tree:
    """A tree, by tables."""

    tables: list[tuple[int, np.ndarray]]
    """The features that it splits by, and of each by place which leaves are left, as bits."""
    values: np.ndarray
    """Of the leaves, (leaves,)."""

    def scores(self, places: dict[int, np.ndarray]) -> Any:
        """Return the score of each row, (rows,), or of all; places: of each feature, (rows,)."""
        if not self.tables:
            return self.values[0]
        left, *others = (table.take(places[j], mode="clip") for j, table in self.tables)
        for other in others:
            left &= other
        # One bit is left, and those below it are as many as the leaves before.
        return self.values.take(np.bitwise_count(left - left.dtype.type(1)), mode="clip")


@dataclass(frozen=True)
class Trees:
    """The trees of a model, by tables."""

    features: dict[int, Feature]
    trees: list[Tree]
    classes: list[int]
    """To which class's score each tree adds."""
    base: np.ndarray
    """What is added in the end, (classes,), of the model's precision."""

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return raw scores, (rows, classes), of the model's precision, summed tree by tree.

        x: float64 (rows, features), NaN = missing.
        """
        scores = np.zeros((len(self.base), len(x)), self.base.dtype)
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            with np.errstate(over="ignore"):  # to infinity, as treelite has it
                values = x[rows].astype(self.base.dtype)
            places = {j: one.places_of(values[:, j]) for j, one in self.features.items()}
            for tree, k in zip(self.trees, self.classes, strict=True):
                scores[k, rows] += tree.scores(places)
        found: np.ndarray = scores.T + self.base
        return found


def compile_trees(model: treelite.Model) -> Trees | None:
    """Return the trees of a model, None where tables cannot hold them and treelite has to score."""
    header = model.get_header_accessor()

    def field(name: str) -> Any:
        return header.get_field(name)

    if (
        model.input_type != model.output_type
        or field("average_tree_output")[0]
        or field("leaf_vector_shape").tolist() != [1, 1]
        or field("num_target")[0] != 1
        or (field("class_id") < 0).any()
    ):
        return None
    accessors = [model.get_tree_accessor(i) for i in range(model.num_tree)]
    if not all(map(fits, accessors)):
        return None
    splits = [splits_of(tree) for tree in accessors]
    features = features_of([split for tree in splits for split in tree], model.output_type)
    used = [{split.feature for split in tree} for tree in splits]
    if not features or sum(features[j].places for tree in used for j in tree) > MOST_ENTRIES:
        return None
    trees = [
        Tree(tables_of(some, features), tree.get_field("leaf_value")[tree.get_field("cleft") < 0])
        for some, tree in zip(splits, accessors, strict=True)
    ]
    base = field("base_scores").astype(model.output_type)
    return Trees(features, trees, field("class_id").tolist(), base)


def fits(tree: Any) -> bool:
    """Return whether tables can hold a tree."""
    kinds, compare = tree.get_field("node_type"), tree.get_field("cmp")
    known = np.isin(compare[kinds == NUMERIC], [LESS, LESS_OR_EQUAL])
    return bool(known.all()) and int((kinds == LEAF).sum()) <= MOST_LEAVES


def splits_of(tree: Any) -> list[Split]:
    """Return the splits of a tree."""
    names = ("cleft", "cright", "split_index", "default_left", "category_list_right_child")
    lefts, rights, features, gaps_left, listed_right = (
        tree.get_field(name).tolist() for name in names
    )
    begin, end = (tree.get_field(f"category_list_{name}").tolist() for name in ("begin", "end"))
    by_category = (tree.get_field("node_type") == CATEGORICAL).tolist()
    lists, threshold = tree.get_field("category_list"), tree.get_field("threshold").copy()
    less = tree.get_field("cmp") == LESS
    threshold[less] = np.nextafter(threshold[less], threshold.dtype.type(-np.inf))
    below = leaves_below(lefts, rights)
    return [
        Split(
            features[i],
            threshold[i],
            lists[begin[i] : end[i]].astype(int) if by_category[i] else None,
            bool(listed_right[i]),
            bool(gaps_left[i]),
            ~below[left],
            ~below[rights[i]],
        )
        for i, left in enumerate(lefts)
        if left >= 0
    ]


def leaves_below(lefts: list[int], rights: list[int]) -> list[int]:
    """Return the leaves below each node of a tree, as bits: leaves are numbered as nodes are."""
    below, leaves = [0] * len(lefts), itertools.count()
    for i, left in enumerate(lefts):
        if left < 0:
            below[i] = 1 << next(leaves)
    order = [0]
    for i in order:  # it grows
        order += [child for child in (lefts[i], rights[i]) if child >= 0]
    for i in reversed(order):
        if lefts[i] >= 0:
            below[i] = below[lefts[i]] | below[rights[i]]
    return below


def features_of(splits: list[Split], precision: str) -> dict[int, Feature]:
    """Return the features of these splits; none where one is split both ways."""
    numbers, lists = defaultdict[int, list[Any]](list), defaultdict[int, list[Any]](list)
    for split in splits:
        if split.categories is None:
            numbers[split.feature].append(split.threshold)
        else:
            lists[split.feature].append(split.categories)
    if numbers.keys() & lists.keys():
        return {}
    none = np.array([], precision)
    return {
        **{j: Feature(np.unique(np.array(edges)), None) for j, edges in numbers.items()},
        **{
            j: Feature(none, int(np.concatenate(codes).max(initial=-1)) + 1)
            for j, codes in lists.items()
        },
    }


def tables_of(splits: list[Split], features: dict[int, Feature]) -> list[tuple[int, np.ndarray]]:
    """Return the tables of a tree with these splits, by feature."""
    leaves = len(splits) + 1
    size = next(n for n in (8, 16, 32, 64) if leaves <= n)
    kind, every = np.dtype(f"u{size // 8}").type, 2**leaves - 1
    tables: dict[int, np.ndarray] = {}
    for split in splits:
        without = (kind(bits & every) for bits in (split.without_right, split.without_left))
        stay = np.where(features[split.feature].goes_left(split), *without)
        tables[split.feature] = stay & tables.get(split.feature, kind(every))
    return [*tables.items()]
