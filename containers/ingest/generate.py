"""generate: run the statements, and write what they yield as data.csv and target.csv."""

import datetime
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from columns import Column, check_columns, missing, odd, rounded, text_of
from database import open_database
from duckdb import DuckDBPyConnection
from faults import explained
from sql import identifier, literal
from stageframe import OUT, StageError
from statements import Statement, check_statements, find_statements

TARGET = "target"
CSV = "FORMAT csv, HEADER, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '', USE_TMP_FILE false"


class Result(NamedTuple):
    """What a statement yielded, kept in a table: on the disk, where memory does not hold it."""

    where: str
    table: str
    columns: list[Column]
    rows: int


def generate(
    date: datetime.date, query: str, target_column: str, data: str, target: str
) -> dict[str, Any]:
    """Write data.csv and, unless there is a statement for the data alone, target.csv.

    Returns the summary. Raises StageError.
    """
    statements = find_statements(date, {"query": query, "data": data, "target": target})
    text = "\n".join(one.sql for one in statements.values())
    with explained(os.environ), open_database(text, os.environ) as connection:
        statements = check_statements(connection, statements)
        results = {part: keep(connection, part, one) for part, one in statements.items()}
        query_result = results.get("query")
        columns, labels = apart(query_result, target_column) if query_result else together(results)
        summary = {"date": str(date), "rows": columns.rows, "columns": len(columns.columns)}
        if labels:
            summary["classes"] = write_target(connection, labels)
        write(connection, "data.csv", columns)
    print(f"{date}: {columns.rows} rows, {len(columns.columns)} columns")
    return summary


def keep(connection: DuckDBPyConnection, part: str, one: Statement) -> Result:
    """Run a statement once, and keep its rows in their order."""
    with explained(os.environ, one.name):
        described = connection.execute(f"DESCRIBE {one.sql}").fetchall()
        columns = [Column(place, name, kind) for place, (name, kind, *_) in enumerate(described)]
        check_columns(one.name, columns)
        names = ", ".join(column.kept for column in columns)
        connection.execute(f"CREATE TEMP TABLE {part}_rows({names}) AS {one.sql}")
    (rows,) = connection.execute(f"SELECT count(*) FROM {part}_rows").fetchall()[0]
    result = Result(one.name, f"{part}_rows", columns, rows)
    refuse_odd_values(connection, result)
    return result


def refuse_odd_values(connection: DuckDBPyConnection, result: Result) -> None:
    """Raise StageError (65) that names the first column with values that no table may hold."""
    tests = ", ".join(["count(*)", *map(rounded, result.columns)])
    _, *lost = connection.execute(f"SELECT {tests} FROM {result.table}").fetchall()[0]
    for column, is_lost in zip(result.columns, lost, strict=True):
        if is_lost:
            raise StageError(
                f"{result.where}: column {column.name!r} is of whole numbers beyond 2^53 that were "
                "read as DOUBLE, without their last digits: read it as a text, such as read_csv(…, "
                f"types = {{'{column.name}': 'VARCHAR'}}), or as DECIMAL"
            )
        condition, what = odd(column)
        if condition and (count := count_where(connection, result, condition)):
            raise StageError(
                f"{result.where}: column {column.name!r} {what} ({count[0]} of {result.rows} rows, "
                f"first row {count[1]})"
            )


def count_where(
    connection: DuckDBPyConnection, result: Result, condition: str
) -> tuple[int, int] | None:
    """Return how many rows are so, and the first of them, from 1; None if no row is."""
    select = f"SELECT count(*), min(rowid) + 1 FROM {result.table} WHERE {condition}"
    rows, first = connection.execute(select).fetchall()[0]
    return (rows, first) if rows else None


def apart(result: Result, name: str) -> tuple[Result, Result | None]:
    """Return the data and the target of a query. Raises StageError (65)."""
    labels = [column for column in result.columns if column.name == name]
    others = [column for column in result.columns if column.name != name]
    if not labels:
        names = ", ".join(column.name for column in result.columns)
        raise StageError(
            f"{result.where} has no column {name!r}, but {names[:150]}: name the target by "
            "--target-column, or use --data where there is none"
        )
    return checked_data(result._replace(columns=others)), result._replace(columns=labels)


def together(results: dict[str, Result]) -> tuple[Result, Result | None]:
    """Return the data and the target of two statements. Raises StageError (65)."""
    data, labels = checked_data(results["data"]), results.get("target")
    if labels and len(labels.columns) != 1:
        raise StageError(
            f"{labels.where} yields {len(labels.columns)} columns: select the target alone"
        )
    if labels and labels.rows != data.rows:
        raise StageError(
            f"{data.where} yields {data.rows} rows and {labels.where} {labels.rows}: select the "
            "same rows in both, or write one --query for both"
        )
    return data, labels


def checked_data(result: Result) -> Result:
    """Return columns that may be data. Raises StageError (65)."""
    if not result.columns:
        raise StageError(f"{result.where} yields no column besides the target: select some")
    if TARGET in [column.name for column in result.columns]:
        raise StageError(
            f"{result.where}: the data has a column {TARGET!r}, which is target.csv's: rename it, "
            "leave it out, or write a --query with --target-column target"
        )
    return result


def write_target(connection: DuckDBPyConnection, result: Result) -> int:
    """Write target.csv; return how many classes it has. Raises StageError (65)."""
    (column,) = result.columns
    if count := count_where(connection, result, missing(column)):
        raise StageError(
            f"{result.where}: the target {column.name!r} is missing in {count[0]} of {result.rows} "
            f"rows, first in row {count[1]}: leave these rows out (WHERE … IS NOT NULL)"
        )
    write(connection, "target.csv", result._replace(columns=[column._replace(name=TARGET)]))
    select = f"SELECT count(DISTINCT {column.kept}) FROM {result.table}"
    return int(connection.execute(select).fetchall()[0][0])


def write(connection: DuckDBPyConnection, file: str, result: Result) -> None:
    """Write columns of a result as a table."""
    select = ", ".join(cells(result.columns))
    path = literal(str(OUT / file))
    connection.execute(f"COPY (SELECT {select} FROM {result.table}) TO {path} ({CSV})")


def cells(columns: Sequence[Column]) -> list[str]:
    """Return the SQL of each column as it is written."""
    texts = [text_of(column) for column in columns]
    if len(texts) == 1:  # a line with nothing on it would be no row: the empty field is quoted
        texts = [f"coalesce({texts[0]}, '')"]
    return [
        f"{text} AS {identifier(column.name)}" for text, column in zip(texts, columns, strict=True)
    ]
