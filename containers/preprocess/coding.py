"""Make raw tables numeric as the columns of preprocess.json say."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from unicodedata import normalize

import numpy as np
import pandas as pd
from csv_tables import not_a_number, read_frames
from stageframe import StageError, read_json
from stageframe.csv_files import find_fault
from stageframe.values import is_missing, places, same, to_number

R = TypeVar("R")


def read_columns(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the columns of preprocess.json, and how many days.

    Names are as `read_header` has them.
    """
    spec = read_json(path, "columns", version=1)
    columns = [{**column, "name": normalize("NFC", column["name"])} for column in spec["columns"]]
    return columns, len(spec.get("days", [None]))


def is_empty(column: dict[str, Any]) -> bool:
    """Return whether a numeric column had no value at all at fit, as far as that is known."""
    counts = column.get("profile", {}).get("counts", [1])
    return column["kind"] == "numeric" and not any(counts)


class Encoded(NamedTuple):
    """A block of rows, as numbers."""

    x: np.ndarray
    """float64 (rows, columns). A categorical value is its index in the column's categories; NaN =
    missing or no category."""
    unknown: np.ndarray
    """How many texts of each column are no category, int (columns,); of a column without values at
    fit, how many values there are."""
    unseen: dict[str, Counter[str]]
    """The texts of each categorical column that are no category, and how often they occur."""
    before: int
    """How many rows of the table are before these."""


class NoNumbersError(Exception):
    """There are texts in columns that ought to hold numbers."""

    def __init__(self, odd: dict[str, list[str]]) -> None:
        super().__init__(odd)
        self.odd = odd
        """One or two of each of these columns."""


class Encoder:
    """What makes raw rows numeric as the columns of preprocess.json say."""

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        self.names = [column["name"] for column in columns]
        self._known = {
            c["name"]: Categories(c["categories"]) for c in columns if c["kind"] == "categorical"
        }
        self._empty = {column["name"] for column in columns if is_empty(column)}
        self.texts = self._known.keys() | self._empty
        """The columns that are read as texts."""

    def encode(self, frame: pd.DataFrame, before: int = 0) -> Encoded:
        """Return rows as numbers; `before`: how many of their table are before these.

        frame: has all columns, those of `texts` as they came. Raises NoNumbersError.
        """
        x = np.full((len(frame), len(self.names)), np.nan)
        unknown, unseen = np.zeros(len(self.names), int), dict[str, Counter[str]]()
        for j, name in enumerate(self.names):
            values = frame[name]
            if name in self._empty:
                unknown[j] = sum(not is_missing(text) for text in values.tolist())
            elif name in self._known:
                x[:, j], unseen[name] = self._known[name].codes(values)
                unknown[j] = unseen[name].total()
            elif values.dtype.kind in "iuf":
                x[:, j] = values
            else:  # texts; or numbers that pandas cannot hold, such as integers beyond 64 bits
                x[:, j] = [to_number(str(value)) for value in values]
        bad = np.isinf(x)
        if odd := {
            name: texts_at(frame[name], bad[:, j])
            for j, name in enumerate(self.names)
            if bad[:, j].any()
        }:
            raise NoNumbersError(odd)
        return Encoded(x, unknown, unseen, before)


def encode(path: Path, columns: list[dict[str, Any]], work: Callable[[Encoded], R]) -> Iterator[R]:
    """Yield what `work` makes of each block of a raw table, maybe in another process."""
    encoder = Encoder(columns)

    def encoded(frame: pd.DataFrame, before: int) -> R:
        try:
            block = encoder.encode(frame, before)
        except NoNumbersError as error:
            raise StageError(find_fault([path], not_a_number(error.odd))) from error
        return work(block)

    return read_frames(path, encoded, encoder.texts, encoder.names)


def texts_at(values: pd.Series, chosen: np.ndarray) -> list[str]:
    """Return some of a column's values, as texts; chosen: bool (rows,)."""
    return [str(value) for value in values[chosen].unique()[:2]]


class Categories:
    """The categories of a column, and how their texts may be spelled."""

    def __init__(self, texts: list[str]) -> None:
        """`texts` differ; of two that are the same value, the first is meant by other spellings."""
        self._index = pd.Index(texts)
        self._other = places(texts)

    def codes(self, values: pd.Series) -> tuple[np.ndarray, Counter[str]]:
        """Return the index of each text's category, float64 (rows,), NaN = none; and what is none.

        A field of blanks is missing, and so not counted among these.
        """
        codes = self._index.get_indexer(pd.Index(values)).astype(float)
        rest = codes < 0
        if not rest.any():
            return codes, Counter()
        which, texts = pd.factorize(values[rest])
        known = np.array([self._other.get(same(text), np.nan) for text in texts])
        codes[rest] = known[which]
        counts = np.bincount(which, minlength=len(texts)).tolist()
        new = zip(texts, counts, np.isnan(known).tolist(), strict=True)
        return codes, Counter({text: n for text, n, none in new if none and text.strip()})
