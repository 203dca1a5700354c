"""fit: scikit-learn's histogram gradient boosting of split/train.csv, as a treelite checkpoint."""

import os
from typing import Any

import numpy as np
from stageframe import StageError, shown
from stageframe.threshold import choose_threshold, require_two_classes
from stageframe.training import (
    PREPARED,
    Prepared,
    Training,
    read_prepared,
    read_training,
    write_model,
)

MAX_CATEGORIES = 255  # of a column: scikit-learn keeps a byte for each value

# scikit-learn would count the cores with a program, cat, that a small image does not have.
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
# Threads that wait must sleep: where others use the cores too, spinning makes them far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared, asked = read_prepared(), params["threshold"]
    check_categories(prepared)
    require_two_classes(asked, prepared.classes)
    training = read_training(prepared)
    # Two seconds of imports: not before a signal can end the stage, nor for --help or bad data.
    import sklearn  # noqa: PLC0415
    import treelite  # noqa: PLC0415

    classifier = train(training, prepared, params)
    model = to_treelite(classifier)
    return write_model(
        model.serialize_bytes(),
        "treelite",
        prepared,
        rows=training.rows,
        trees=model.num_tree,
        gains=gains(model, len(prepared.names)),
        threshold=choose_threshold(
            asked,
            prepared.names,
            prepared.classes,
            training.share,
            lambda x: classifier.predict_proba(x)[:, 1],
        ),
        params=params,
        versions={"scikit-learn": sklearn.__version__, "treelite": treelite.__version__},
    )


def check_categories(prepared: Prepared) -> None:
    """Raise StageError (65) if a column has more categories than scikit-learn takes."""
    for name, count in zip(prepared.names, prepared.categories, strict=True):
        if count > MAX_CATEGORIES:
            raise StageError(
                f"{shown(PREPARED)}: column {name!r} has {count} categories, this trainer takes"
                f" {MAX_CATEGORIES}: preprocess with --max-categories {MAX_CATEGORIES}"
            )


def train(training: Training, prepared: Prepared, params: dict[str, Any]) -> Any:
    """Return a fitted HistGradientBoostingClassifier, the same however many threads run.

    The blocks are taken out of `training`, to spare memory.
    https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    x = np.concatenate(training.blocks)
    training.blocks.clear()
    # scikit-learn fails on a column without a value among the 200,000 rows that it draws to bin
    # it: a column that is next to empty is made constant, and so never split.
    few = np.count_nonzero(~np.isnan(x), axis=0) < max(params["leaf_rows"], len(x) / 5000)
    x[:, few & (np.array(prepared.categories) == 0)] = 0
    model = HistGradientBoostingClassifier(
        learning_rate=params["learning_rate"],
        max_iter=params["rounds"],
        max_leaf_nodes=params["leaves"],
        # It counts copies as rows: so many more rows are what has as many rows without them.
        min_samples_leaf=round(params["leaf_rows"] * len(x) / training.rows),
        l2_regularization=params["l2"],
        max_features=params["columns"],
        categorical_features=[count > 0 for count in prepared.categories],
        early_stopping=False,
        random_state=params["seed"],
    )
    y, weights = training.codes, training.weights
    return model.fit(*complete(x, y, weights, prepared.categories, len(prepared.classes)))


def complete(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, categories: list[int], classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return x, y and weights, (rows,), None = all 1, with every category and class in it.

    scikit-learn takes a category that it has not seen for missing, which treelite does not, and
    has no place for a class that it has not seen. So rows without weight show it the rest of both.
    """
    rows, features = x.shape
    unseen = [np.setdiff1d(np.arange(count), x[:, j]) for j, count in enumerate(categories)]
    labels = np.setdiff1d(np.arange(classes), y)
    extra = np.full((max(map(len, [*unseen, labels])), features), np.nan)
    if not len(extra):
        return x, y, weights
    for j, codes in enumerate(unseen):
        extra[: len(codes), j] = codes
    y = np.r_[y, labels, np.zeros(len(extra) - len(labels), int)]
    weights = np.ones(rows) if weights is None else weights
    return np.vstack([x, extra]), y, np.r_[weights, np.zeros(len(extra))]


def to_treelite(model: Any) -> Any:
    """Return a fitted classifier as a treelite.Model whose raw scores are its own, bit for bit."""
    import treelite.sklearn  # noqa: PLC0415

    with np.errstate(invalid="ignore"):  # treelite casts the category "missing" to an integer
        exported = treelite.sklearn.import_model(model)
    header = exported.get_header_accessor()
    base = np.array(header.get_field("base_scores"))
    # scikit-learn adds the trees to the base score, treelite the base score to their sum, and
    # floats depend on the order. A base score that is a part of the first trees comes first.
    for i, score in enumerate(base):
        tree = exported.get_tree_accessor(i)
        tree.set_field("leaf_value", tree.get_field("leaf_value") + score)
    header.set_field("base_scores", np.zeros_like(base))
    return exported


def gains(model: Any, features: int) -> list[float]:
    """Return what the splits by each feature of a treelite.Model have gained."""
    total = np.zeros(features)
    for i in range(model.num_tree):
        tree = model.get_tree_accessor(i)
        if len(gain := tree.get_field("gain")):  # a tree that is but a leaf has none
            which = tree.get_field("split_index")
            total += np.bincount(which[which >= 0], gain[which >= 0], features)
    return [float(gain) for gain in total]
