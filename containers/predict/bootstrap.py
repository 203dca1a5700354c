"""How sure an AUC is, and the difference of two: the paired, stratified bootstrap."""

import numpy as np

CONFIDENCE = 0.95  # of an interval


def bootstrap(y: np.ndarray, scores: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Return the AUC of each model, as `measure` has it, on rows that are drawn again and again.

    y: codes of the true classes (rows,); scores: of each model, probabilities (rows, classes).
    Returns float64 (models, resamples). All models are measured on the same draws (paired). A draw
    has as many rows of each class as there are, with replacement (stratified), so that no class is
    ever without a row. The rows count as independent of each other.
    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13; of differences
    of AUC: Robin et al., pROC (2011), https://doi.org/10.1186/1471-2105-12-77.
    """
    order = np.argsort(y, kind="stable")
    stops = np.cumsum(np.bincount(y))
    spans = {k: slice(stops[k - 1] if k else 0, stops[k]) for k in np.unique(y).tolist()}
    measured = [1] if scores[0].shape[1] == 2 else list(spans)
    # Only the order of the scores counts: they are sorted once, for all draws.
    ranks = [
        [(np.unique(one[order, k], return_inverse=True)[1], spans[k]) for k in measured]
        for one in scores
    ]
    random = np.random.default_rng(seed)
    aucs = np.empty((len(scores), resamples))
    for n in range(resamples):
        drawn = np.concatenate(
            [random.integers(s.start, s.stop, s.stop - s.start) for s in spans.values()]
        )
        aucs[:, n] = [np.mean([auc(r[drawn], span) for r, span in each]) for each in ranks]
    return aucs


def auc(ranks: np.ndarray, positive: slice) -> float:
    """Return the area under the ROC curve: Mann and Whitney's U, ties counted half.

    ranks: int (rows,), equal for equal scores; positive: the rows of the positive class.
    """
    others = np.bincount(
        np.concatenate([ranks[: positive.start], ranks[positive.stop :]]), minlength=len(ranks)
    )
    below = np.cumsum(others) - others / 2
    pairs = (positive.stop - positive.start) * (len(ranks) - positive.stop + positive.start)
    return float(below[ranks[positive]].sum() / pairs)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of a bootstrap's values (resamples,)."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return low, high
