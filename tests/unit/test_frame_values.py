"""One rule for what the text of a field means."""

import math

import pytest
from stageframe.values import MISSING, all_numbers, plain, to_number


@pytest.mark.parametrize("text", MISSING)
def test_a_gap_is_no_number_and_no_text(text: str) -> None:
    assert math.isnan(to_number(text))
    assert all_numbers([text, "1"])


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("-2.50", -2.5), ("1e3", 1000), (" 7 ", 7)])
def test_a_number_is_what_python_reads(text: str, value: float) -> None:
    assert value == to_number(text)


@pytest.mark.parametrize("text", ["1_0", "1_000.5", "١", "inf", "-Infinity", "1e400", "0x10", "x"])
def test_what_is_no_finite_number_is_infinite(text: str) -> None:
    assert math.isinf(to_number(text))
    assert not all_numbers(["1", text])
    with pytest.raises(ValueError, match="not a finite number"):
        plain(text)


def test_where_only_the_empty_field_is_missing_other_words_are_texts() -> None:
    assert math.isnan(to_number("", missing=("",)))
    assert math.isinf(to_number("NA", missing=("",)))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("01", "1"),
        ("+1", "1"),
        (" 1e0", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("000", "0"),
        ("0.10", "0.1"),
        ("1e-7", "1e-07"),
        ("09007199254740993", "9007199254740993"),
        ("-18446744073709551617", "-18446744073709551617"),
        ("1" + 30 * "0", "1" + 30 * "0"),
    ],
)
def test_a_number_has_one_plain_spelling(text: str, written: str) -> None:
    assert written == plain(text)


def test_whole_numbers_that_a_float_cannot_tell_apart_stay_apart() -> None:
    assert plain("09007199254740993") != plain("9007199254740992")


def test_a_gap_has_no_plain_spelling() -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        plain("NA")
