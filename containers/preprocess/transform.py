"""transform: raw tables as the model wants them."""

from collections import Counter, defaultdict
from contextlib import suppress
from datetime import datetime
from typing import Any

import numpy as np
from coding import encode, read_columns
from csv_tables import csv_line, csv_lines, raw_days
from stageframe import IN, OUT, StageError
from stageframe.csv_files import check_columns, read_header

FEW = 10  # values tell nothing of their column
KNOWN = 0.05  # share of a column's values that a model has to know at least


def transform() -> dict[str, Any]:
    """Write data.csv, numeric as model/preprocess.json says; return the summary."""
    columns = read_columns(IN / "model" / "preprocess.json")
    names = [column["name"] for column in columns]
    tables = [day / "data.csv" for day in raw_days()]
    rows, known, unknown = 0, np.zeros(len(names), int), np.zeros(len(names), int)
    unseen, found = defaultdict[str, Counter[str]](Counter), set[str]()
    with (OUT / "data.csv").open("wb") as file:
        file.write(csv_line(names) + b"\n")
        for table in tables:
            header = read_header(table)
            check_columns(table, header, names)
            found.update(header)
            for x, new in encode(table, columns, unseen):
                file.write(b"\n".join([*csv_lines(x), b""]))
                rows += len(x)
                known += (~np.isnan(x)).sum(axis=0)
                unknown += new
    for column, some, none in zip(columns, known.tolist(), unknown.tolist(), strict=True):
        check_known(column, some, none, unseen[column["name"]])
    if extra := found.difference(names):
        print(f"warning: the model does not know the columns {sorted(extra)}: they are ignored")
    return {
        "rows": rows,
        "days": len(tables),
        "unseen_values": int(unknown.sum()),
        "ignored_columns": len(extra),
    }


def check_known(column: dict[str, Any], known: int, unknown: int, unseen: Counter[str]) -> None:
    """Raise StageError (65) for a column of categories of which nearly nothing is known any more.

    known, unknown: how many values are a category, and none; unseen: some of the latter. Values
    that hardly ever come again, such as names of people, are new by nature; and one value in all
    rows may be that of the day.
    """
    if unknown < FEW or known >= KNOWN * (known + unknown) or len(unseen) == 1:
        return
    if column["kind"] == "numeric" or is_fickle(column) or all(map(is_time, unseen)):
        return
    values = " and ".join(repr(text[:50]) for text, _ in unseen.most_common(2))
    usual = " and ".join(repr(text[:50]) for text in column["categories"][:2])
    raise StageError(
        f"raw, data.csv: of {known + unknown} values of column {column['name']!r} the model knows"
        f" {known}: {values} are not among those that it has learned, such as {usual}: spell them"
        " as then, or train on them"
    )


def is_time(text: str) -> bool:
    """Return whether a text is a day or a time, as ISO 8601 has it: new by nature."""
    with suppress(ValueError):
        datetime.fromisoformat(text.strip())
        return True
    return False


def is_fickle(column: dict[str, Any]) -> bool:
    """Return whether the values of a column of categories hardly came twice at fit."""
    profile = column.get("profile", {})
    counts, other = profile.get("counts", []), profile.get("other", 0)
    return bool(counts) and (sum(counts) < 3 * len(counts) or other > sum(counts))
