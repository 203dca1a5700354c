"""One rule for what the text of a field means."""

import math

import pytest
from stageframe.values import all_numbers, foreign_number, is_missing, plain, same, to_number


@pytest.mark.parametrize(
    "text", ["", " ", "\t", "NA", "N/A", "n/a", "NaN", "NULL", "None", " none ", "?", "-", "\\N"]
)
def test_a_gap_is_no_number_and_no_text(text: str) -> None:
    assert is_missing(text)
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


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1,5", "a decimal comma"),
        ("-3,25", "a decimal comma"),
        ("1.234,50", "a decimal comma"),
        ("1,234", "a decimal comma or a thousands separator"),
        ("1,234.50", "a thousands separator"),
        ("1 234", "a thousands separator"),
        ("1\u202f234\u202f567", "a thousands separator"),
        ("1'000", "a thousands separator"),
        ("12%", "a percent sign"),
        ("12,5 %", "a percent sign"),
        ("$5", "a currency"),
        ("-$1,200.50", "a currency"),
        ("5 €", "a currency"),
        ("EUR 5", "a currency"),
        ("R$ 5,20", "a currency"),
        ("US$5", "a currency"),
        ("5 z\u0142", "a currency"),
        ("kr 1.200,50", "a currency"),
        ("5 kr.", "a currency"),
        ("Rs 12,34,567.50", "a currency"),
        ("\u20bd5", "a currency"),
        ("5\u20ba", "a currency"),
        ("\u0e3f100", "a currency"),
        ("12,34,567", "a thousands separator"),
        ("1,5\u00a0%", "a percent sign"),
        ("%5", "a percent sign"),
        (",5", "a decimal comma"),
        ("12,-", "a decimal comma"),
        ("12-", "a minus sign behind"),
        ("1,200.50-", "a minus sign behind"),
        ("(5)", "brackets"),
        ("(1,234.50)", "brackets"),
        ("($5)", "brackets"),
        ("'5", "a leading apostrophe"),
        ("\u20191,5", "a leading apostrophe"),
        ('="5"', "an equals sign"),
        ('"5"', "quotes of their own"),
        ("\u22125", "the symbol '\u2212'"),
        ("\u221212,5", "a decimal comma"),
        ("\u0661\u0662", "the symbol '\u0661'"),
        ("\uff15", "the symbol '\uff15'"),
        ("\u00a05", "the symbol '\\xa0'"),
    ],
)
def test_a_number_of_another_dialect_is_known_by_what_is_odd(text: str, what: str) -> None:
    assert what == foreign_number(text)


@pytest.mark.parametrize(
    "text",
    [
        *["1.5", "1e3", "NA", "?", "abc", "2024-01-05", "01.02.2024", "12:30", "1.2.3", "v1.2"],
        *["192.168.100.200", "A5", "A12", "QX-7", "12A", "#5", "3rd", "1st floor", "10mm", "18-25"],
        *["030 123 456", "+49 170 1234567", "(555) 123-4567", "123-45-6789", "12-34"],
        *["(A)", "'90s", "%", "e5", "1/2", "5+", "<5", "\u2460", "5\u00b2"],
    ],
)
def test_what_is_a_number_or_none_in_any_dialect_is_not_taken_for_one(text: str) -> None:
    assert "" == foreign_number(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "01"),
        ("1", "1e0"),
        ("9007199254740993", "9007199254740993.0"),
        ("True", "true"),
        ("FALSE", " false"),
        ("caf\u00e9", "cafe\u0301"),
        ("yes", " yes "),
    ],
)
def test_spellings_of_one_value_are_the_same(one: str, other: str) -> None:
    assert same(one) == same(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("9007199254740993", "9007199254740992"), ("a", "A"), (">50K", ">50K."), ("1", "true")],
)
def test_values_that_differ_are_not_the_same(one: str, other: str) -> None:
    assert same(one) != same(other)


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
