"""Where statements come from, which are refused, and that data and target belong together."""

import pytest
from harness import REPOSITORY, Input, Result, RunStage
from ingest.services import DAY
from pipeline import as_csv

DATA = "SELECT i AS x FROM range(3) t(i) ORDER BY i"
TARGET = "SELECT i % 2 AS late FROM range(3) t(i) ORDER BY i"


def run(run_stage: RunStage, **params: str) -> Result:
    return run_stage("ingest", "generate", inputs=None, date=DAY, **params)


def tables(result: Result) -> list[str]:
    return [(result.out / file).read_text() for file in ("data.csv", "target.csv")]


def test_two_statements_are_a_file_each(run_stage: RunStage) -> None:
    result = run(run_stage, data=DATA, target=TARGET)

    assert ["x\n0\n1\n2\n", "target\n0\n1\n0\n"] == tables(result)


def test_statements_may_be_files_and_know_the_day(run_stage: RunStage) -> None:
    files = {"query.sql": "-- {ds}\nSELECT '{ds}' AS day, 1 AS late, 'no; end' AS text;\n"}
    params = {"date": DAY, "target_column": "late"}
    result = run_stage("ingest", "generate", inputs={"sql": files}, **params)

    assert [f"day,text\n{DAY},no; end\n", "target\n1\n"] == tables(result)


def test_labels_may_come_later(run_stage: RunStage) -> None:
    result = run(run_stage, data=DATA)

    assert ["data.csv", "summary.json"] == sorted(path.name for path in result.out.iterdir())


def test_names_of_columns_are_kept_whatever_is_in_them(run_stage: RunStage) -> None:
    names = ["Größe, total (m²)", 'a "b"', "select", " c "]
    columns = ", ".join(
        f'{i} AS "{name.replace(chr(34), chr(34) * 2)}"' for i, name in enumerate(names)
    )
    result = run(run_stage, query=f"SELECT {columns}, 1 AS target")

    assert as_csv([names, ["0", "1", "2", "3"]]) == tables(result)[0]


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({}, 66, "--query"),
        ({"query": DATA, "data": DATA}, 64, "--query and --data"),
        ({"target": TARGET}, 64, "--target"),
        ({"query": "SELEC 1"}, 65, "SELEC"),
        ({"query": "SELECT 1; SELECT 2"}, 65, "2 statements"),
        ({"query": "COPY (SELECT 1) TO '/out/data.csv'"}, 65, "COPY"),
        ({"query": "ATTACH '/out/x.db'"}, 65, "ATTACH"),
        ({"query": "INSTALL excel"}, 65, "SELECT"),
        ({"query": "SELECT random() AS x, 1 AS target"}, 65, "random"),
        ({"query": "SELECT 1 AS x, 1 AS target WHERE now() > '{ds}'"}, 65, "now"),
        ({"query": "SELECT i AS x FROM range(9) t(i) USING SAMPLE 3"}, 65, "seed"),
        ({"query": "SELECT none FROM range(3)"}, 65, "none"),
        ({"query": "SELECT *, 1 AS target FROM 'source/none.csv'"}, 66, "source/none.csv"),
        ({"query": "FROM 'source/none'"}, 65, "read_csv"),
        ({"query": "SELECT content AS x, 1 AS target FROM read_text('/etc/passwd')"}, 65, "/in"),
        ({"query": DATA}, 65, "'target'"),
        ({"query": "SELECT 1 AS target"}, 65, "no column"),
        ({"query": "SELECT 1 AS x, 2 AS X, 1 AS target"}, 65, "two columns"),
        ({"query": "SELECT 1 AS x, 1 AS target, 2 AS y", "target_column": "y"}, 65, "'target'"),
        ({"query": "SELECT i AS x, nullif(i, 1) AS target FROM range(3) t(i)"}, 65, "1 of 3 rows"),
        ({"data": DATA, "target": f"{TARGET} LIMIT 2"}, 65, "3 rows and --target 2"),
        ({"data": DATA, "target": TARGET.partition(" ORDER")[0]}, 65, "ORDER BY"),
        ({"data": "SELECT 1 AS target"}, 65, "'target'"),
        ({"data": DATA, "target": "SELECT i, 1 FROM range(3) t(i) ORDER BY i"}, 65, "2 columns"),
    ],
    ids=str,
)
def test_what_cannot_be_right_is_refused_with_a_sentence(
    run_stage: RunStage, params: dict[str, str], code: int, words: str
) -> None:
    result = run(run_stage, **params)

    assert (code, 1) == (result.code, len(result.stderr.splitlines()))
    assert words in result.last_error
    assert [] == [path.name for path in result.out.iterdir()]


def test_the_statement_of_the_docs_does_what_they_say(run_stage: RunStage) -> None:
    page = (REPOSITORY / "docs/ingest.md").read_text("utf-8")
    statement = page.partition("shop/sql/query.sql -->\n```sql\n")[2].partition("```")[0]
    delivered = "customer;price;ordered;returned\n007;1.234,50;06.01.2013;yes\n8;1;05.01.2013;no\n"
    inputs: dict[str, Input] = {"sql": {"query.sql": statement}, "source": {"a.csv": delivered}}
    params = {"date": DAY, "target_column": "returned"}
    result = run_stage("ingest", "generate", inputs=inputs, **params)
    expected = f"customer,price,ordered,weekday\n007,1234.50,{DAY},0\n"

    assert [expected, "target\ntrue\n"] == tables(result)
