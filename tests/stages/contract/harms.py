"""What may be wrong with a file that a stage reads, and what a stage has to say of it.

Which harms apply follows from the file: its place under /in, or else its ending.
"""

import csv
from collections.abc import Callable

from pipeline import as_csv

Rows = list[list[str]]
Harm = Callable[[bytes], bytes]

ROW = 7  # the row that is harmed, counted from 1 below the header


def of_table(change: Callable[[Rows], Rows]) -> Harm:
    """Make a harm to the bytes of a CSV file from one to its rows, of which the header is 0."""

    def harm(content: bytes) -> bytes:
        return as_csv(change(rows_of(content))).encode(errors="surrogateescape")

    harm.__name__ = change.__name__
    return harm


def rows_of(content: bytes) -> Rows:
    return list(csv.reader(content.decode().splitlines(keepends=True)))


def empty_file(_content: bytes) -> bytes:
    return b""


def cut_in_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@of_table
def header_only(rows: Rows) -> Rows:
    return rows[:1]


@of_table
def a_field_too_few(rows: Rows) -> Rows:
    return with_row(rows, rows[ROW][:-1])


@of_table
def a_field_too_many(rows: Rows) -> Rows:
    return with_row(rows, [*rows[ROW], "1"])


@of_table
def another_column(rows: Rows) -> Rows:
    return [["another", *rows[0][1:]], *rows[1:]]


@of_table
def a_column_twice(rows: Rows) -> Rows:
    return [[rows[0][1], *rows[0][1:]], *rows[1:]]


@of_table
def a_column_without_a_name(rows: Rows) -> Rows:
    return [["", *rows[0][1:]], *rows[1:]]


@of_table
def a_feature_called_target(rows: Rows) -> Rows:
    return [["target", *rows[0][1:]], *rows[1:]]


@of_table
def text_among_numbers(rows: Rows) -> Rows:
    return with_number(rows, "abc")


@of_table
def infinity(rows: Rows) -> Rows:
    return with_number(rows, "inf")


@of_table
def not_utf8(rows: Rows) -> Rows:
    return with_row(rows, ["\udce9" + rows[ROW][0], *rows[ROW][1:]])


@of_table
def target_blank(rows: Rows) -> Rows:
    return with_row(rows, [*rows[ROW][:-1], ""])


@of_table
def target_nan(rows: Rows) -> Rows:
    return with_row(rows, [*rows[ROW][:-1], "NaN"])


@of_table
def one_class_only(rows: Rows) -> Rows:
    label = min(row[-1] for row in rows[1:])
    return [rows[0], *([*row[:-1], label] for row in rows[1:])]


@of_table
def a_class_for_every_row(rows: Rows) -> Rows:
    return [rows[0], *([*row[:-1], f"{n}.5"] for n, row in enumerate(rows[1:]))]


@of_table
def one_row_fewer(rows: Rows) -> Rows:
    return rows[:-1]


def with_row(rows: Rows, row: list[str]) -> Rows:
    return [*rows[:ROW], row, *rows[ROW + 1 :]]


def with_number(rows: Rows, text: str) -> Rows:
    row = list(rows[ROW])
    row[rows[0].index(a_numeric_column(rows))] = text
    return with_row(rows, row)


def a_numeric_column(rows: Rows) -> str:
    is_number = [value.replace(".", "").removeprefix("-").isdigit() for value in rows[ROW]]
    return rows[0][is_number.index(True)]


# What the sentence has to name beside the file.
ROW_NAMED = {a_field_too_few, a_field_too_many, text_among_numbers, infinity}
NUMBER_NAMED = {text_among_numbers, infinity}
TARGET_NAMED = {target_blank, target_nan}

# What is no harm to a stage. A day may have no rows. Labels may come later than predictions (None:
# the file is missing), for some of the rows alone, and be of one class, or of one that is for the
# report to name. By the kind of work.
NO_HARM: dict[str, dict[str, set[Harm | None]]] = {
    "transform-rows": {"raw/data.csv": {header_only}},
    "predict-rows": {"features/data.csv": {header_only}},
    "report-quality": {
        "raw/target.csv": {
            None,
            header_only,
            target_blank,
            target_nan,
            one_class_only,
            a_class_for_every_row,
            one_row_fewer,
        }
    },
}

# Likewise where numbers are to be predicted: as many targets as rows, or one in all that validate.
NO_HARM_TO_NUMBERS: dict[str, dict[str, set[Harm | None]]] = {
    "fit-columns": {"raw/target.csv": {a_class_for_every_row}},
    "validate-model": {"split/val.csv": {one_class_only}},
}

# One day alone cannot have it; the others are done to the newest day.
TO_EVERY_DAY = {one_class_only}

SHORT = [empty_file, header_only]
TABLE = [*SHORT, a_field_too_few, a_field_too_many]
NUMBERS = [*TABLE, another_column, text_among_numbers]
LABELLED = [*NUMBERS, target_blank, one_class_only]
RAW = [*NUMBERS, a_column_twice, a_column_without_a_name, a_feature_called_target]

BY_FILE: dict[str, list[Harm]] = {
    "raw/data.csv": [*RAW, infinity, not_utf8],
    "raw/target.csv": [
        *SHORT,
        a_field_too_many,
        another_column,
        target_blank,
        target_nan,
        one_class_only,
        a_class_for_every_row,
        one_row_fewer,
        not_utf8,
    ],
    "split/train.csv": LABELLED,
    "split/val.csv": LABELLED,
    "features/data.csv": NUMBERS,
}
BY_ENDING = {".csv": TABLE}
BY_DEFAULT: list[Harm] = [empty_file, cut_in_half]


def harms_of(file: str) -> list[Harm]:
    """The harms that are done to a file such as raw/data.csv."""
    ending = file[file.rindex(".") :] if "." in file else ""
    return BY_FILE.get(file) or BY_ENDING.get(ending) or BY_DEFAULT
