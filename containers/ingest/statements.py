"""The statements of a run: where they come from, and whether each is one that can be repeated."""

import datetime
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection, StatementType
from faults import explained
from stageframe import IN, INPUT_MISSING, WRONG_USAGE, StageError

FOLDER = IN / "sql"
PARTS = ("query", "data", "target")
# These are read as columns where no column is called so.
CLOCKS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
SAMPLE = "a sample without a seed"
VOLATILE = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"


class Statement(NamedTuple):
    """A statement, and what the user calls it: --query, or sql/query.sql."""

    name: str
    sql: str


Statements = dict[str, Statement]  # of PARTS: query alone, data and target, or data alone


def find_statements(day: datetime.date, given: dict[str, str]) -> Statements:
    """Return the statements of the command line or, if it has none, of sql/, with {ds} filled.

    Raises StageError: 64 for parts that do not go together, 66 if there is no statement.
    """
    found = {part: Statement(f"--{part}", given[part]) for part in PARTS if given[part]}
    if not found:
        files = {part: FOLDER / f"{part}.sql" for part in PARTS}
        there = {part: path for part, path in files.items() if path.is_file()}
        found = {p: Statement(f"sql/{p}.sql", _text(path)) for p, path in there.items()}
    if not found:
        raise StageError(
            "There is no statement: give --query or --data, or put sql/query.sql below /in",
            INPUT_MISSING,
        )
    names = [statement.name for statement in found.values()]
    if "query" in found and len(found) > 1:
        raise StageError(f"{' and '.join(names)} do not go together: keep one", WRONG_USAGE)
    if list(found) == ["target"]:
        raise StageError(f"{names[0]} needs a statement for the data beside it", WRONG_USAGE)
    return {
        part: Statement(name, sql.replace("{ds}", str(day))) for part, (name, sql) in found.items()
    }


def _text(path: Any) -> str:
    try:
        return str(path.read_text("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise StageError(f"sql/{path.name} is not UTF-8: save it as UTF-8") from error


def check_statements(connection: DuckDBPyConnection, statements: Statements) -> Statements:
    """Return each as the one SELECT that it is. Raises StageError (65) for anything else."""
    checked = {part: _only_select(connection, one) for part, one in statements.items()}
    trees = {part: _tree(connection, one) for part, one in checked.items()}
    volatile = {name for (name,) in connection.execute(VOLATILE).fetchall()}
    for part, tree in trees.items():
        if called := sorted({*_named(tree)} & (volatile | CLOCKS | {SAMPLE})):
            raise StageError(
                f"{checked[part].name} uses {called[0]}, which is another one in each run: write "
                "'{ds}' for the day, REPEATABLE (1) after a sample"
            )
    unordered = [checked[part].name for part, tree in trees.items() if not _is_ordered(tree)]
    if len(checked) > 1 and unordered:
        raise StageError(
            f"{unordered[0]} has no ORDER BY at its end, so its rows may belong to others: end "
            "both statements with the same one, or write one --query for both"
        )
    return checked


def _only_select(connection: DuckDBPyConnection, one: Statement) -> Statement:
    with explained(os.environ, one.name):
        found = connection.extract_statements(one.sql)
    if len(found) != 1:
        raise StageError(
            f"{one.name} holds {len(found) or 'no'} statements, not one: write a single SELECT "
            "(a PIVOT needs its values: IN (…))"
        )
    if found[0].type != StatementType.SELECT:
        raise StageError(
            f"{one.name} is a statement {found[0].type.name}: write a SELECT, which only reads"
        )
    return Statement(one.name, found[0].query.strip().rstrip(";"))


def _tree(connection: DuckDBPyConnection, one: Statement) -> dict[str, Any]:
    row = connection.execute("SELECT json_serialize_sql(?)", [one.sql]).fetchone()
    read: dict[str, Any] = json.loads(row[0]) if row else {}
    if read.get("error", True):
        raise StageError(f"{one.name} is no SELECT: write one that yields a table")
    node: dict[str, Any] = read["statements"][0]["node"]
    return node


def _named(node: Any) -> Iterator[str]:
    """Yield what a statement uses: functions, clocks without brackets, samples without a seed."""
    if isinstance(node, list):
        for each in node:
            yield from _named(each)
    elif isinstance(node, dict):
        if node.get("function_name"):
            yield f"{node['function_name']}".lower()
        if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
            yield from CLOCKS & {node["column_names"][0].lower()}
        if (node.get("sample") or {}).get("seed") == -1:
            yield SAMPLE
        for each in node.values():
            yield from _named(each)


def _is_ordered(tree: dict[str, Any]) -> bool:
    return any(modifier["type"] == "ORDER_MODIFIER" for modifier in tree["modifiers"])
