"""Tables of texts: names in either composition of Unicode, lines that are blank."""

from collections.abc import Callable
from pathlib import Path

import pytest
from stageframe import StageError
from stageframe.csv_files import check_columns, find_fault, read_header, read_texts
from stageframe.tables import read_table

COMPOSED, DECOMPOSED = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
Put = Callable[[str], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Write the table t.csv below the root of what a stage reads."""
    monkeypatch.setattr("stageframe.files.IN", tmp_path)

    def write(content: str) -> Path:
        path = tmp_path / "t.csv"
        path.write_text(content, "utf-8")
        return path

    return write


@pytest.mark.parametrize("written", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("wanted", [COMPOSED, DECOMPOSED])
def test_a_name_is_one_however_unicode_composes_it(put: Put, written: str, wanted: str) -> None:
    path = put(f"{written},b\n1,2\n")

    assert [COMPOSED, "b"] == read_header(path)
    check_columns(path, read_header(path), [wanted])
    assert [(0, [("1",)])] == list(read_texts(path, [wanted]))
    assert [1.0, 2.0] == next(read_table(path, [wanted, "b"]))[0][0].tolist()
    assert "t.csv, row 1: it is so" == find_fault(
        [path], lambda name, _: "it is so" if name == COMPOSED else None
    )


def test_two_names_that_differ_by_composition_alone_are_refused(put: Put) -> None:
    path = put(f"{COMPOSED},{DECOMPOSED}\n1,2\n")

    with pytest.raises(
        StageError, match="two columns are called 'gr\u00f6\u00dfe': rename one"
    ) as caught:
        read_header(path)
    assert 65 == caught.value.code


@pytest.mark.parametrize("line", ["", " ", "\t", "\r"])
def test_a_blank_line_between_rows_is_called_blank(put: Put, line: str) -> None:
    path = put(f"a,b\n1,2\n{line}\n3,4\n")

    assert "t.csv, row 2 is a blank line: remove it" == find_fault([path])


def test_a_row_that_is_cut_short_is_not_called_blank(put: Put) -> None:
    assert "t.csv, row 2 has 1 fields, not 2: complete it" == find_fault([put("a,b\n1,2\n3\n")])


@pytest.mark.parametrize("mark", [":", " ", "\1", "^", "~", "||"])
def test_a_table_with_another_separator_is_refused(put: Put, mark: str) -> None:
    path = put("".join(f"{mark.join(row)}\n" for row in ("ab", "12", "34")))

    with pytest.raises(StageError, match="not commas: save it as CSV"):
        read_header(path)
    assert [f"a{mark}b"] == read_header(put(f'"a{mark}b"\n1{mark}2\n'))
