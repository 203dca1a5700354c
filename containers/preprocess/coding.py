"""Make raw tables numeric as the columns of preprocess.json say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from csv_tables import not_a_number, read_frames
from stageframe import StageError, read_json, shown
from stageframe.csv_files import find_fault
from stageframe.values import to_number


def read_columns(path: Path) -> list[dict[str, Any]]:
    """Return the columns of preprocess.json, sure that `encode` can use them."""
    columns = read_json(path, "columns", version=1)["columns"]
    if isinstance(columns, list) and columns and all(is_column(column) for column in columns):
        return columns
    raise StageError(f"{shown(path)}: columns is not a list of columns: run fit again")


def is_column(column: object) -> bool:
    """Return whether it is a column of preprocess.json."""
    if not isinstance(column, dict) or not isinstance(column.get("name"), str):
        return False
    if column.get("kind") != "categorical":
        return column.get("kind") == "numeric"
    texts = column.get("categories")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return False
    return len(set(texts)) == len(texts)


def encode(path: Path, columns: list[dict[str, Any]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a raw table in blocks: float64 (rows, columns), and the texts that are no category.

    A categorical value is its index in the column's categories; NaN = missing or no category. How
    many texts of each column are no category is int (columns,).
    """
    names = [column["name"] for column in columns]
    known = {c["name"]: pd.Index(c["categories"]) for c in columns if c["kind"] == "categorical"}
    numeric = [name for name in names if name not in known]
    for frame in read_frames(path, known, names):
        x = np.empty((len(frame), len(names)))
        unknown = np.zeros(len(names), int)
        for j, name in enumerate(names):
            values = frame[name]
            if name in known:
                codes = known[name].get_indexer(values)
                x[:, j] = np.where(codes < 0, np.nan, codes)
                unknown[j] = ((codes < 0) & (values != "")).sum()
            elif values.dtype.kind in "iuf":
                x[:, j] = values
            else:  # texts; or numbers that pandas cannot hold, such as integers beyond 64 bits
                x[:, j] = [to_number(str(value)) for value in values]
        if np.isinf(x).any():
            raise StageError(find_fault([path], not_a_number(numeric)))
        yield x, unknown
