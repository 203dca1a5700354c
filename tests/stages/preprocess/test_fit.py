"""What fit learns of columns and classes, and what it makes of the values."""

import csv
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from harness import Input, Result, RunStage

DAY = "raw/2013-01-01"
Columns = Mapping[str, Sequence[str]]


def csv_of(columns: Columns) -> str:
    rows = [columns, *zip(*columns.values(), strict=True)]
    return "".join(",".join(row) + "\n" for row in rows)


def raw(columns: Columns, target: Sequence[str] | None = None) -> dict[str, str]:
    rows = len(next(iter(columns.values())))
    labels = target or (["0", "1"] * rows)[:rows]
    return {"data.csv": csv_of(columns), "target.csv": csv_of({"target": labels})}


def columns_of(result: Result) -> dict[str, list[str]]:
    with (result.out / "train_data.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def fitted(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((result.out / "preprocess.json").read_text("utf-8"))
    return content


def written(result: Result) -> dict[str, bytes]:
    assert (0, "") == (result.code, result.last_error)
    return {path.name: path.read_bytes() for path in result.out.iterdir()}


def test_columns_are_numeric_or_categorical(run_stage: RunStage) -> None:
    columns = {
        "number": ["1", "-2.5", "", "1e3"],
        "word": ["b", "a", "", "b"],
        "truth": ["True", "False", "True", ""],
        "empty": ["", "", "", ""],
    }
    result = run_stage("preprocess", "fit", inputs={DAY: raw(columns)})

    assert [
        {"name": "number", "kind": "numeric"},
        {"name": "word", "kind": "categorical", "categories": ["a", "b"]},
        {"name": "truth", "kind": "categorical", "categories": ["False", "True"]},
        {"name": "empty", "kind": "numeric"},
    ] == [column for column in fitted(result)["columns"] if column.pop("profile")]
    assert {
        "number": ["1", "-2.5", "", "1000"],
        "word": ["1", "0", "", "1"],
        "truth": ["1", "0", "1", ""],
        "empty": ["", "", "", ""],
        "target": ["0", "1", "0", "1"],
    } == columns_of(result)


@pytest.mark.parametrize("missing", ["", "NA", "N/A", "nan", "NaN", "NULL", "null"])
def test_what_people_write_for_a_missing_number_is_missing(
    run_stage: RunStage, missing: str
) -> None:
    result = run_stage(
        "preprocess", "fit", inputs={DAY: raw({"x": ["1", missing, "3"], "y": "abc"})}
    )

    assert ["1", "", "3"] == columns_of(result)["x"]


def test_na_among_texts_is_a_category(run_stage: RunStage) -> None:
    columns = {"continent": ["EU", "NA", "", "NA"]}
    result = run_stage("preprocess", "fit", inputs={DAY: raw(columns)})

    assert ["EU", "NA"] == fitted(result)["columns"][0]["categories"]


def test_numbers_stay_exactly_what_they_were(run_stage: RunStage) -> None:
    numbers = ["0.1", "0.30000000000000004", "1e-300", "9007199254740993", "1" + "0" * 30, "-0.0"]
    result = run_stage("preprocess", "fit", inputs={DAY: raw({"x": numbers})})

    assert [float(text) for text in numbers] == [float(text) for text in columns_of(result)["x"]]


def test_rare_categories_become_missing_the_first_by_name_stay(run_stage: RunStage) -> None:
    columns = {"word": ["c", "b", "a", "", "d", "d"]}
    result = run_stage("preprocess", "fit", inputs={DAY: raw(columns)}, max_categories=2)

    assert ["a", "d"] == fitted(result)["columns"][0]["categories"]
    assert ["", "", "0", "", "1", "1"] == columns_of(result)["word"]
    assert 2 == result.summary["rare_values"]


def test_numbers_that_are_names_keep_their_text(run_stage: RunStage) -> None:
    columns = {"post, code": ["01067", "1067", "01067", "80331"]}
    text = raw(columns) | {"data.csv": '"post, code"\n01067\n1067\n01067\n80331\n'}
    result = run_stage("preprocess", "fit", inputs={DAY: text}, categorical='"post, code"')

    assert ["01067", "80331"] == fitted(result)["columns"][0]["categories"]
    assert ["0", "0", "0", "1"] == columns_of(result)["post, code"]


@pytest.mark.parametrize(
    ("gates", "row", "says"),
    [
        (["1", "2", "2", "A4"], 4, "'A4', not a finite number, beside numbers such as '2'"),
        (["B4", "C4", "C4", "3"], 4, "'3', a number, beside texts such as 'C4'"),
        (["B4", "C4", "C4", "3%"], 4, "'3%', a number, beside texts such as 'C4'"),
        (["1%", "2%", "2%", "A4"], 4, "'A4', not a finite number, beside numbers such as '2%'"),
    ],
    ids=["few texts", "few numbers", "few of another dialect", "few texts, another dialect"],
)
def test_of_numbers_beside_texts_the_odd_one_is_named_and_the_way_out(
    run_stage: RunStage, gates: list[str], row: int, says: str
) -> None:
    refused = run_stage("preprocess", "fit", inputs={DAY: raw({"gate": gates})})
    accepted = run_stage(
        "preprocess", "fit", inputs={DAY: raw({"gate": gates})}, categorical="gate"
    )

    assert 65 == refused.code
    assert f"{DAY}/data.csv, row {row}: column 'gate' holds {says}" in refused.last_error
    assert "--categorical" in refused.last_error
    assert sorted({*gates}) == fitted(accepted)["columns"][0]["categories"]


def test_a_text_that_comes_late_is_found(run_stage: RunStage) -> None:
    # The file is read in blocks; the first holds numbers alone.
    gates = ["0007"] * 900_000 + ["A"]
    labels = ["0", "1"] * 450_000 + ["0"]
    refused = run_stage("preprocess", "fit", inputs={DAY: raw({"gate": gates}, labels)})

    assert 65 == refused.code
    assert "row 900001: column 'gate' holds 'A'" in refused.last_error


def test_an_unknown_name_in_categorical_is_wrong_usage(run_stage: RunStage) -> None:
    result = run_stage("preprocess", "fit", inputs={DAY: raw({"x": "12"})}, categorical="gate")

    assert 64 == result.code
    assert "'gate'" in result.last_error


@pytest.mark.parametrize(
    ("labels", "classes", "target"),
    [
        (["1.0", "0", "1"], ["0", "1"], ["1", "0", "1"]),
        (
            ["9007199254740993", "9007199254740992", "+01"],
            ["1", "9007199254740992", "9007199254740993"],
            ["9007199254740993", "9007199254740992", "1"],
        ),
        (["10", "2", "-1.5"], ["-1.5", "2", "10"], ["10", "2", "-1.5"]),
        (["True", "False", "True"], ["False", "True"], ["True", "False", "True"]),
        (["NA", "EU", "NA"], ["EU", "NA"], ["NA", "EU", "NA"]),
        (
            ['"say ""x"""', '"a, b"', "日本"],
            ["a, b", 'say "x"', "日本"],
            ['say "x"', "a, b", "日本"],
        ),
        (['"two\nlines"', "one", "one"], ["one", "two\nlines"], ["two\nlines", "one", "one"]),
    ],
)
def test_classes_are_the_labels(
    run_stage: RunStage, labels: list[str], classes: list[str], target: list[str]
) -> None:
    result = run_stage("preprocess", "fit", inputs={DAY: raw({"x": "123"}, labels)})

    assert classes == fitted(result)["classes"]
    assert target == columns_of(result)["target"]


def test_a_text_among_numeric_labels_is_refused_unless_meant(run_stage: RunStage) -> None:
    inputs = {DAY: raw({"x": "1234"}, ["0", "1", "1", "one"])}
    refused = run_stage("preprocess", "fit", inputs=inputs)
    accepted = run_stage("preprocess", "fit", inputs=inputs, categorical="target")

    assert 65 == refused.code
    assert f"{DAY}/target.csv, row 4: column 'target' holds 'one'" in refused.last_error
    assert ["0", "1", "one"] == fitted(accepted)["classes"]


def test_days_are_in_order_and_may_order_their_columns_otherwise(run_stage: RunStage) -> None:
    inputs = {
        "raw/2013-01-02": raw({"b": ["3", "4"], "a": ["x", "y"]}),
        "raw/2012-12-31": raw({"a": ["y", "z"], "b": ["1", "2"]}),
    }
    result = run_stage("preprocess", "fit", inputs=inputs)

    assert [
        {"day": "2012-12-31", "rows": 2},
        {"day": "2013-01-02", "rows": 2},
    ] == fitted(result)["days"]
    assert {
        "a": ["1", "2", "0", "1"],
        "b": ["1", "2", "3", "4"],
        "target": ["0", "1", "0", "1"],
    } == columns_of(result)


def test_days_with_other_columns_are_refused(run_stage: RunStage) -> None:
    inputs = {
        "raw/2013-01-01": raw({"a": "12", "b": "34"}),
        "raw/2013-01-02": raw({"a": "12", "c": "34"}),
    }
    result = run_stage("preprocess", "fit", inputs=inputs)

    assert 65 == result.code
    assert "raw/2013-01-02/data.csv: not every day has column 'b'" in result.last_error


def test_a_folder_that_is_no_day_is_refused(run_stage: RunStage) -> None:
    result = run_stage("preprocess", "fit", inputs={"raw/January": raw({"a": "12"})})

    assert (65, True) == (result.code, "raw/January" in result.last_error)


PLAIN = {"data.csv": "größe,b\n1,x\n,y\n2.5,x\n", "target.csv": "target\n0\n1\n1\n"}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({name: text.replace("\n", "\r\n") for name, text in PLAIN.items()}, id="CRLF"),
        pytest.param({name: "\ufeff" + text for name, text in PLAIN.items()}, id="BOM"),
        pytest.param({name: text.rstrip("\n") for name, text in PLAIN.items()}, id="last line"),
        pytest.param(
            {
                "data.csv": '"größe","b"\n"1","x"\n,"y"\n2.5,"x"\n',
                "target.csv": '"target"\n"0"\n"1"\n1\n',
            },
            id="quotes",
        ),
        pytest.param(
            {
                "data.csv": '\ufeff"größe",b\r\n"1",x\r\n"",y\r\n2.5,x',
                "target.csv": '\ufeff"target"\r\n0\r\n"1"\r\n1',
            },
            id="all of them",
        ),
    ],
)
def test_another_spelling_of_the_same_table_gives_the_same_bytes(
    run_stage: RunStage, files: dict[str, str]
) -> None:
    plain: dict[str, Input] = {DAY: PLAIN}
    other: dict[str, Input] = {DAY: files}

    assert written(run_stage("preprocess", "fit", inputs=plain)) == written(
        run_stage("preprocess", "fit", inputs=other)
    )


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_truncated_row_far_down_is_named(run_stage: RunStage, quote: str) -> None:
    lines = [f"{quote}a{quote},b"] + ["1,2"] * 1_200_000
    lines[1_100_001] = "1"
    files = {"data.csv": "\n".join(lines), "target.csv": "target\n0\n1\n"}
    result = run_stage("preprocess", "fit", inputs={DAY: files})

    assert 65 == result.code
    assert f"{DAY}/data.csv, row 1100001 has 1 fields, not 2" in result.last_error


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('a,b\n1,x\n2,"x\n', id="open"),
        pytest.param('a,b\n1,x\n2,"x"y\n', id="not doubled"),
        pytest.param('a,b\n1,x\n2,a "pipe"\n', id="inside"),
        pytest.param('a,b\n1,x\n2,5" pipe\n', id="in a field that is not quoted"),
        pytest.param('a,b\n1,x\n5" pipe,6" pipe\n', id="twice, with a comma between"),
    ],
)
def test_a_quote_in_a_wrong_place_is_refused(run_stage: RunStage, data: str) -> None:
    files = raw({"a": "12"}) | {"data.csv": data}
    result = run_stage("preprocess", "fit", inputs={DAY: files})

    assert 65 == result.code
    assert f"{DAY}/data.csv" in result.last_error
    assert "quote" in result.last_error


def test_a_line_end_in_quotes_ends_no_row(run_stage: RunStage) -> None:
    # The file is read in blocks of 4 MB, so that one of them ends inside quotes.
    files = {
        "data.csv": "text,x\n" + '"1\n,2\n\n3",1\n' * 400_000,
        "target.csv": "target\n" + "0\n1\n" * 200_000,
    }
    result = run_stage("preprocess", "fit", inputs={DAY: files})

    assert ["1\n,2\n\n3"] == fitted(result)["columns"][0]["categories"]
    assert 400_000 == result.summary["rows"]
