"""What is read, and what its values are as texts.

pyarrow_26.parquet was written by pyarrow 26.0.1: six rows in two groups, with gaps, of

    id int64 from 2^53 + 1, price decimal128(20, 2), ratio float64, small float32,
    sold timestamp[us], seen timestamp[ms, Europe/Berlin], day date32, open bool,
    city a dictionary of strings, late int8
"""

import gzip
from collections.abc import Mapping

import pytest
from harness import Engine, Input, Result, RunStage
from ingest.services import DAY, SALES

from microstage.table import Limits

PARQUET = """\
id,price,ratio,small,sold,seen,day,open,city
9007199254740993,1.50,0.1,0.1,2013-01-06T14:35:00.12,2013-01-06T12:35:00Z,2013-01-06,true,Köln
9007199254740994,0.01,0.3333333333333333,,2013-01-06T14:35:00.12,2013-01-06T12:35:00Z,2013-01-06,\
false,"a,b"
9007199254740995,-12345678901234567.89,,1.0,2013-01-06T14:35:00.12,2013-01-06T12:35:00Z,2013-01-06,\
,"q""x"
9007199254740996,,,2.0,2013-01-06T14:35:00.12,2013-01-06T12:35:00Z,2013-01-06,true,
9007199254740997,3.00,5e-324,3.0,,2013-01-06T12:35:00Z,2013-01-06,false,
9007199254740998,2.10,1e+300,4.0,2013-01-06T00:00:00,2013-01-06T12:35:00Z,,true,"two
lines"
"""
MEMORY = 256 * 2**20


def query(run_stage: RunStage, sql: str, files: Mapping[str, str | bytes] | None = None) -> Result:
    inputs: dict[str, Input] = {"source": files} if files else {}
    return run_stage("ingest", "generate", inputs=inputs, date=DAY, query=sql)


def test_types_of_parquet_survive(run_stage: RunStage) -> None:
    inputs: dict[str, Input] = {"source": {f"{DAY}.parquet": SALES}}
    params = {"query": "FROM 'source/{ds}.parquet'", "target_column": "late"}
    result = run_stage("ingest", "generate", inputs=inputs, date=DAY, **params)

    assert PARQUET == (result.out / "data.csv").read_text("utf-8")
    assert "target\n1\n0\n1\n0\n1\n0\n" == (result.out / "target.csv").read_text()
    assert {"date": DAY, "rows": 6, "columns": 9, "classes": 2} == result.summary


SEMICOLONS = "id;price;day;target\n1;1.234,50;06.01.2013;yes\n2;0,99;;no\n"
OPTIONS = "decimal_separator = ',', thousands = '.', dateformat = '%d.%m.%Y'"


@pytest.mark.parametrize(
    ("sql", "content", "expected"),
    [
        pytest.param(
            f"FROM read_csv('source/file', {OPTIONS})",
            SEMICOLONS.encode(),
            "id,price,day\n1,1234.5,2013-01-06\n2,0.99,\n",
            id="semicolons and decimal commas",
        ),
        pytest.param(
            "FROM read_csv('source/file', types = {'zip': 'VARCHAR'})",
            b"id\tzip\ttarget\r\n1\t00123\t0\r\n2\t\t1\r\n",
            "id,zip\n1,00123\n2,\n",
            id="tabs, CRLF and codes",
        ),
        pytest.param(
            "FROM read_csv('source/file', encoding = 'utf-16')",
            "city,target\nKöln,1\n".encode("utf-16"),
            "city\nKöln\n",
            id="UTF-16",
        ),
        pytest.param(
            "FROM read_csv('source/file', compression = 'gzip')",
            gzip.compress(b"a,b,target\n1,,0\n"),
            "a,b\n1,\n",
            id="gzip",
        ),
        pytest.param(
            "SELECT a, b.c, target FROM read_json('source/file')",
            b'{"a": 1.5, "b": {"c": true}, "target": 1}\n{"a": null, "b": {}, "target": 0}\n',
            "a,c\n1.5,true\n,\n",
            id="JSON lines",
        ),
    ],
)
def test_files_are_read_in_their_dialect(
    run_stage: RunStage, sql: str, content: bytes, expected: str
) -> None:
    result = query(run_stage, sql, {"file": content})

    assert expected == (result.out / "data.csv").read_text("utf-8")


def test_the_files_of_a_pattern_are_read_in_the_order_of_their_names(run_stage: RunStage) -> None:
    files = {f"{name}.csv": f"part,target\n{name},1\n" for name in "cbda"}
    result = query(run_stage, "FROM 'source/*.csv'", files)

    assert "part\na\nb\nc\nd\n" == (result.out / "data.csv").read_text()


def test_a_gap_in_a_single_column_is_a_row_that_can_be_seen(run_stage: RunStage) -> None:
    sql = "SELECT x, 1 AS target FROM (VALUES ('a'), (NULL), ('')) AS t(x)"
    result = query(run_stage, sql)

    assert 'x\na\n""\n""\n' == (result.out / "data.csv").read_text()


def test_a_day_may_have_no_rows(run_stage: RunStage) -> None:
    result = query(run_stage, "SELECT 1 AS x, 1 AS target WHERE false")
    tables = [(result.out / file).read_text() for file in ("data.csv", "target.csv")]

    assert ["x\n", "target\n"] == tables
    assert 0 == result.summary["rows"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("[1]", "LIST"),
        ("{'a': 1}", "STRUCT"),
        ("MAP {'a': 1}", "MAP"),
        ("'{}'::JSON", "JSON"),
        ("'a'::BLOB", "hex(x)"),
        ("INTERVAL 1 DAY", "epoch(x)"),
        ("1 / 0", "infinite (1"),
        ("'infinity'::TIMESTAMP", "1 to 9999"),
        ("'a' || chr(0)", "NUL"),
        ("12345678901234567890::DOUBLE", "2^53"),
    ],
)
def test_what_no_table_can_hold_is_refused_with_its_column(
    run_stage: RunStage, column: str, words: str
) -> None:
    result = query(run_stage, f"SELECT {column} AS x, 1 AS target")

    assert 65 == result.code
    assert all(word in result.last_error for word in ("'x'", words.partition(" (")[0]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,target\n1,\xff\n", ["source/file", "utf-8"]),
        (b"a,target\n" + b"1,1\n" * 30_000 + b"no password,1\n", ["source/file", "30002", '"a"']),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    run_stage: RunStage, content: bytes, words: list[str]
) -> None:
    result = query(run_stage, "FROM read_csv('source/file')", {"file": content})

    assert (65, 1) == (result.code, len(result.stderr.splitlines()))
    assert [] == [word for word in words if word not in result.last_error]


def test_a_table_larger_than_memory_is_sorted(engine: Engine) -> None:
    columns = "hash(i) AS a, repeat(md5(i::VARCHAR), 6) AS b, i % 2 AS target"
    sql = f"SELECT {columns} FROM range(1_300_000) AS t(i) ORDER BY a"  # noqa: S608 - no input
    command = ["generate", "--date", DAY, "--query", sql]
    result = engine.run("ingest", command, limits=Limits(1, MEMORY, 64, 120))

    assert (0, 1_300_000) == (result.code, result.summary["rows"])
    assert (result.out / "data.csv").stat().st_size > MEMORY
    assert {"data.csv", "summary.json", "target.csv"} == {
        path.name for path in result.out.iterdir()
    }


def test_the_same_rows_come_in_the_same_order_on_any_number_of_cores(engine: Engine) -> None:
    columns = "i % 997 AS a, sum(1 / (i + 1)) AS b, 1 AS target"
    sql = f"SELECT {columns} FROM range(1_000_000) AS t(i) GROUP BY a"  # noqa: S608 - no input
    command = ["generate", "--date", DAY, "--query", sql]
    one, two = (
        (engine.run("ingest", command, limits=Limits(cpus, 2**30, 64, 120)).out / "data.csv")
        for cpus in (1, 2)
    )

    assert one.read_bytes() == two.read_bytes()
