"""Features whose share of gaps is far from that of the training.

A gap is a field that is missing, or a value that the model does not know: of both it knows no more
than that there is nothing to go by.
"""

import math
from collections.abc import Sequence

from drift import Feature
from inputs import Given

# A chi-squared variable of one degree of freedom is below it in 999 of 1000 cases.
CHANCE = 10.827566170662733


def shares(feature: Feature) -> tuple[float, float]:
    """Return the shares of gaps in training and on the day; new names of rows are none."""
    if feature.by_nature:
        return feature.missing_reference, feature.missing
    return (
        feature.missing_reference + feature.unknown_reference,
        feature.missing + feature.unknown,
    )


def is_far(feature: Feature, limit: float) -> bool:
    """Return whether the two shares differ by more than the limit, and more than chance explains.

    The latter by the log-likelihood ratio of two binomial samples (Wilks 1938), 999 times of 1000.
    """
    n, m = feature.rows_reference, feature.rows
    p, q = shares(feature)
    if feature.ignored or not n or not m or abs(q - p) <= limit:
        return False
    both = (n * p + m * q) / (n + m)
    ratio = 2 * (n * divergence(p, both) + m * divergence(q, both))
    return ratio > CHANCE


def divergence(p: float, q: float) -> float:
    """Return how far a coin that shows heads with probability p is from one with q, in nats."""
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def judge_gaps(
    day: str, features: Sequence[Feature], given: Given, limit: float
) -> tuple[list[str], list[str], list[str]]:
    """Return the features whose gaps are far from training's; and problems and notes on them.

    It is a problem where the model rests on the feature.
    """
    far = [feature for feature in features if is_far(feature, limit)]
    problems = [
        f"{sentence(feature, day)}, and the model rests on it: look at what delivers it."
        for feature in far
        if given.rests_on(feature.name)
    ]
    notes = [
        f"{sentence(feature, day)}; the model hardly goes by it."
        for feature in far
        if not given.rests_on(feature.name)
    ]
    return [feature.name for feature in far], problems, notes


def sentence(feature: Feature, day: str) -> str:
    """Return the shares of a feature in words."""
    then, now = shares(feature)
    seen = ""
    if feature.unseen and feature.unknown > feature.missing and not feature.by_nature:
        seen = f" (such as {feature.unseen[0][:50]!r})"
    what = "missing or unknown" if feature.unknown or feature.unknown_reference else "missing"
    return (
        f"Column {feature.name!r} is {what}{seen} in {now:.1%} of the rows of {day}, in training"
        f" in {then:.1%}"
    )
