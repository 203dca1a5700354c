"""What classification.py and regression.py have in common, as far as a report is about them."""

from typing import Any, Protocol

import classification
import regression
from days import Day
from inputs import Given
from limits import Limits


class Task(Protocol):
    """What is said of a day's predictions and how they came true."""

    SUMMARY: tuple[str, ...]
    """Names of the metrics that the summary repeats."""
    NO_LABEL: str
    """What labels are that it does not know."""

    def metrics_of(self, given: Given, /) -> tuple[str, ...]:
        """Return the names of a day's metrics, as quality.json has them."""

    def as_history(self, day: Day, /) -> dict[str, Any]:
        """Return what the history tells of a day."""

    def describe(self, today: Day, given: Given, /) -> dict[str, Any]:
        """Return what quality.json tells beside metrics."""

    def judge(self, today: Day, given: Given, limits: Limits, /) -> tuple[list[str], list[str]]:
        """Return what is wrong with the metrics, and what is to be said of them."""

    def names(self, classes: list[str], /) -> dict[int, str]:
        """Return whose drift is looked at, by the place in `Day.histograms`, and its name."""


def task_of(given: Given) -> Task:
    """Return what a model is for."""
    return regression if given.numbers else classification
