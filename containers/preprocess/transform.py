"""transform: raw tables as the model wants them."""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

import numpy as np
from coding import Encoded, encode, read_columns
from csv_tables import csv_rows, raw_days
from novelty import check_known
from stageframe import IN, OUT
from stageframe.csv_files import check_columns, csv_line, read_header

MAX_UNSEEN = 10_000  # texts of a column that are no category, and are kept


class Written(NamedTuple):
    """What there is to be known of a block of rows."""

    text: bytes
    rows: int
    known: np.ndarray
    """How many values of each column are known, int (columns,)."""
    unknown: np.ndarray
    """How many are not."""
    unseen: dict[str, Counter[str]]
    """Those that are not, of each column."""

    @classmethod
    def of(cls, block: Encoded) -> "Written":
        """Write a block."""
        known = (~np.isnan(block.x)).sum(axis=0)
        return cls(b"".join(csv_rows(block.x)), len(block.x), known, block.unknown, block.unseen)


def transform() -> dict[str, Any]:
    """Write data.csv, numeric as model/preprocess.json says; return the summary."""
    columns, days = read_columns(IN / "model" / "preprocess.json")
    names = [column["name"] for column in columns]
    tables = [day / "data.csv" for day in raw_days()]
    rows, known, unknown = 0, np.zeros(len(names), int), np.zeros(len(names), int)
    unseen, found = defaultdict[str, Counter[str]](Counter), set[str]()
    with (OUT / "data.csv").open("wb") as file:
        file.write(f"{csv_line(names)}\n".encode())
        for table in tables:
            header = read_header(table)
            check_columns(table, header, names)
            found.update(header)
            for block in encode(table, columns, Written.of):
                file.write(block.text)
                rows += block.rows
                known += block.known
                unknown += block.unknown
                for name, texts in block.unseen.items():
                    if len(unseen[name]) < MAX_UNSEEN:
                        unseen[name].update(texts)
    warnings = []
    for column, some, none in zip(columns, known.tolist(), unknown.tolist(), strict=True):
        warnings += check_known(column, days, some, none, unseen[column["name"]])
    for warning in warnings:
        print(f"warning: {warning}", flush=True)
    if extra := found.difference(names):
        print(f"warning: the model does not know the columns {sorted(extra)}: they are ignored")
    return {
        "rows": rows,
        "days": len(tables),
        "unseen_values": int(unknown.sum()),
        "ignored_columns": len(extra),
        **({"warnings": "; ".join(warnings)} if warnings else {}),
    }
