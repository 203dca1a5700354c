"""Numbers with a unit are no texts; codes and names that have a number in them are no numbers."""

import csv
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from harness import Result, RunStage

ROWS = 200
RANDOM = np.random.default_rng(0)
LETTERS = np.array([*"ABCDEF"])


def fit(run_stage: RunStage, columns: Mapping[str, Sequence[str]], **params: object) -> Result:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([[*columns], *zip(*columns.values())])  # noqa: B905
    rows = text.getvalue().count("\n") - 1
    target = "target\n" + ("a\nb\n" * rows)[: 2 * rows]
    files = {"data.csv": text.getvalue(), "target.csv": target}
    return run_stage("preprocess", "fit", inputs={"raw/2024-01-01": files}, **params)


def kinds(result: Result) -> dict[str, str]:
    assert (0, "") == (result.code, result.last_error)
    columns = json.loads((result.out / "preprocess.json").read_text("utf-8"))["columns"]
    return {column["name"]: column["kind"] for column in columns}


def whole(form: str, high: int = 100) -> list[str]:
    """Return texts of this form, with whole numbers in it, and letters."""
    numbers, letters = RANDOM.integers(1, high, ROWS), RANDOM.choice(LETTERS, ROWS)
    return [form.format(*both) for both in zip(numbers.tolist(), letters.tolist(), strict=True)]


def broken(form: str) -> list[str]:
    """Return texts of this form, with numbers in it that have fractions."""
    return [form.format(number) for number in RANDOM.uniform(1, 2000, ROWS).tolist()]


def some(*texts: str) -> list[str]:
    """Return these texts, over and over."""
    return [texts[row % len(texts)] for row in range(ROWS)]


NUMBERS = {
    "weights": broken("{:.1f} kg"),
    "a few weights": ["12.5 kg", "7 kg", "80.25 kg"],
    "two weights": ["12.5 kg", "7 kg"],
    "gaps beside them": ["12.5 kg", "NA", "7.25 kg", "", "?"],
    "hours": whole("{}h"),
    "minutes": whole("{} minutes"),
    "speeds": whole("{} km/h", 200),
    "areas": whole("{} m2"),
    "areas in Unicode": whole("{} m\u00b2"),
    "temperatures": broken("{:.1f} \u00b0C"),
    "temperatures below 0": broken("\u2212{:.1f} \u00b0C"),
    "angles": broken("{:.1f}\u00b0"),
    "inches": broken('{:.1f}"'),
    "concentrations": broken("{:.2f} \u00b5g/m\u00b3"),
    "thousands": broken("{:,.0f} km"),
    "decimal commas": [text.replace(".", ",") for text in broken("{:.1f} kg")],
    "thousands and millions": ["1.5k", "2M", "3.25k", "900k"],
    "sizes of files": [*broken("{:.1f} kB"), *broken("{:.1f} MB"), *broken("{:.1f} GB")],
    "whole numbers of two units of time": [*whole("{}h"), *whole("{}m")],
    "a currency before": broken("AED {:.2f}"),
    "a currency close by": broken("SEK{:.2f}"),
}

NAMES = {
    "letters before": whole("{1}{0}"),
    "one letter before": whole("A{}"),
    "a dash": whole("QX-{}"),
    "ordinals": [f"{n}{['st', 'nd', 'rd'][n - 1] if n < 4 else 'th'}" for n in range(1, 50)] * 5,
    "floors": some("1st floor", *(f"{n}th floor" for n in range(4, 40))),
    "clocks": whole("{}:30"),
    "hours of the day": some(*(f"{n} pm" for n in range(1, 13)), *(f"{n}am" for n in range(1, 13))),
    "days": [f"2024-01-{n % 28 + 1:02}" for n in range(ROWS)],
    "days of a month": whole("{} Jan 2024", 31),
    "addresses": whole("10.0.7.{}"),
    "versions": whole("1.2.{}"),
    "short versions": some("v1.2", "v1.10", "v2.0", "v2.1", "v3.0", "v3.11", "v4.0"),
    "names with versions": some(*(f"Python 3.{n}" for n in range(6, 15))),
    "ranges": some("18-25", "26-35", "36-45"),
    "ranges with open ends": some("<18", "18-25", "26-35", "36-45", "45+"),
    "a few fractions": some("1/2", "1/4", "3/4"),
    "codes of numbers and letters": [f"{n}A{n + 7}C" for n in range(ROWS)],
    "grades": some("A+", "A", "B+", "B"),
    "seats": whole("{}{}"),
    "postcodes of letters": whole("{} {}B", 9999),
    "postcodes of words": whole("SW{} 4{}A"),
    "telephones": [f"612 {n:03} {999 - n}" for n in range(ROWS)],
    "long telephones": [f"+49 170 1234{n:03}" for n in range(ROWS)],
    "diagnoses": broken("E{:.1f}"),
    "numbers of things": whole("ID {}", 9999),
    "rooms": whole("Room {}"),
    "serial numbers": [f"{n}B" for n in range(1_000_000, 1_000_000 + ROWS)],
    "zeros in front": [f"{n:05}A" for n in range(ROWS)],
    "hashes": [f"c{n:08x}" for n in RANDOM.integers(0, 2**32, ROWS).tolist()],
    "quarters": some("2024Q1", "2024Q2", "2024Q3", "2024Q4"),
    "sizes": some("2XL", "3XL", "XL", "L"),
    "two sizes": some("10mm", "12mm"),
    "places": some("10 Main Street", "7 Oak Avenue", "12 Mill Road", "3 High Street"),
}

WRITTEN = {
    "durations": [f"{n // 60}h {n % 60}m" for n in range(60, 60 + ROWS)],
    "durations of one part or two": [
        " ".join(part for part in (f"{n // 60}h", f"{n % 60}m") if part[0] != "0")
        for n in range(30, 30 + ROWS)
    ],
    "long durations": [f"{n} days, {n % 24} hours" for n in range(1, ROWS)],
    "heights": [f"{n // 12}'{n % 12}\"" for n in range(50, 85)] * 3,
    "heights without the last sign": [f"{n // 12}' {n % 12}" for n in range(50, 85)] * 3,
    "heights in words": [f"{n // 12} ft {n % 12} in" for n in range(50, 85)] * 3,
    "about": whole("~{}", 900),
    "at most": whole("<= {} min", 900),
    "limits of detection": broken("<{:.2f}"),
    "and more": whole("{}+", 900),
}

EITHER = {
    "a few sizes": some("10mm", "12mm", "14mm"),
    "engines": some("1.6L", "2.0L", "2.5L"),
    "whole amounts": whole("AED {}"),
    "a few hours": some(*(f"{n}h" for n in range(1, 13))),
    "a few limits": some("<5", "<10", "<20"),
    "a few heights": some("5'11\"", "6'0\"", "5'8\""),
    "many fractions": [f"{n}/{n + 7}" for n in range(1, 50)] * 5,
}


@pytest.mark.parametrize("column", NUMBERS)
def test_numbers_with_a_unit_are_refused(run_stage: RunStage, column: str) -> None:
    texts = NUMBERS[column]
    result = fit(run_stage, {column: texts, "i": [str(row) for row in range(len(texts))]})

    assert 65 == result.code
    assert f"raw/2024-01-01/data.csv, row 1: column {column!r} holds" in result.last_error
    assert ", numbers with a unit: write them like 1234.5, or name the" in result.last_error
    assert all(f"{text!r}" in result.last_error for text in texts[:2] if text != "NA")


@pytest.mark.parametrize("column", WRITTEN)
def test_quantities_in_parts_or_with_a_sign_are_refused(run_stage: RunStage, column: str) -> None:
    texts = WRITTEN[column]
    result = fit(run_stage, {column: texts, "i": [str(row) for row in range(len(texts))]})

    assert 65 == result.code
    assert f"row 1: column {column!r} holds {texts[0]!r} and" in result.last_error
    assert ": write them like 1234.5, or name the column in" in result.last_error


def test_codes_and_names_with_numbers_in_them_are_categories(run_stage: RunStage) -> None:
    result = fit(run_stage, {name: texts[:ROWS] for name, texts in NAMES.items()})

    assert dict.fromkeys(NAMES, "categorical") == kinds(result)
    assert "warnings" not in result.summary


def test_a_few_numbers_with_a_unit_are_categories_that_are_warned_about(
    run_stage: RunStage,
) -> None:
    result = fit(run_stage, EITHER)
    named = fit(run_stage, EITHER, categorical=",".join(EITHER))

    assert dict.fromkeys(EITHER, "categorical") == kinds(result)
    assert all(f"column {name!r} holds" in result.summary["warnings"] for name in EITHER)
    assert "column 'a few sizes' holds '10mm' and '12mm', names to a model" in result.stdout
    assert "warnings" not in named.summary


def test_numbers_with_a_unit_are_categories_where_they_are_said_to_be(run_stage: RunStage) -> None:
    result = fit(run_stage, {"w": NUMBERS["weights"]}, categorical="w")

    assert {"w": "categorical"} == kinds(result)
