"""Models that give the scores that a test wants."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

Scores = Sequence[Sequence[float]]


def constant_scores(scores: Scores) -> bytes:
    """Return a model whose feature is the row's number, and whose scores are those of the row."""
    classes = len(scores[0])
    builder: Any = ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=Metadata(1, "kMultiClf", True, 1, [classes], (1, classes)),
        tree_annotation=TreeAnnotation(1, [0], [-1]),
        postprocessor=PostProcessorFunc("identity_multiclass"),
        base_scores=[0.0] * classes,
    )
    builder.start_tree()
    for row in range(len(scores)):
        if row < len(scores) - 1:
            builder.start_node(2 * row)
            builder.numerical_test(
                feature_id=0,
                threshold=row + 0.5,
                default_left=False,
                opname="<",
                left_child_key=2 * row + 1,
                right_child_key=2 * row + 2,
            )
            builder.end_node()
        builder.start_node(2 * row + 1 if row < len(scores) - 1 else 2 * row)
        builder.leaf(list(scores[row]))
        builder.end_node()
    builder.end_tree()
    checkpoint: bytes = builder.commit().serialize_bytes()
    return checkpoint


def random_scores(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 (rows, classes) and true codes (rows,) that go with them."""
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(classes), rows)
    return scores, np.array([random.choice(classes, p=row) for row in scores])
