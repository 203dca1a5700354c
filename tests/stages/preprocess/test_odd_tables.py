"""Tables as they should not be, and others that are odd but right: no run ends in a traceback."""

import csv
import json
from collections.abc import Sequence
from typing import Any

import pytest
from harness import Result, RunStage

DAY = "raw/2013-01-01"


def fit(run_stage: RunStage, data: str, labels: Sequence[str] = "010", **params: object) -> Result:
    target = "".join(f"{label}\n" for label in ["target", *labels])
    return run_stage(
        "preprocess", "fit", inputs={DAY: {"data.csv": data, "target.csv": target}}, **params
    )


def column(result: Result) -> tuple[dict[str, Any], list[str]]:
    """The first column as preprocess.json has it, and what train_data.csv has of it."""
    assert (0, "") == (result.code, result.last_error)
    fitted = json.loads((result.out / "preprocess.json").read_text("utf-8"))
    with (result.out / "train_data.csv").open(encoding="utf-8", newline="") as file:
        return fitted["columns"][0], [row[0] for row in csv.reader(file)][1:]


@pytest.mark.parametrize("params", [{}, {"categorical": "x"}], ids=["numeric", "categorical"])
def test_empty_lines_of_the_only_column_are_rows_without_a_value(
    run_stage: RunStage, params: dict[str, str]
) -> None:
    found, values = column(fit(run_stage, 'x\n\n\n""\n', **params))

    assert (3, ["", "", ""]) == (found["profile"]["missing"], values)


def test_a_block_of_empty_lines_is_rows_too(run_stage: RunStage) -> None:
    # The file is read in blocks of 2 MB: the third is of empty lines alone.
    rows = 9_000_000
    data = "x\n" + "ab\n" * 1_500_000 + "\n" * (rows - 1_500_001) + '""\n'
    found, values = column(fit(run_stage, data, ["0", "1"] * (rows // 2)))

    assert (rows, rows - 1_500_000) == (len(values), found["profile"]["missing"])


def test_a_text_may_begin_with_a_byte_order_mark(run_stage: RunStage) -> None:
    found, values = column(fit(run_stage, "x\n\ufeffa\n\ufeffa\na\n"))

    assert (["a", "\ufeffa"], ["1", "1", "0"]) == (found["categories"], values)


@pytest.mark.parametrize("missing", ["", "NA"])
def test_a_number_beyond_63_bits_may_be_followed_by_a_missing_one(
    run_stage: RunStage, missing: str
) -> None:
    found, values = column(fit(run_stage, f"x\n18446744073709551615\n{missing}\n2.5\n"))

    assert ("numeric", 1) == (found["kind"], found["profile"]["missing"])
    assert [18446744073709551615.0, 2.5] == [float(text) for text in values if text]


def test_numbers_read_as_texts_have_rising_edges(run_stage: RunStage) -> None:
    numbers = ["NAN", "3", "3.0", "-1", "1" + "0" * 30, "NAN", "2"]
    found, _ = column(fit(run_stage, "\n".join(["x", *numbers, ""]), "0101010"))

    assert {"edges": [2, 3, 1e30], "counts": [1, 1, 2, 1], "missing": 2} == found["profile"]


@pytest.mark.parametrize("label", ["NAN", "-nan"])
def test_a_target_that_is_not_a_number_is_missing(run_stage: RunStage, label: str) -> None:
    result = fit(run_stage, "x\n1\n2\n3\n", ["0", "1", label])

    assert 65 == result.code
    assert f"{DAY}/target.csv, row 3: the target is missing" in result.last_error


def test_a_label_may_have_any_number_of_leading_zeros(run_stage: RunStage) -> None:
    result = fit(run_stage, "x\n1\n2\n3\n", ["0", "0" * 5000 + "7", "7"])

    assert (0, 2) == (result.code, result.summary["classes"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param('x"y,z\n1,2\n3,"4"\n5,6\n', ", header: a quote is in a name", id="header"),
        pytest.param('"x,z\n1,2\n3,4\n5,6\n', ", header: unexpected end of data", id="open header"),
        pytest.param('"x"y,z\n1,2\n3,4\n5,6\n', ", header: ',' expected", id="header not doubled"),
        pytest.param("x\r1\r2\r3\r", "carriage return alone", id="carriage returns"),
        pytest.param('x,z\n1,2\n3,"4"4\n5,6\n', ", row 2: ',' expected", id="not doubled"),
        pytest.param('x,z\n"1",2\n3,4"\n5,6"\n', ", row 2: a quote is open", id="not quoted"),
        pytest.param(
            "x,z\n1,2\n3,4\n5,\r6\n", ", row 3: the line ends in a carriage", id="a carriage return"
        ),
        pytest.param("\ufeff\ufeffx\n1\n2\n3\n", "byte order mark", id="two byte order marks"),
    ],
)
def test_a_fault_is_named_with_its_place(run_stage: RunStage, data: str, says: str) -> None:
    result = fit(run_stage, data)

    assert (65, 1) == (result.code, len(result.stderr.splitlines()))
    assert result.last_error.startswith(f"{DAY}/data.csv")
    assert says in result.last_error


def test_a_line_end_in_categorical_is_wrong_usage(run_stage: RunStage) -> None:
    result = fit(run_stage, "x\n1\n2\n3\n", categorical="x\ny")

    assert (64, True) == (result.code, "--categorical" in result.last_error)


@pytest.mark.parametrize(
    ("verb", "key", "value", "says"),
    [
        ("transform", "columns", None, "columns is no list"),
        ("transform", "columns", [{"kind": "numeric"}], "columns[0].name is missing"),
        (
            "transform",
            "columns",
            [{"name": "x", "kind": "date"}],
            "columns[0].kind is neither numeric nor categorical",
        ),
        (
            "transform",
            "columns",
            [{"name": "x", "kind": "categorical"}],
            "columns[0].categories is missing",
        ),
        (
            "transform",
            "columns",
            [{"name": "x", "kind": "categorical", "categories": ["a", "a"]}],
            "columns[0].categories is a list that has a text twice",
        ),
        ("split", "days", [], "days is not"),
        ("split", "days", ["2013-01-01"], "days[0] is no object"),
        ("split", "days", [{"day": "2013-01-01", "rows": "3"}], "days[0].rows is no number"),
    ],
)
def test_a_spoilt_preprocess_json_is_named(
    run_stage: RunStage, verb: str, key: str, value: object, says: str
) -> None:
    spoilt = {"preprocess.json": json.dumps({"version": 1, key: value})}
    table = {"train_data.csv": "x,target\n1,0\n2,1\n3,0\n"}
    inputs = {DAY: {"data.csv": "x\n1\n"}, "model": spoilt, "processed": spoilt | table}
    result = run_stage("preprocess", verb, inputs=inputs)

    assert (65, 1) == (result.code, len(result.stderr.splitlines()))
    assert f"preprocess.json: {says}" in result.last_error
