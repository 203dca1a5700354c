"""What is to be predicted, as fit reads and describes it: a class of each row, or a number."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from class_warnings import class_warnings
from classes import MISSING, count_classes, count_labels, name_classes, require_target
from coding import encode
from columns import learn
from csv_tables import OR_NAMES, csv_rows, not_a_number, read_codes
from precision import IF_NAMES
from stageframe import StageError, shown
from stageframe.csv_files import csv_line, find_fault
from stageframe.tasks import REGRESSION
from stageframe.values import is_missing


class Targets(Protocol):
    """The targets of some days."""

    rows: list[int]
    """Of each day."""
    numbers: bool
    """Whether they are numbers, and no classes."""

    def read(self, path: Path, /) -> np.ndarray:
        """Return the targets of a day, (rows,): codes of classes, int, or numbers, float64."""

    def written(self, y: np.ndarray, /) -> Iterator[bytes]:
        """Yield what is written of each of these, a field of CSV."""

    def described(self) -> dict[str, Any]:
        """Return what preprocess.json says of them."""

    def summary(self) -> dict[str, Any]:
        """Return what the summary says of them."""

    def warnings(self) -> list[str]:
        """Return what may be wrong with them."""


class Classes:
    """Targets that are classes."""

    numbers = False

    def __init__(self, paths: list[Path], *, forced: bool) -> None:
        """`paths`: target.csv of each day; forced: numbers are but names."""
        daily = [count_labels(path) for path in paths]
        counts = sum(daily, Counter[str]())
        labels = name_classes(counts, paths, forced)
        self.rows = [texts.total() for texts in daily]
        self._daily = {
            path.parent.name: count_classes(texts, labels)
            for path, texts in zip(paths, daily, strict=True)
        }
        self._counts = count_classes(counts, labels)
        self._cells = [csv_line([label]).encode() for label in self._counts]
        self._code = {text: [*self._counts].index(label) for text, label in labels.items()}

    def read(self, path: Path) -> np.ndarray:
        blocks = [
            np.array([self._code[text] for text in texts])[codes]
            for codes, texts in read_codes(path, "target")
        ]
        return np.concatenate([np.empty(0, int), *blocks])

    def written(self, y: np.ndarray) -> Iterator[bytes]:
        return map(self._cells.__getitem__, y)

    def described(self) -> dict[str, Any]:
        return {"classes": [*self._counts], "class_counts": [*self._counts.values()]}

    def summary(self) -> dict[str, Any]:
        return {"classes": len(self._counts)}

    def warnings(self) -> list[str]:
        return class_warnings(self._daily)


class Numbers:
    """Targets that are numbers."""

    numbers = True

    def __init__(self, paths: list[Path]) -> None:
        """`paths`: target.csv of each day."""
        for path in paths:
            require_target(path)
        try:
            (self._column,), profile, _, self._warnings = learn(paths, ["target"], (), 1)
            if self._column["kind"] != "numeric":
                raise StageError(find_fault(paths, not_a_number({"target": ()})))
        except StageError as error:
            sentence = str(error).replace(OR_NAMES, ", or leave --task regression out")
            raise StageError(sentence, error.code) from error
        self.rows, total, low, high = [], 0.0, math.inf, -math.inf
        for path in paths:
            y = self.read(path)
            if np.isnan(y).any():
                fault = find_fault([path], lambda _, text: MISSING if is_missing(text) else None)
                raise StageError(fault)
            self.rows.append(len(y))
            total += float(y.sum())
            low, high = min(low, y.min(initial=low)), max(high, y.max(initial=high))
            profile.add(profile.count(y[:, None], np.zeros(1, int)))
        if low == high:
            raise StageError(
                f"{shown(paths[0])}: all targets are {low:g}: provide rows with another target"
            )
        self._spread = {"mean": total / sum(self.rows), "low": float(low), "high": float(high)}
        self._profile = profile

    def read(self, path: Path) -> np.ndarray:
        blocks = encode(path, [self._column], lambda block: block.x[:, 0])
        return np.concatenate([np.empty(0), *blocks])

    def written(self, y: np.ndarray) -> Iterator[bytes]:
        return (line for rows in csv_rows(y[:, None]) for line in rows.splitlines())

    def described(self) -> dict[str, Any]:
        (column,) = self._profile.described()
        return {"target": {"profile": column["profile"], **self._spread}}

    def summary(self) -> dict[str, Any]:
        return {f"{name}_target": value for name, value in self._spread.items()}

    def warnings(self) -> list[str]:
        return [warning.removesuffix(IF_NAMES) for warning in self._warnings]


def read_targets(paths: list[Path], task: str, *, forced: bool) -> Targets:
    """Return the targets of some days, target.csv of each; forced: numbers are but names."""
    return Numbers(paths) if task == REGRESSION else Classes(paths, forced=forced)
