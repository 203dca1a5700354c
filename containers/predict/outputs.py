"""What becomes of raw scores, to the bit as the libraries have it that trained the models."""

import ctypes
import math
import sys
from collections.abc import Callable

import numpy as np

LARGEST = math.log(sys.float_info.max)  # whose exponential is a number
_expf = ctypes.CDLL(None).expf
_expf.argtypes, _expf.restype = [ctypes.c_float], ctypes.c_float

Output = Callable[[np.ndarray], np.ndarray]


def output_of(name: str, slope: float, *, lightgbm: bool) -> Output | None:
    """Return how raw scores, (rows, outputs), become outputs, None where treelite alone knows.

    name: treelite's of the postprocessor; slope: of its sigmoid.
    """
    functions: dict[str, Output] = {
        "identity": np.positive,
        "identity_multiclass": np.positive,
        "exponential": lambda raw: trainers_exp(raw, lightgbm=lightgbm),
        "sigmoid": lambda raw: 1 / (1 + exp(raw.dtype.type(-slope) * raw)),
        "softmax": lambda raw: softmax(raw, lightgbm=lightgbm),
    }
    return functions.get(name)


def exp(x: np.ndarray) -> np.ndarray:
    """Return C's exponential, of the precision of x; NumPy's differs from it in the last digit."""
    values = x.ravel()
    if x.dtype == np.float32:
        found = np.fromiter(map(_expf, values.tolist()), np.float32, len(values))
    else:
        found = np.fromiter(map(math.exp, np.minimum(values, LARGEST).tolist()), float, len(values))
        found[values > LARGEST] = np.inf
    return found.reshape(x.shape)


def trainers_exp(x: np.ndarray, *, lightgbm: bool) -> np.ndarray:
    """Return the exponential: C's as LightGBM and XGBoost have it, NumPy's as scikit-learn has."""
    c = lightgbm or x.dtype == np.float32
    found: np.ndarray = exp(x) if c else np.exp(x)
    return found


def softmax(raw: np.ndarray, *, lightgbm: bool) -> np.ndarray:
    """Return probabilities, (rows, classes), of raw scores of the same shape and precision.

    Of single precision they are XGBoost's, of double LightGBM's or scikit-learn's: each has an
    exponential and an order of its own.
    """
    scores: np.ndarray = raw - raw.max(axis=1, keepdims=True)
    scores = trainers_exp(scores, lightgbm=lightgbm)
    totals = np.cumsum(scores, axis=1, dtype=float)[:, -1:]
    scores /= totals.astype(raw.dtype)
    return scores
