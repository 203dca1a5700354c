"""What `transform` does to the rows of a table, for programs that have them in memory.

It goes with each table that `fit` writes, in code.zip, so that a model can be loaded by MLflow.
"""

from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd
from coding import Encoder, NoNumbersError, read_columns
from stageframe import StageError
from stageframe.csv_files import no_number

Transform = Callable[[pd.DataFrame], np.ndarray]


def load(folder: Path) -> tuple[Transform, list[str]]:
    """Return what makes raw rows numeric as this folder's preprocess.json says, and its columns.

    It gets a table with the columns of data.csv, maybe among others, whose values are numbers,
    texts, None or NaN; and returns float64 (rows, columns), NaN = missing or no category. It raises
    StageError for a column that is not there, and for a text that is no number.
    """
    columns, _ = read_columns(folder / "preprocess.json")
    encoder = Encoder(columns)

    def transform(table: pd.DataFrame) -> np.ndarray:
        table = table.reset_index(drop=True)
        table = table.set_axis([normalize("NFC", str(name)) for name in table.columns], axis=1)
        if missing := [name for name in encoder.names if name not in table]:
            raise StageError(f"the columns {missing} are missing: the model learned from them")
        if twice := sorted(
            {*table.columns[table.columns.duplicated()]}.intersection(encoder.names)
        ):
            raise StageError(f"the columns {twice} are there twice: leave one of each")
        frame = pd.DataFrame(
            {name: as_read(table[name], text=name in encoder.texts) for name in encoder.names}
        )
        try:
            return encoder.encode(frame).x
        except NoNumbersError as error:
            name, (text, *_) = next(iter(error.odd.items()))
            raise StageError(no_number(name, text)) from error

    return transform, encoder.names


def as_read(values: pd.Series, *, text: bool) -> pd.Series:
    """Return a column as `read_frames` has it: numbers, or texts in which "" is a gap."""
    # Types of pandas' own can hold gaps among whole numbers.
    if not text and isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        return values
    gaps = values.isna().tolist()
    texts = ["" if gap else str(v) for v, gap in zip(values.tolist(), gaps, strict=True)]
    return pd.Series(texts, values.index, dtype=str)
