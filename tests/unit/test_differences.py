"""How what a stage has written differs from what is published, as a person reads it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.differences import differences, distance

Compare = Callable[[dict[str, str], dict[str, str]], list[str]]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def compare(old: dict[str, str], new: dict[str, str]) -> list[str]:
        for side, files in (("old", old), ("new", new)):
            (tmp_path / side).mkdir()
            for name, text in files.items():
                (tmp_path / side / name).write_text(text)
        return differences(tmp_path / "old", tmp_path / "new")

    return compare


def table(*rows: str) -> dict[str, str]:
    return {"data.csv": "\n".join(rows) + "\n"}


def test_what_is_the_same_is_not_named_and_neither_is_a_manifest(compare: Compare) -> None:
    same = {**table("x", "1"), "summary.json": '{"rows": 1}', "model.txt": "tree"}

    assert [] == compare({**same, "manifest.json": "{}"}, same)


def test_numbers_differ_by_so_much_in_so_many_rows(compare: Compare) -> None:
    old = table("x,y", "1,0.5", "2,0.25", "3,1", "4,1")
    new = table("x,y", "1,0.5", "2,0.5", "3,-1", "4,1")

    assert [
        "data.csv: 4 rows",
        "  y differs: 2 rows, by 2 at most",
        "  row 2: y 0.25 → 0.5",
        "  row 3: y 1 → -1",
    ] == compare(old, new)


def test_gaps_that_are_filled_or_new_are_no_numbers(compare: Compare) -> None:
    old = table("x,y", ",a", "1,b", "NaN,c", "7,d")
    new = table("x,y", "5,a", ",b", ",c", "6.5,d")

    assert [
        "data.csv: 4 rows",
        "  x differs: 4 rows, by 0.5 at most, 1 gap filled, 1 new gap",
        "  row 1: x gap → 5",
        "  row 2: x 1 → gap",
        "  row 3: x NaN → gap",
    ] == compare(old, new)


def test_texts_and_long_keys_differ(compare: Compare) -> None:
    old = table("key,class", "9007199254740993,no", "2,no")
    new = table("key,class", "9007199254740992,yes", "2,no")

    assert [
        "data.csv: 2 rows",
        "  key differs: 1 row, by 1 at most",
        "  class differs: 1 row",
        "  row 1: key 9007199254740993 → 9007199254740992, class no → yes",
    ] == compare(old, new)


def test_columns_are_added_removed_and_moved(compare: Compare) -> None:
    assert [
        "data.csv: 1 row",
        "  columns removed: a",
        "  columns added: d",
        "  columns in another order",
    ] == compare(table("a,b,c", "1,2,3"), table("c,b,d", "3,2,9"))


def test_rows_are_added_and_removed_wherever_they_stood(compare: Compare) -> None:
    old = table("x,y", "1,a", "1,a", "2,b", "3,c")
    new = table("x,y", "3,c", "2,b", "1,a", "4,d", "5,e")

    assert [
        "data.csv: 4 → 5 rows",
        "  rows removed: 1",
        "  row 1 removed: x 1, y a",
        "  rows added: 2",
        "  row 4 added: x 4, y d",
        "  row 5 added: x 5, y e",
    ] == compare(old, new)


def test_rows_that_stand_elsewhere_alone_are_said_to(compare: Compare) -> None:
    assert ["data.csv: 3 rows", "  the same rows in another order"] == compare(
        table("x", "1", "2", "3"), table("x", "3", "1", "2")
    )


def test_a_row_more_at_the_top_and_one_less_below_are_two_rows(compare: Compare) -> None:
    old = [str(number) for number in range(10)]

    assert [
        "data.csv: 10 rows",
        "  rows removed: 1",
        "  row 10 removed: x 9",
        "  rows added: 1",
        "  row 1 added: x new",
    ] == compare(table("x", *old), table("x", "new", *old[:-1]))


def test_many_columns_and_rows_are_cut_to_a_few_lines(compare: Compare) -> None:
    names = ",".join(f"c{n}" for n in range(20))
    old, new = (table(names, *([",".join([cell] * 20)] * 50)) for cell in "12")
    lines = compare(old, new)

    assert "  … and 14 more columns; 50 rows in all" in lines
    assert "  row 3: c0 1 → 2, c1 1 → 2, c2 1 → 2, …" == lines[-1]
    assert 11 == len(lines)


def test_json_differs_as_far_up_as_it_does(compare: Compare) -> None:
    old = {"m.json": '{"auc": 0.5, "by": [{"n": 1}, {"n": 2}], "gone": {"a": 1, "b": 2}, "s": {}}'}
    new = {"m.json": '{"auc": 0.75, "by": [{"n": true}], "s": {}, "more": "yes"}'}

    assert [
        "m.json: 5 differences",
        "  auc: 0.5 → 0.75",
        "  by: 2 → 1 entry",
        "  by[0].n: 1 → true",
        "  gone: gone",
        '  more: new, "yes"',
    ] == compare(old, new)


def test_other_files_differ_by_size_and_digest(compare: Compare) -> None:
    old = {"model.txt": "a", "gone.txt": "x", "broken.json": "{"}
    new = {"model.txt": "bcd", "new.txt": "y", "broken.json": "{}"}

    assert [
        "broken.json: 1 → 2 bytes, sha256 021fb596db81 → 44136fa355b3",
        "gone.txt: no longer written",
        "model.txt: 1 → 3 bytes, sha256 ca978112ca1b → a6b0f90d2ac2",
        "new.txt: new",
    ] == compare(old, new)


def test_json_that_is_only_written_differently_is_said_to_be(compare: Compare) -> None:
    assert ["m.json: written differently"] == compare({"m.json": '{"a":1}'}, {"m.json": '{"a": 1}'})


@pytest.mark.parametrize(
    ("old", "new", "apart"),
    [("1", "3", 2), ("1e3", "1000", 0), ("inf", "Infinity", None), ("a", "1", None)],
)
def test_the_distance_of_two_cells(old: str, new: str, apart: float | None) -> None:
    assert apart == distance(old, new)
