"""What people deliver instead of the table that was meant: read as what it is, or refused."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from harness import Result, RunStage

Days = Mapping[str, Mapping[str, str]]


def day(table: str, labels: str = "") -> dict[str, str]:
    """The files of a day; `labels` are its targets, a letter each, by default by turns a and b."""
    labels = labels or "ab" * (table.rstrip("\n").count("\n"))
    rows = table.rstrip("\n").count("\n")
    return {"data.csv": table, "target.csv": "\n".join(["target", *labels[:rows], ""])}


def table(name: str, *texts: str) -> str:
    """A column of these texts, and a second one that is in order."""
    return "".join([f"{name},i\n", *(f'"{text}",{i}\n' for i, text in enumerate(texts))])


def fit(run_stage: RunStage, days: Days, **params: object) -> Result:
    inputs = {f"raw/{name}": files for name, files in days.items()}
    return run_stage("preprocess", "fit", inputs=inputs, **params)


def transform(run_stage: RunStage, fitted: Result, data: str) -> Result:
    assert (0, "") == (fitted.code, fitted.last_error)
    raw = {"raw/2024-01-09": {"data.csv": data}}
    return run_stage("preprocess", "transform", inputs={"model": fitted.out, **raw})


def columns(result: Result) -> list[dict[str, Any]]:
    assert (0, "") == (result.code, result.last_error)
    found: list[dict[str, Any]] = json.loads((result.out / "preprocess.json").read_text("utf-8"))[
        "columns"
    ]
    return found


def lines(result: Result, file: str = "data.csv") -> list[str]:
    assert (0, "") == (result.code, result.last_error)
    return (result.out / file).read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (["1,5", "2,25", "3,0"], "holds '1,5' and '2,25', numbers with a decimal comma"),
        (["7", "8", "1,200.50"], "holds '1,200.50', numbers with a thousands separator"),
        (["12%", "7%", "5%"], "holds '12%' and '7%', numbers with a percent sign"),
        (["$5", "$7.25", "6"], "holds '$5' and '$7.25', numbers with a currency"),
        (
            ["5 z\u0142", "7,25 z\u0142"],
            "holds '5 z\u0142' and '7,25 z\u0142', numbers with a currency",
        ),
        (["1", "(2)", "3"], "holds '(2)', numbers with brackets"),
        (["12-", "7"], "holds '12-', numbers with a minus sign behind"),
        (["\u22125", "7"], "holds '\u22125', numbers with the symbol '\u2212'"),
        (["12,34,567", "7"], "holds '12,34,567', numbers with a thousands separator"),
        (["'5", "'7"], """holds "'5" and "'7", numbers with a leading apostrophe"""),
        (['=""5""', '=""7""'], """holds '="5"' and '="7"', numbers with an equals sign"""),
    ],
)
def test_numbers_of_another_dialect_are_never_texts(
    run_stage: RunStage, texts: list[str], what: str
) -> None:
    refused = fit(run_stage, {"2024-01-01": day(table("price", *texts))})
    fitted = fit(run_stage, {"2024-01-01": day(table("price", "1", "2", "3"))})
    later = transform(run_stage, fitted, table("price", *texts))

    assert (65, 65) == (refused.code, later.code)
    assert f"column 'price' {what}: write them like 1234.5" in refused.last_error
    assert f"column 'price' {what}" in later.last_error


@pytest.mark.parametrize("word", ["?", "None", "-", "N/A", "n/a", "\\N", "  "])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_gap_is_a_gap_however_it_is_spelled_and_however_many_there_are(
    run_stage: RunStage, word: str, share: float
) -> None:
    gaps = round(10 * share)
    texts = [word] * gaps + ["1.5"] * (10 - gaps)
    result = fit(run_stage, {"2024-01-01": day(table("x", *texts))})

    assert "numeric" == columns(result)[0]["kind"]
    assert gaps == columns(result)[0]["profile"]["missing"]


def test_blanks_alone_are_a_gap_among_texts_too(run_stage: RunStage) -> None:
    fitted = fit(run_stage, {"2024-01-01": day(table("x", "red", "  ", "blue", ""))})
    later = transform(run_stage, fitted, table("x", " ", "red"))

    assert ["blue", "red"] == columns(fitted)[0]["categories"]
    assert 2 == columns(fitted)[0]["profile"]["missing"]
    assert ["x,i", ",0", "1,1"] == lines(later)
    assert 0 == later.summary["unseen_values"]


def test_blank_lines_at_the_very_end_are_no_rows(run_stage: RunStage) -> None:
    files = day("a,x\n5,1\n5,2\n")
    fitted = fit(
        run_stage, {"2024-01-01": {name: f"{text}\n \r\n" for name, text in files.items()}}
    )
    later = transform(run_stage, fitted, "a,x\n7,8\n\n")

    assert 2 == fitted.summary["rows"]
    assert ["a,x", "7,8"] == lines(later)


def test_a_gap_in_the_last_row_of_an_only_column_stays_a_row(run_stage: RunStage) -> None:
    fitted = fit(run_stage, {"2024-01-01": day("x\n1\n2\n")})
    later = transform(run_stage, fitted, "x\n1\nNA\n")

    assert ["x", "1", '""'] == lines(later)


def test_a_day_without_rows_is_a_day(run_stage: RunStage) -> None:
    empty, full = day("a,x\n"), day("a,x\n1,2\n3,4\n")
    fitted = fit(run_stage, {"2024-01-01": full, "2024-01-02": empty, "2024-01-03": full})
    alone = fit(run_stage, {"2024-01-02": empty})
    later = transform(run_stage, fitted, "a,x\n")

    days = json.loads((fitted.out / "preprocess.json").read_text("utf-8"))["days"]
    assert [("2024-01-01", 2), ("2024-01-03", 2)] == [(d["day"], d["rows"]) for d in days]
    assert (65, "raw has no day with rows: provide rows") == (alone.code, alone.last_error)
    assert (["a,x"], 0) == (lines(later), later.summary["rows"])


def test_spellings_of_one_category_are_one(run_stage: RunStage) -> None:
    data = "code,flag,name\n" + "1,True,caf\u00e9\n2,False,Ulm\n" * 4 + "02,TRUE,cafe\u0301\n"
    fitted = fit(run_stage, {"2024-01-01": day(data)}, categorical="code")
    later = transform(run_stage, fitted, "code,flag,name\n1.0,true,cafe\u0301\n2.0,false, Ulm\n")

    found = [column["categories"] for column in columns(fitted)]
    assert [["1", "2"], ["False", "True"], ["Ulm", "caf\u00e9"]] == found
    assert ["code,flag,name", "0,1,1", "1,0,0"] == lines(later)
    assert 0 == later.summary["unseen_values"]


def test_a_column_of_which_nothing_is_known_any_more_is_refused(run_stage: RunStage) -> None:
    fitted = fit(run_stage, {"2024-01-01": day("shop,i\n" + "Ulm,1\nBonn,2\n" * 20)})
    later = transform(run_stage, fitted, "shop,i\n" + "S-1,1\nS-2,2\n" * 10)

    assert 65 == later.code
    assert "of 20 values of column 'shop' the model knows 0: 'S-1' and 'S-2'" in later.last_error
    assert "such as 'Bonn' and 'Ulm'" in later.last_error


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ([f"Ada {i}" for i in range(40)], [f"Bob {i}" for i in range(40)]),
        (["Monday"] * 40, ["Tuesday"] * 40),
        (["2024-01-01 10:00", "2024-01-01"] * 20, ["2024-01-02 11:00", "2024-01-02"] * 20),
        (["1/1/2024", "1/1/2024 9:15 PM"] * 20, ["1/2/2024", "1/2/2024 8:40 AM"] * 20),
    ],
    ids=["names of people", "one value a day", "times", "times of other countries"],
)
def test_values_that_are_new_by_nature_are_counted_and_no_more(
    run_stage: RunStage, then: list[str], now: list[str]
) -> None:
    fitted = fit(run_stage, {"2024-01-01": day(table("x", *then))})
    later = transform(run_stage, fitted, table("x", *now))

    assert (0, 40) == (later.code, later.summary["unseen_values"])


def colours(*days: str, rows: int = 40) -> dict[str, dict[str, str]]:
    """Return days of this many rows, with the colours of each by turns."""
    return {
        f"2024-01-0{n}": day(table("colour", *(words.split() * rows)[:rows]))
        for n, words in enumerate(days, 1)
    }


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("RED", "the model knows 0: 'RED' for 'red' are not among those that it has learned"),
        ("r\u00e9d", "'r\u00e9d' for 'red'"),
        ("green", "the model knows 0: 'green' are not among those"),
    ],
    ids=["case", "accent", "another word"],
)
def test_one_value_in_all_rows_is_refused_where_days_had_several(
    run_stage: RunStage, word: str, says: str
) -> None:
    fitted = fit(run_stage, colours("red blue", "blue red white grey"))
    later = transform(run_stage, fitted, table("colour", *[word] * 40))

    assert 65 == later.code
    assert says in later.last_error
    assert "such as 'blue' and 'grey': spell them as then, or train on them" in later.last_error


def test_one_value_in_all_rows_is_warned_about_where_it_may_be_that_of_the_day(
    run_stage: RunStage,
) -> None:
    fitted = fit(run_stage, colours("red", "blue"))
    later = transform(run_stage, fitted, table("colour", *["green"] * 40))

    assert (0, 40) == (later.code, later.summary["unseen_values"])
    assert "of 40 values of column 'colour' the model knows 0: 'green'" in later.summary["warnings"]
    assert "warning: of 40 values of column 'colour'" in later.stdout


def test_variants_of_known_values_are_warned_about(run_stage: RunStage) -> None:
    fitted = fit(run_stage, colours("red new-york"))
    later = transform(run_stage, fitted, table("colour", *["red", "Red", "New York", "green"] * 9))

    assert (0, 27) == (later.code, later.summary["unseen_values"])
    assert (
        "column 'colour' holds 'Red' for 'red' and 'New York' for 'new-york', which to the model"
        in later.summary["warnings"]
    )


def test_a_model_may_have_its_names_decomposed(run_stage: RunStage) -> None:
    columns = [{"name": "gro\u0308\u00dfe", "kind": "numeric"}]
    model = {"preprocess.json": json.dumps({"version": 1, "columns": columns})}
    raw = {"raw/2024-01-09": {"data.csv": "gr\u00f6\u00dfe\n5\n"}}
    result = run_stage("preprocess", "transform", inputs={"model": model, **raw})

    assert ["gr\u00f6\u00dfe", "5"] == lines(result)


def test_a_column_that_was_empty_may_be_filled_later(run_stage: RunStage) -> None:
    fitted = fit(run_stage, {"2024-01-01": day("promo,i\n,1\n,2\n")})
    later = transform(run_stage, fitted, "promo,i\nSPRING,1\n7,2\n,3\n")

    assert ["promo,i", ",1", ",2", ",3"] == lines(later)
    assert 2 == later.summary["unseen_values"]


@pytest.mark.parametrize("gap", ["", "NA,1\n"], ids=["whole", "with a gap"])
def test_numbers_that_a_model_cannot_tell_apart_are_warned_about(
    run_stage: RunStage, gap: str
) -> None:
    data = f"id,x\n9007199254740993,1\n9007199254740992,2\n7,3\n7,4\n{gap}"
    result = fit(run_stage, {"2024-01-01": day(data)})
    named = fit(run_stage, {"2024-01-01": day(data)}, categorical="id")

    assert "column 'id' holds whole numbers such as 900719925474099" in result.summary["warnings"]
    assert "warning: column 'id'" in result.stdout
    assert "warnings" not in named.summary


@pytest.mark.parametrize(
    ("texts", "pair"),
    [
        (["0.1234567890123456781", "0.1234567890123456782", "7", "8"], "'0.1234567890123456781'"),
        (["0e1", "7e2", "0e9", "8"], "'0e1' and '0e9'"),
        (["1e5", "10e4", "3e1", "8"], "'1e5' and '10e4'"),
    ],
)
def test_numbers_that_differ_as_texts_alone_are_warned_about(
    run_stage: RunStage, texts: list[str], pair: str
) -> None:
    result = fit(run_stage, {"2024-01-01": day(table("id", *texts))})
    named = fit(run_stage, {"2024-01-01": day(table("id", *texts))}, categorical="id")

    assert pair in result.summary["warnings"]
    assert "one number to a model" in result.summary["warnings"]
    assert "warnings" not in named.summary


def test_numbers_in_several_spellings_are_not_warned_about(run_stage: RunStage) -> None:
    texts = ["0.30000000000000004", "0.300000000000000040", "1.5", "1.50", "+2e3", "2E3", "NA"]
    result = fit(run_stage, {"2024-01-01": day(table("x", *texts))})

    assert "numeric" == columns(result)[0]["kind"]
    assert "warnings" not in result.summary


def test_a_column_is_one_however_unicode_composes_its_name(run_stage: RunStage) -> None:
    composed, decomposed = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
    days = {"2024-01-01": day(table(composed, "1", "2")), "2024-01-02": day(table(decomposed, "3"))}
    fitted = fit(run_stage, days)
    later = transform(run_stage, fitted, table(decomposed, "4"))
    both = fit(run_stage, {"2024-01-01": day(f"{composed},{decomposed}\n1,2\n3,4\n")})

    assert [composed, "i"] == [column["name"] for column in columns(fitted)]
    assert [f"{composed},i", "4,0"] == lines(later)
    assert 65 == both.code
    assert f"two columns are called {composed!r}" in both.last_error


def test_a_blank_line_between_rows_is_called_blank(run_stage: RunStage) -> None:
    result = fit(run_stage, {"2024-01-01": day("a,b\n1,2\n\n3,4\n")})

    assert (65, "raw/2024-01-01/data.csv, row 2 is a blank line: remove it") == (
        result.code,
        result.last_error,
    )


@pytest.mark.parametrize("mark", [" ", ":", "\1", "~", "||"])
def test_a_table_with_another_separator_is_refused(run_stage: RunStage, mark: str) -> None:
    data = "".join(f"{mark.join(row)}\n" for row in ("ab", "12", "34"))
    result = fit(run_stage, {"2024-01-01": day(data)})

    assert 65 == result.code
    assert "data.csv is separated by" in result.last_error


def test_a_day_that_was_delivered_again_is_warned_about(run_stage: RunStage) -> None:
    one, other = (table("x", *map(str, range(start, start + 20))) for start in (0, 50))
    days = {"2024-01-01": one, "2024-01-02": other, "2024-01-03": one.replace("\n", "\r\n")}
    result = fit(run_stage, {name: day(text) for name, text in days.items()})

    assert (
        "2024-01-03 has the rows of 2024-01-01 again: deliver each day's own rows"
        == (result.summary["warnings"])
    )


def test_classes_that_differ_in_case_or_a_full_stop_are_warned_about(run_stage: RunStage) -> None:
    result = fit(run_stage, {"2024-01-01": day("x\n1\n2\n3\n4\n", "yYnn")})

    assert "the classes 'Y' and 'y' are two" in result.summary["warnings"]


def classes(*days: str) -> dict[str, dict[str, str]]:
    """Return days of rows that have these labels, a word each, by turns, 40 of them."""
    return {
        f"2024-01-0{n}": {
            "data.csv": "x\n" + "".join(f"{row}\n" for row in range(40 * n, 40 * n + 40)),
            "target.csv": "\n".join(["target", *(labels.split() * 40)[:40], ""]),
        }
        for n, labels in enumerate(days, 1)
    }


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (["0 1", "1 2"], "there is no row of class '0' on 2024-01-02, but on other days there is"),
        (["0 1", "1 2"], "there is no row of class '2' on 2024-01-01"),
        (["Y N", "Y N", "yes no"], "no row of classes 'N' and 'Y' on 2024-01-03"),
        (["Y N", "Y N", "yes no"], "no row of classes 'no' and 'yes' on 2024-01-01 and 2024-01-02"),
        (["a", "a b"], "all days before 2024-01-02 have rows of class 'a' alone"),
    ],
)
def test_classes_that_are_spelled_otherwise_on_some_days_are_warned_about(
    run_stage: RunStage, days: list[str], says: str
) -> None:
    result = fit(run_stage, classes(*days))

    assert says in result.summary["warnings"]
    assert f"warning: {result.summary['warnings'].partition(';')[0]}" in result.stdout


@pytest.mark.parametrize(
    "days",
    [
        ["a b", "a b", "a b"],
        ["a " * 19 + "b", "a", "a " * 19 + "b"],
        ["a b"] * 3 + ["a b " * 19 + "a c"] * 2,
    ],
    ids=["all", "a rare class", "another rare class"],
)
def test_classes_that_days_lack_by_chance_are_not_warned_about(
    run_stage: RunStage, days: list[str]
) -> None:
    result = fit(run_stage, classes(*days))

    assert (0, "") == (result.code, result.last_error)
    assert "warnings" not in result.summary


def test_yes_and_no_beside_0_and_1_are_refused(run_stage: RunStage) -> None:
    result = fit(run_stage, classes("0 1", "0 1", "yes no"))

    assert 65 == result.code
    assert "2024-01-03/target.csv, row 1: column 'target' holds 'yes'" in result.last_error
    assert "beside numbers such as '1'" in result.last_error


@pytest.mark.parametrize(
    ("labels", "says"),
    [("aaab", "class 'b' has one row, to be"), ("aabc", "classes 'b' and 'c' have one row each")],
)
def test_a_class_of_a_single_row_is_warned_about(
    run_stage: RunStage, labels: str, says: str
) -> None:
    result = fit(run_stage, {"2024-01-01": day("x\n1\n2\n3\n4\n", labels)})

    assert says in result.summary["warnings"]
