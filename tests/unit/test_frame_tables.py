"""Tables as stages read and write them: as the contract has them, or refused with one sentence."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stageframe import StageError
from stageframe.csv_files import (
    check_columns,
    find_fault,
    read_header,
    read_texts,
    write_csv,
)
from stageframe.tables import parse_numbers, read_table, to_floats

TOO_MANY = (
    "t.csv, row 2 has 3 fields, not 2: quote texts that have commas, and write numbers like 1234.5"
)

Put = Callable[[str | bytes], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Write the table t.csv below the root of what a stage reads."""
    monkeypatch.setattr("stageframe.files.IN", tmp_path)

    def write(content: str | bytes) -> Path:
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def numbers(path: Path, *names: str, classes: tuple[str, ...] = ()) -> tuple[list, list]:  # type: ignore[type-arg]
    x, codes = zip(*read_table(path, names, classes), strict=True)
    return np.concatenate(x).tolist(), np.concatenate(codes).tolist()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(StageError) as caught:
        call()
    assert 65 == caught.value.code
    return str(caught.value)


# --- tables of numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "a,b,target\n1,2.5,x\n-3,4e2,y\n",
        "a,b,target\n1,2.5,x\n-3,4e2,y",
        "a,b,target\r\n1,2.5,x\r\n-3,4e2,y\r\n",
        "\ufeffa,b,target\n1,2.5,x\n-3,4e2,y\n",
        '\ufeff"a",b,"target"\r\n"1",2.5,"x"\r\n-3,"4e2",y\r\n',
    ],
)
def test_every_spelling_of_the_dialect_is_the_same_table(put: Put, content: str) -> None:
    found = numbers(put(content), "a", "b", classes=("y", "x"))

    assert ([[1, 2.5], [-3, 400]], [1, 0]) == found


@pytest.mark.parametrize("quote", ["", '"'])
def test_empty_fields_are_missing(put: Put, quote: str) -> None:
    x, _ = numbers(put(f"a,b,c\n,,\n{quote}{quote},2,\n1,nan,3\n"), "a", "b", "c")

    gap = float("nan")
    expected = [[gap, gap, gap], [gap, 2, gap], [1, gap, 3]]
    np.testing.assert_array_equal(expected, x)


def test_an_empty_line_is_a_gap_where_there_is_one_column(put: Put) -> None:
    x, codes = numbers(put("a\n1\n\n3\n\n"), "a")

    np.testing.assert_array_equal([[1], [float("nan")], [3], [float("nan")]], x)
    assert [0, 0, 0, 0] == codes


def test_a_target_with_commas_and_quotes_is_the_class_of_that_name(put: Put) -> None:
    _, codes = numbers(
        put('a,target\n1,"high, very"\n2,"""low"""\n'), "a", classes=('"low"', "high, very")
    )

    assert [1, 0] == codes


def test_blocks_are_whole_rows_and_nothing_is_lost_between_them(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stageframe.tables.PART", 10)
    path = put("a,b\n" + "".join(f"{i},{-i}\n" for i in range(9)))
    blocks = [x for x, _ in read_table(path, ["a", "b"])]

    assert [3, 3, 3] == [len(x) for x in blocks]
    assert [[i, -i] for i in range(9)] == np.concatenate(blocks).tolist()
    assert {np.dtype(float)} == {x.dtype for x in blocks}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "t.csv is empty: provide a header and rows"),
        ("a,b,target\n", "t.csv has a header but no rows: provide rows"),
        ("b,a,target\n1,2,x\n", "t.csv, header: not the columns that the model has (the order"),
        ("a,c,target\n1,2,x\n", "t.csv, header: not the columns that the model has (column 'b'"),
        ("a,b\n1,2\n", "t.csv, header: not the columns that the model has (column 'target'"),
        ("a,b,target\n1,2,x\n1,x\n", "t.csv, row 2 has 2 fields, not 3: complete it"),
        ("a,b,target\n1,2,x\n1,2", "t.csv, row 2 has 2 fields, not 3: complete it"),
        ("a,b,target\n1,2,3,x\n", "t.csv, row 1 has 4 fields, not 3: quote texts that"),
        ("a,b,target\n1,2,x\n\n1,2,x\n", "t.csv, row 2 is a blank line: remove it"),
        ("a,b,target\n1,'1,5',x\n", "t.csv, row 1 has 4 fields, not 3: quote texts that"),
        ('a,b,target\n1,"1,5",x\n', "t.csv, row 1: column 'b' holds '1,5', numbers with a decimal"),
        ("a,b,target\n1,2,z\n", "t.csv, row 1: target 'z' is none of the classes"),
        ("a,b,target\n1,abc,x\n", "t.csv, row 1: column 'b' holds 'abc', not a finite number"),
        ("a,b,target\n1,NA,x\n", "t.csv, row 1: column 'b' holds 'NA', not a finite number"),
        ("a,b,target\n1,1_0,x\n", "t.csv, row 1: column 'b' holds '1_0', not a finite number"),
        ("a,b,target\n1,-inf,x\n", "t.csv, row 1: column 'b' holds '-inf', not a finite number"),
        ("a,b,target\n1,1e400,x\n", "t.csv, row 1: column 'b' holds '1e400', not a finite number"),
        ('a,b,target\n1,2,x\n1,"2,x\n', "t.csv, row 2: unexpected end of data: repair the quotes"),
        ("a,b,target\n1,2,x\r1,2,x\n", "t.csv, row 1: the line ends in a carriage return alone"),
        (b"a,b,target\n1,2,x\n1,\xf6,x\n", "t.csv, row 2: column 'b' is not UTF-8"),
        (b"a,b,target\n1,2,\xf6\n", "t.csv, row 1: column 'target' is not UTF-8"),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_first_fault(
    put: Put, content: str | bytes, sentence: str
) -> None:
    path = put(content)
    found = refusal(lambda: numbers(path, "a", "b", classes=("x", "y")))

    assert found.startswith(sentence)


def test_lines_of_numbers_are_floats_or_an_error() -> None:
    np.testing.assert_array_equal([[1, np.nan], [np.nan, 2]], parse_numbers(["1,", ",2"]))
    assert (1, 3) == parse_numbers([",,"]).shape
    with pytest.raises(ValueError, match="number of columns"):
        parse_numbers(["1,2", "1"])


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n \t\r\n"])
def test_blank_lines_at_the_very_end_are_no_rows(put: Put, end: str) -> None:
    path = put(f"a,target\n1,x\n2,y\n{end}")

    assert ([[1], [2]], [0, 1]) == numbers(path, "a", classes=("x", "y"))
    assert [(0, [("1", "2")])] == list(read_texts(path, ["a"]))


def test_a_table_without_rows_has_no_block_where_it_may_be_empty(put: Put) -> None:
    path = put("a\n")

    assert [] == list(read_table(path, ["a"], empty=True))
    assert [] == list(read_texts(path, ["a"]))


# --- what is no CSV, or of another dialect ----------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "a gzip file, not CSV"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16 text, not CSV"),
        ("a,b\n1,2\n".encode("utf-16-le"), "UTF-16 text, not CSV"),
        (b"PK\3\4 [Content_Types].xml xl/workbook.xml", "an Excel workbook (xlsx), not CSV"),
        (b"PK\3\4 data.csv", "a zip file, not CSV"),
        (b"PAR1\x15\x04\x15", "a Parquet file, not CSV"),
        ('{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "JSON, not CSV"),
        ('[\n  {"a": 1}\n]\n', "JSON, not CSV"),
        ("\n<!DOCTYPE html>\n<html></html>", "HTML or XML, not CSV"),
        ("a;b\n1;2\n", "separated by semicolons, not commas"),
        ("a;b\n1,5;2,5\n", "separated by semicolons, not commas"),
        ('"a";"b, m";c\n1;2;3\n', "separated by semicolons, not commas"),
        ("sep=;\na;b\n1;2\n", "separated by semicolons, not commas"),
        ("a\tb\n1\t2\n", "separated by tabs, not commas"),
        ("a|b|c\n1|2|3\n", "separated by vertical bars, not commas"),
        ("a;b;c\n1;2;3;\n", "separated by semicolons, not commas"),
    ],
)
def test_a_file_of_another_kind_is_named(put: Put, content: str | bytes, what: str) -> None:
    path = put(content)
    found = refusal(lambda: read_header(path))

    assert f"t.csv is {what}: save it as CSV with commas, in UTF-8" in found


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("a;b", "1"),
        ("PAR1", "1"),
        ("ORC,BZh", "1,2"),
        ("[x],y", "1,2"),
        ("<x>,y", "1,2"),
        ("a;b,c;d", "1,2"),
        ("x|y", "z"),
    ],
)
def test_odd_names_are_names_all_the_same(put: Put, header: str, row: str) -> None:
    assert header.split(",") == read_header(put(f"{header}\n{row}\n"))


# --- tables of texts -------------------------------------------------------------------------


def test_texts_come_by_column_in_blocks_with_the_rows_before_them(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stageframe.csv_files.FIELDS", 6)
    path = put('a,b,"größe, m"\n1,x,"two\nlines"\n2,,é\n3,"""",\n')

    assert [
        (0, [("two\nlines", "é"), ("1", "2")]),
        (2, [("",), ("3",)]),
    ] == list(read_texts(path, ["größe, m", "a"]))


def test_an_empty_line_of_one_column_is_an_empty_text(put: Put) -> None:
    assert [(0, [("x", "", "y")])] == list(read_texts(put("a\nx\n\ny\n"), ["a"]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,c\n1,2\n", "t.csv: column 'b' of the model is missing: add it"),
        ("a,b\n1,2\n1\n", "t.csv, row 2 has 1 fields, not 2: complete it"),
        ("a,b\n1,2\n1,2,3\n", TOO_MANY),
        ('a,b\n1,2\n1,"2"x\n', "t.csv, row 2: ',' expected after '\"': repair the quotes"),
        (b"a,b\n1,\xff\n", "t.csv, row 1: column 'b' is not UTF-8: save it as UTF-8"),
    ],
)
def test_texts_that_are_not_whole_are_refused(
    put: Put, content: str | bytes, sentence: str
) -> None:
    path = put(content)

    assert sentence == refusal(lambda: list(read_texts(path, ["a", "b"])))


def test_a_column_of_texts_is_numbers_by_the_one_rule() -> None:
    x = to_floats(Path("t.csv"), "a", 0, ("1", "", "NA", "2.5", "null"))
    quick = to_floats(Path("t.csv"), "a", 0, ("1", "nan", " 3 "))

    np.testing.assert_array_equal([1, np.nan, np.nan, 2.5, np.nan], x)
    np.testing.assert_array_equal([1, np.nan, 3], quick)


@pytest.mark.parametrize("text", ["1_0", "inf", "1e999", "abc"])
@pytest.mark.parametrize("other", ["2", "NA"])
def test_a_text_among_numbers_is_named_with_its_row(text: str, other: str) -> None:
    found = refusal(lambda: to_floats(Path("t.csv"), "a", 100, ("1", other, text)))

    assert f"t.csv, row 103: column 'a' holds {text!r}, not a finite number: correct it" == found


# --- headers, faults -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ['\ufeffa,"b, ""c"""\r\n1,2\r\n', 'a,"b, ""c"""', 'a,"b, ""c"""\n1,2']
)
def test_a_header_is_the_names_of_the_columns(put: Put, content: str) -> None:
    assert ["a", 'b, "c"'] == read_header(put(content))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "t.csv is empty: provide a header and rows"),
        (",b\n", "t.csv: a column has no name: name it, or leave out the index"),
        ("a, \n", "t.csv: a column has no name: name it, or leave out the index"),
        ("a,b,a\n", "t.csv: two columns are called 'a': rename one"),
        (b"gr\xf6\xdfe\n", "t.csv: column 'gr\\udcf6\\udcdfe' is not UTF-8: save it as UTF-8"),
        ("a\0\n", "t.csv: column 'a\\x00' is not UTF-8: save it as UTF-8"),
        ("a,\ufeffb\n", "t.csv: column '\\ufeffb' begins with a byte order mark: remove it"),
        ('"a,b\n1,2\n', "t.csv, header: unexpected end of data: repair the quotes"),
        ("a\rb\n", "t.csv, header: a quote is in a name that is not quoted, or the line ends in"),
    ],
)
def test_a_header_that_names_no_columns_is_refused(
    put: Put, content: str | bytes, sentence: str
) -> None:
    path = put(content)

    assert refusal(lambda: read_header(path)).startswith(sentence)


def test_a_column_of_the_model_that_is_missing_is_named(put: Put) -> None:
    path = put("a\n1\n")
    check_columns(path, ["b", "a"], ["a", "b"])

    expected = "t.csv: column 'b' of the model is missing: add it"
    assert expected == refusal(lambda: check_columns(path, ["a"], ["a", "b"]))


def test_the_first_fault_of_several_tables_is_found(put: Put, tmp_path: Path) -> None:
    first = put("a\n1\n")
    second = tmp_path / "u.csv"
    second.write_text("a\n1\n2\n")
    seen = []

    def fault(name: str, text: str) -> str | None:
        seen.append((name, text))
        return "it is 2" if text == "2" else None

    assert "u.csv, row 2: it is 2" == find_fault([first, second], fault)
    assert [("a", "1"), ("a", "1"), ("a", "2")] == seen
    assert "t.csv: it changed while it was read: run the stage again" == find_fault([first, second])
    assert "t.csv, it is odd" == find_fault([first], otherwise=", it is odd")


# --- writing ---------------------------------------------------------------------------------


def test_what_is_written_reads_back_as_it_was(put: Put, tmp_path: Path) -> None:
    rows = [["x, y", 0.1 + 0.2], ['"', 1e-300], ["", 3]]
    write_csv(tmp_path / "t.csv", ["größe", "b"], (row for row in rows))
    written = (tmp_path / "t.csv").read_bytes()
    ((_, (texts, values)),) = read_texts(tmp_path / "t.csv", ["größe", "b"])

    assert written.startswith('größe,b\n"x, y",0.30000000000000004\n'.encode())
    assert b"\r" not in written
    assert ("x, y", '"', "") == texts
    assert [0.1 + 0.2, 1e-300, 3] == [float(value) for value in values]
