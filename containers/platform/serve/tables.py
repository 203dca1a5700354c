"""The rows of a request, in the forms that MLflow's scoring protocol has.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from faults import AnswerError, bad_request

Columns = dict[str, Sequence[Any]]
"""Values by the names of their columns, as they were sent: texts, numbers, bool, or None."""

VALUES = {str, int, float, bool, type(None)}
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_table(media_type: str, body: bytes) -> Columns:
    """Return the rows of a body. Raises AnswerError (400, or 415 for another kind of body)."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return read_object(body)
    if kind == "text/csv":
        return read_csv(body)
    given = f"is {kind!r}" if kind else "is not set"
    raise AnswerError(415, f"Content-Type {given}: send application/json or text/csv")


def read_object(body: bytes) -> Columns:
    """Return the rows of a JSON object. Raises AnswerError."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise bad_request(f"The body is no JSON object with one of {', '.join(FORMS)}")
    if content.get("params"):
        raise bad_request("The model has no params: leave them out")
    given = content.keys() - {"params"}
    if len(given) != 1 or not given <= set(FORMS):
        named = ", ".join(sorted(given)) or "nothing"
        raise bad_request(f"The body has {named}: it must have one of {', '.join(FORMS)}")
    (form,) = given
    rows = content[form]
    if form == "dataframe_split":
        columns = from_split(rows)
    elif form == "inputs" and isinstance(rows, dict):
        columns = from_columns(rows)
    else:
        columns = from_records(form, rows)
    for name, values in columns.items():
        if not VALUES.issuperset(map(type, values)):
            raise bad_request(f"The column {name!r} holds a list or an object, not a value a row")
    return columns


def from_split(split: Any) -> Columns:
    """Return the columns of names and rows. Raises AnswerError."""
    names, rows = (split.get(k) for k in ("columns", "data")) if type(split) is dict else (0, 0)
    if type(names) is not list or type(rows) is not list or {str}.union(map(type, names)) != {str}:
        raise bad_request(
            'dataframe_split must be an object such as {"columns": ["a", "b"], "data": [[1, 2]]}'
        )
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise bad_request(f"dataframe_split has the columns {twice} twice: leave one of each")
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != len(names):
            raise bad_request(
                f"Row {number} of dataframe_split is no list of {len(names)} values, as many as "
                "there are columns"
            )
    return dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))


def from_columns(columns: Mapping[str, Any]) -> Columns:
    """Return columns, once all are lists of one length. Raises AnswerError."""
    if any(type(values) is not list for values in columns.values()):
        raise bad_request('inputs must be lists of values by column, such as {"a": [1, 2]}')
    if len(lengths := {len(values) for values in columns.values()}) > 1:
        raise bad_request(f"inputs has columns of different lengths: {sorted(lengths)}")
    return {**columns}


def from_records(form: str, rows: Any) -> Columns:
    """Return the columns of rows that name their values. Raises AnswerError."""
    if type(rows) is not list or {dict}.union(map(type, rows)) != {dict}:
        raise bad_request(
            f'{form} must be a list of objects that name their values, such as [{{"a": 1, "b": 2}}]'
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def read_csv(body: bytes) -> Columns:
    """Return the rows of a table like data.csv, all texts. Raises AnswerError."""
    try:
        text = body.decode("utf-8-sig")
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8: write the CSV in it") from None
    except csv.Error as error:
        raise bad_request(f"The body is no CSV: {error}") from None
    except ValueError:
        raise bad_request("The body is empty: send CSV with a header") from None
    # A line of nothing is a gap where there is one column, and no row where there are more.
    rows = [row or [""] for row in rows] if len(header) == 1 else [row for row in rows if row]
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise bad_request(f"The header has the columns {twice} twice: leave one of each")
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise bad_request(f"Row {number} has {len(row)} fields, the header {len(header)}")
    return dict(zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True))
