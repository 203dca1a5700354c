"""transform: raw tables as the model wants them."""

from typing import Any

from coding import encode, read_columns
from csv_tables import csv_line, csv_lines, raw_days
from stageframe import IN, OUT
from stageframe.csv_files import check_columns, read_header


def transform() -> dict[str, Any]:
    """Write data.csv, numeric as model/preprocess.json says; return the summary."""
    columns = read_columns(IN / "model" / "preprocess.json")
    names = [column["name"] for column in columns]
    tables = [day / "data.csv" for day in raw_days()]
    rows, unseen, found = 0, 0, set[str]()
    with (OUT / "data.csv").open("wb") as file:
        file.write(csv_line(names) + b"\n")
        for table in tables:
            header = read_header(table)
            check_columns(table, header, names)
            found.update(header)
            for x, unknown in encode(table, columns):
                file.write(b"\n".join([*csv_lines(x), b""]))
                rows += len(x)
                unseen += int(unknown.sum())
    if extra := found.difference(names):
        print(f"warning: the model does not know the columns {sorted(extra)}: they are ignored")
    return {
        "rows": rows,
        "days": len(tables),
        "unseen_values": unseen,
        "ignored_columns": len(extra),
    }
