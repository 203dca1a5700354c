"""Whether a model of LightGBM is whole: LightGBM's src/io/tree.cpp and gbdt_model_text.cpp."""

from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import treelite
from whole import require, require_within

END = b"\nend of trees\n"
# Of a tree, as treelite reads them.
KEYS = (
    b"Tree num_leaves num_cat leaf_value leaf_count decision_type cat_boundaries cat_threshold"
    b" split_feature split_gain threshold internal_count left_child right_child"
).split()
# Bits of the kind of a decision, in LightGBM's include/LightGBM/tree.h; two of them are of gaps.
CATEGORICAL, GAPS, ZERO_IS_A_GAP = 1, 12, 4
TEXT_OF_TREES = "its trees are not those of LightGBM"


class ZerosForGapsError(Exception):
    """A zero goes the way of a gap at some split, which treelite does not know."""


Settings = dict[bytes, bytes]


def load(path: Path, content: bytes) -> treelite.Model:
    """Return the model, once it is whole. Raises ValueError or TreeliteError."""
    trees, end, more = content.partition(END)
    require(end, "it is cut short")  # treelite would take the trees that are left for all
    check(trees)
    # Then come features by their names, with their importance: which may be those of KEYS.
    if not {line.partition(b"=")[0] for line in more.splitlines()}.intersection(KEYS):
        return treelite.frontend.load_lightgbm_model(path)
    with NamedTemporaryFile() as file:
        file.write(trees + end)
        file.flush()
        return treelite.frontend.load_lightgbm_model(file.name)


def check(content: bytes) -> None:
    """Raise ValueError unless a model.txt, up to the end of its trees, is whole."""
    head, *trees = content.split(b"\nTree=")
    model = settings(head)
    require(model.get(b"objective", b"custom").split(), "it has no objective")
    features = number(model, b"max_feature_idx") + 1
    classes = number(model, b"num_class")
    require(0 < classes <= max(1, len(trees)), "num_class is not that of its trees")
    require(number(model, b"num_tree_per_iteration") == classes, "its trees are not of num_class")
    for tree in trees:
        check_tree(settings(b"Tree=" + tree), features)


def settings(text: bytes) -> Settings:
    """Return the lines `key=value` of a text; none has a carriage return, nor a key twice."""
    pairs = [line.partition(b"=") for line in text.split(b"\n") if b"=" in line]
    found = {key: value for key, _, value in pairs}
    require(len(found) == len(pairs) and b"\r" not in text and b"\0" not in text, TEXT_OF_TREES)
    return found


def number(found: Settings, key: bytes) -> int:
    """Return a whole number. Raises ValueError."""
    text = found.get(key, b"")
    require(text.isdigit() and len(text) < 10, f"{key.decode()} is no whole number")
    return int(text)


def numbers(found: Settings, key: bytes, length: int, kind: type = np.int64) -> np.ndarray:
    """Return so many numbers. Raises ValueError."""
    # One blank is between them: of two, treelite takes a zero in between.
    texts = found[key].split(b" ") if found.get(key) else []
    require(len(texts) == length, f"{key.decode()} has {len(texts)} values, not {length}")
    try:
        return np.array(texts).astype(kind) if texts else np.empty(0, kind)
    except (ValueError, OverflowError):
        raise ValueError(f"{key.decode()} holds what is no number") from None


def check_tree(tree: Settings, features: int) -> None:
    """Raise ValueError unless a tree is whole."""
    leaves, sets = number(tree, b"num_leaves"), number(tree, b"num_cat")
    require(leaves > 0, "a tree has no leaf")
    require(np.isfinite(numbers(tree, b"leaf_value", leaves, float)).all(), "a leaf is no number")
    require(tree.get(b"is_linear", b"0") == b"0", "its leaves are linear, which no step can read")
    splits = leaves - 1
    for key, length in ((b"leaf_count", leaves), (b"internal_count", splits)):
        if tree.get(key):
            require((numbers(tree, key, length) >= 0).all(), f"{key.decode()} is below 0")
    if not splits:
        return
    children = [numbers(tree, key, splits) for key in (b"left_child", b"right_child")]
    # A leaf is counted from -1 downwards, a split from 1 on: each is the child of one split.
    found = np.sort(np.concatenate(children))
    each = np.concatenate([np.arange(-leaves, 0), np.arange(1, splits)])
    require(np.array_equal(found, each), "its nodes are no tree")
    require_within(numbers(tree, b"split_feature", splits), features, "it has no such feature")
    thresholds = numbers(tree, b"threshold", splits, float)
    require(not np.isnan(thresholds).any(), "a threshold is no number")
    kinds = numbers(tree, b"decision_type", splits)
    require_within(kinds, 16, "decision_type is none of LightGBM's")
    if (kinds & GAPS == ZERO_IS_A_GAP).any():
        raise ZerosForGapsError
    check_sets(tree, sets, thresholds[(kinds & CATEGORICAL) > 0])


def check_sets(tree: Settings, sets: int, used: np.ndarray) -> None:
    """Raise ValueError unless the sets of categories are whole; used: by splits, float."""
    require(((used >= 0) & (used < sets)).all(), "it has no such set of categories")
    if sets:
        bounds = numbers(tree, b"cat_boundaries", sets + 1)
        require(not bounds[0] and (np.diff(bounds) >= 0).all(), "cat_boundaries do not rise")
        words = numbers(tree, b"cat_threshold", int(min(bounds[-1], 2**31)))
        require_within(words, 2**32, "cat_threshold is beyond 32 bits")
