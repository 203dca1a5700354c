"""transform: raw tables as the model wants them."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from coding import encode, read_columns
from csv_tables import csv_line, csv_lines, raw_days
from novelty import check_known
from stageframe import IN, OUT
from stageframe.csv_files import check_columns, read_header


def transform() -> dict[str, Any]:
    """Write data.csv, numeric as model/preprocess.json says; return the summary."""
    columns, days = read_columns(IN / "model" / "preprocess.json")
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
