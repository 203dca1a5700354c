"""Whether a model is whole: what the library that reads it takes for granted, and is not told.

It is written in C++: of a child that is not there, a count that is too large, or a tree that leads
back into itself, it would read another's memory, or never end. Each format has a module
`whole_<format>`; what is wrong is a ValueError.
"""

from typing import Any

import numpy as np


def require(fits: Any, what: str) -> None:
    """Raise ValueError unless it fits."""
    if not fits:
        raise ValueError(what)


def require_tree(left: np.ndarray, right: np.ndarray, is_leaf: np.ndarray) -> None:
    """Raise ValueError unless each node but the first is the child of one other, at most.

    left, right: int (nodes,), of those that are no leaves; is_leaf: bool (nodes,). Then whoever
    goes down from the first gets to a leaf: to come back to a node, it would have two parents.
    """
    nodes = len(is_leaf)
    children = np.concatenate([left[~is_leaf], right[~is_leaf]])
    require(nodes and ((children > 0) & (children < nodes)).all(), "a node that is not there")
    require((np.bincount(children, minlength=nodes) <= 1).all(), "a node with two parents")


def require_within(values: np.ndarray, stop: int, what: str) -> None:
    """Raise ValueError unless all are from 0 to below `stop`."""
    require(((values >= 0) & (values < stop)).all(), what)
