"""Columns of a result: what is wrong with them, and the text of each of their values.

What a value is as a text is the contract's (docs/contract.md, Tables): numbers read back the same,
decimals keep their digits, dates and times are ISO 8601, those with a zone are in UTC.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stageframe import StageError

FLOATS = ("FLOAT", "DOUBLE")
TEXTS = ("VARCHAR", "UUID", "ENUM")
TIMES = ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS")
ZONED = "TIMESTAMP WITH TIME ZONE"
AS_THEY_ARE = (
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "BIGNUM", "DECIMAL"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "NULL"),
    *("DATE", "TIME", "TIME_NS", "TIME WITH TIME ZONE"),
)
# What has no text that a model could learn from, and what to write instead.
INSTEAD = {
    "STRUCT": "name its fields as columns: {0}.field",
    "JSON": "name its values as columns: {0} ->> '$.key'",
    "MAP": "name its values as columns: {0}['key']",
    "LIST": "name its values as columns: {0}[1], or make one of them: list_sum({0})",
    "BLOB": "write it as a text: hex({0})",
    "BIT": "write it as a text: {0}::VARCHAR",
    "INTERVAL": "write it as seconds: epoch({0})",
}


class Column(NamedTuple):
    """A column of a result; it is kept as c0, c1, … as names may be anything."""

    place: int
    name: str
    type: str

    @property
    def kept(self) -> str:
        """The name of the column that it is kept in."""
        return f"c{self.place}"

    @property
    def kind(self) -> str:
        """Its type without what is in brackets: DECIMAL of DECIMAL(10,2), LIST of INTEGER[]."""
        if self.type.endswith("]"):
            return "LIST"
        return self.type.partition("(")[0].strip('"')


def check_columns(where: str, columns: Sequence[Column]) -> None:
    """Raise StageError (65) if a name or a type is one that no table may have."""
    names = [column.name.lower() for column in columns]  # to SQL, Day and day are one name
    for column in columns:
        if not column.name.strip():
            raise StageError(f"{where}: column {column.place + 1} has no name: give it one by AS")
        if names.count(column.name.lower()) > 1:
            raise StageError(f"{where}: two columns are called {column.name!r}: rename one by AS")
        if "\0" in column.name or column.name.startswith("\ufeff"):
            raise StageError(f"{where}: column {column.name!r} is no name: rename it by AS")
        if column.kind not in (*FLOATS, *TEXTS, *TIMES, ZONED, *AS_THEY_ARE):
            instead = INSTEAD.get(column.kind, "write it as a text: {0}::VARCHAR")
            raise StageError(
                f"{where}: column {column.name!r} is a {column.kind}, which no table can hold: "
                + instead.format(column.name)
            )


def text_of(column: Column) -> str:
    """Return the SQL of the column's values as texts; what is missing is NULL."""
    kept = column.kept
    if column.kind in FLOATS:
        return f"CASE WHEN NOT isnan({kept}) THEN {kept}::VARCHAR END"
    if column.kind in TEXTS:
        return f"nullif({kept}::VARCHAR, '')"
    if column.kind in TIMES:
        return f"replace({kept}::VARCHAR, ' ', 'T')"
    if column.kind == ZONED:
        return f"replace(({kept} AT TIME ZONE 'UTC')::VARCHAR, ' ', 'T') || 'Z'"
    return f"{kept}::VARCHAR"


def odd(column: Column) -> tuple[str, str]:
    """Return the SQL that finds values which no table may hold, "" if there are none; and why."""
    kept = column.kept
    if column.kind in FLOATS:
        return f"isinf({kept})", "is infinite: leave it out, or make it NULL"
    if column.kind in TEXTS:
        return f"contains({kept}::VARCHAR, chr(0))", "holds a NUL: replace(…, chr(0), '')"
    if column.kind in ("DATE", *TIMES, ZONED):
        day = f"{kept} AT TIME ZONE 'UTC'" if column.kind == ZONED else kept
        return (
            f"NOT coalesce(isfinite({kept}) AND year({day}) BETWEEN 1 AND 9999, true)",
            "is outside the years 1 to 9999: leave it out, or make it NULL",
        )
    return "", ""


def missing(column: Column) -> str:
    """Return the SQL that finds values which are no class: missing, or blank."""
    return f"coalesce(trim({text_of(column)}), '') = ''"


def rounded(column: Column) -> str:
    """Return the SQL, over all rows, of whether these are whole numbers too long for their type.

    A reader that guesses takes ids of 20 digits for DOUBLE, which keeps 15 of them.
    """
    value, whole = column.kept, f"{column.kept} = trunc({column.kept})"
    if column.kind != "DOUBLE":
        return "false"
    return f"coalesce(bool_and({whole}) AND max(abs({value})) BETWEEN {2**53} AND 1e25, false)"
