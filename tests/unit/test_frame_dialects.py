"""By what a table is separated that is not separated by commas."""

import pytest
from stageframe.dialects import separator


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["a;b", "1;2"], "semicolons"),
        (["a\tb", "1\t2"], "tabs"),
        (["a|b", "1|2"], "vertical bars"),
        (["a||b", "1||2"], "vertical bars"),
        (["a^b^c", "1^2^3"], "carets"),
        (["a~b", "1~2"], "tildes"),
        (["a\1b", "1\0012"], "the control character 1"),
        (["a\x1fb", "1\x1f2"], "the control character 31"),
        (["a;b", "1,5;2,5"], "semicolons"),
        (["a:b:c", "1:2:x", "3:4:y"], "colons"),
        (["user::item", "1::2", "3::4"], "colons"),
        (["a b", "1 2", "3 4"], "spaces"),
        (["x    y", "1    2", "100  2", ""], "spaces"),
        (["  x   y", "  1   2", "100  20"], "spaces"),
        (["sep=;", "a;b"], "semicolons"),
    ],
)
def test_another_separator_is_known_where_all_lines_have_it(lines: list[str], what: str) -> None:
    header, *rows = (f"{line}\n" for line in lines)

    assert what == separator(header, rows)
    assert what == separator(header.replace("\n", "\r\n"), rows)


@pytest.mark.parametrize(
    "lines",
    [
        ["a,b", "1,2"],
        ["a,b c", "1,x y", "2,z w"],
        ["a,hh:mm", "1,10:30"],
        ["hh:mm", "10:30", "11:45"],
        ["start time", "2024-01-05 10:30", "2024-01-05 11:00:00"],
        ["review text", "very good", "bad"],
        ["review text", "good", "bad"],
        ["review text"],
        ["review text", ""],
        ['"first name"', "Ada Lovelace", "Alan Turing"],
        ['"a;b"', "1;2"],
        ["x", "1 2", "3 4"],
        ["a;b", "1"],
        ["target", "yes", "no"],
    ],
)
def test_texts_with_such_symbols_are_texts(lines: list[str]) -> None:
    header, *rows = (f"{line}\n" for line in lines)

    assert "" == separator(header, rows)
