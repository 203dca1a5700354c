"""What a day is held against."""

from typing import NamedTuple


class Limits(NamedTuple):
    """What a day is held against."""

    min_auc: float  # of classes
    min_skill: float  # of numbers: share of a constant's loss that is saved
    max_coverage_error: float  # of quantiles: between the share of targets below, and the quantile
    max_drift: float  # population stability index of a feature
    max_drifted: float  # share of the features that are judged
    max_prediction_drift: float  # population stability index of the probabilities, or the numbers
    max_gaps: float  # between the shares of gaps of a feature, now and in training
