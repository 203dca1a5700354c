"""Numbers that were rounded, in whatever way, and what stays the same of them; needs NumPy."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

DIGITS, DECIMALS = range(3, 8), range(7)  # that numbers are rounded to
TIE = 0.5555  # of a unit: numbers rounded to some decimals less seldom get beyond, see `cuts_of`


def cuts_of(values: NDArray[np.float64], bins: int) -> list[float]:
    """Return what parts these values into about as many bins of about as many values, rising.

    values: float64 (values,), NaN = missing. A number that is rounded stays in its bin as a rule:
    a cut is near where numbers go up or down, whatever decimals they are rounded to (0.15555 is so
    for one, two, three and four); and no value that comes often is at a cut.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return []
    levels = np.quantile(values, np.arange(1, bins) / bins, method="lower")
    edges = np.unique([*levels, values.max()])
    widths = np.diff(edges)
    if not len(widths):
        return []
    least = np.minimum(widths, [math.inf, *widths[:-1]])
    units = 10.0 ** np.floor(np.log10(least))
    cuts: list[float] = ((np.floor(edges[:-1] / units) + TIE) * units).tolist()
    return cuts


def rounded_to(digits: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers with so many significant digits, NaN = missing."""
    size = np.where(np.isnan(x) | (x == 0), 1, np.abs(x))
    power = digits - 1 - np.floor(np.log10(size))
    # Of powers of ten those of whole numbers are exact.
    up, down = 10.0 ** np.maximum(power, 0), 10.0 ** np.maximum(-power, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.rint(x * up / down) / up * down
    return found


def fractions_rounded_to(digits: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same but for whole numbers, which stay: writers of tables round floats alone."""
    return np.where(x % 1 == 0, x, rounded_to(digits, x))


def decimals_rounded_to(decimals: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers with so many decimals."""
    rounded: NDArray[np.float64] = np.round(x, decimals)
    return rounded


def _single(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x


def _half(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(float)


# How numbers are rounded, not at all first.
ROUNDINGS: list[Callable[[NDArray[np.float64]], NDArray[np.float64]]] = [
    _single,
    _half,
    *(partial(rounded_to, digits) for digits in DIGITS),
    *(partial(fractions_rounded_to, digits) for digits in DIGITS),
    *(partial(decimals_rounded_to, decimals) for decimals in DECIMALS),
]


def about(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers, (rows,), with two digits, so that rounded ones are as they were."""
    size = np.where(numbers == 0, 1, np.abs(numbers))
    units = 10.0 ** (np.floor(np.log10(size)) - 1)
    rounded: NDArray[np.float64] = np.copysign(
        np.floor(np.abs(numbers) / units + 1 - TIE) * units, numbers
    )
    return rounded
