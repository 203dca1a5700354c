"""fit: scikit-learn's histogram gradient boosting of split/train.csv, as a treelite checkpoint."""

import os
from typing import Any

import numpy as np
from stageframe import StageError, shown
from stageframe.losses import ABSOLUTE, POISSON, QUANTILE, SQUARED
from stageframe.training import (
    PREPARED,
    Prepared,
    Training,
    read_prepared,
    read_training,
    require_params,
    write_model,
)

LOSSES = {
    SQUARED: "squared_error",
    ABSOLUTE: "absolute_error",
    POISSON: "poisson",
    QUANTILE: "quantile",
}
MAX_CATEGORIES = 255  # of a column: scikit-learn keeps a byte for each value

# scikit-learn would count the cores with a program, cat, that a small image does not have.
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
# Threads that wait must sleep: where others use the cores too, spinning makes them far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def fit(**params: Any) -> dict[str, Any]:
    """Train, with the parameters of stage.py; write the model; return the summary."""
    prepared = read_prepared()
    check_categories(prepared)
    require_params(prepared, params)
    training = read_training(prepared, params)
    # Two seconds of imports: not before a signal can end the stage, nor for --help or bad data.
    import sklearn  # noqa: PLC0415
    import treelite  # noqa: PLC0415

    fitted = train(training, prepared, params)
    model = to_treelite(fitted)
    return write_model(
        model.serialize_bytes(),
        "treelite",
        prepared,
        training,
        trees=model.num_tree,
        gains=gains(model, len(prepared.names)),
        score=lambda x: fitted.predict_proba(x)[:, 1],
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
    """Return fitted histogram gradient boosting, the same however many threads run.

    The blocks are taken out of `training`, to spare memory.
    https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting
    """
    x = np.concatenate(training.blocks)
    training.blocks.clear()
    # scikit-learn fails on a column without a value among the 200,000 rows that it draws to bin
    # it: a column that is next to empty is made constant, and so never split.
    few = np.count_nonzero(~np.isnan(x), axis=0) < max(params["leaf_rows"], len(x) / 5000)
    x[:, few & (np.array(prepared.categories) == 0)] = 0
    model = estimator(
        prepared,
        params,
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
    y, weights = training.targets, training.weights
    return model.fit(*complete(x, y, weights, prepared.categories, len(prepared.classes)))


def estimator(prepared: Prepared, params: dict[str, Any], **settings: Any) -> Any:
    """Return scikit-learn's estimator of classes or of numbers, whichever are predicted."""
    from sklearn import ensemble  # noqa: PLC0415

    if prepared.classes:
        return ensemble.HistGradientBoostingClassifier(**settings)
    quantile = params["quantile"] if params["loss"] == QUANTILE else None
    return ensemble.HistGradientBoostingRegressor(
        loss=LOSSES[params["loss"]], quantile=quantile, **settings
    )


def complete(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, categories: list[int], classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return x, y and weights, (rows,), None = all 1, with every category and class in it.

    scikit-learn takes a category that it has not seen for missing, which treelite does not, and
    has no place for a class that it has not seen. So rows without weight show it the rest of both.
    classes: how many there are, 0 for numbers.
    """
    rows, features = x.shape
    unseen = [np.setdiff1d(np.arange(count), x[:, j]) for j, count in enumerate(categories)]
    labels = np.setdiff1d(np.arange(classes), y)  # none of numbers
    extra = np.full((max(map(len, [*unseen, labels])), features), np.nan)
    if not len(extra):
        return x, y, weights
    for j, codes in enumerate(unseen):
        extra[: len(codes), j] = codes
    y = np.r_[y, labels, np.full(len(extra) - len(labels), y[0])]
    weights = np.ones(rows) if weights is None else weights
    return np.vstack([x, extra]), y, np.r_[weights, np.zeros(len(extra))]


def to_treelite(model: Any) -> Any:
    """Return what `train` fitted as a treelite.Model whose raw scores are its own, bit for bit."""
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
