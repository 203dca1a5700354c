"""Every kind of harm to every file that a stage reads: its exit code and its one sentence."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from chain import Chain, image_of
from harness import Input, Result

Lines = list[str]
Harm = Callable[[Lines], Lines]

ROW = 7  # the row that is harmed; line 0 is the header


def empty_file(_lines: Lines) -> Lines:
    return []


def header_only(lines: Lines) -> Lines:
    return lines[:1]


def half_of_the_file(lines: Lines) -> Lines:
    return lines[: len(lines) // 2]


def a_field_too_few(lines: Lines) -> Lines:
    return with_row(lines, lines[ROW].rpartition(",")[0])


def a_field_too_many(lines: Lines) -> Lines:
    return with_row(lines, lines[ROW] + ",1")


def another_column(lines: Lines) -> Lines:
    names = lines[0].split(",")
    return [",".join(["another", *names[1:]]), *lines[1:]]


def a_column_twice(lines: Lines) -> Lines:
    names = lines[0].split(",")
    return [",".join([names[1], *names[1:]]), *lines[1:]]


def a_column_without_a_name(lines: Lines) -> Lines:
    return ["," + lines[0].partition(",")[2], *lines[1:]]


def a_feature_called_target(lines: Lines) -> Lines:
    return ["target," + lines[0].partition(",")[2], *lines[1:]]


def text_among_numbers(lines: Lines) -> Lines:
    return with_number(lines, "abc")


def infinity(lines: Lines) -> Lines:
    return with_number(lines, "inf")


def not_utf8(lines: Lines) -> Lines:
    return with_row(lines, "\udce9" + lines[ROW])


def target_blank(lines: Lines) -> Lines:
    return with_target(lines, "")


def target_nan(lines: Lines) -> Lines:
    return with_target(lines, "NaN")


def one_class_only(lines: Lines) -> Lines:
    features = [line.rpartition(",")[:2] for line in lines[1:]]
    return [lines[0], *("".join(before) + "1" for before in features)]


def a_class_for_every_row(lines: Lines) -> Lines:
    return [lines[0], *(f"{number}.5" for number in range(1, len(lines)))]


def one_row_fewer(lines: Lines) -> Lines:
    return lines[:-1]


def with_row(lines: Lines, line: str) -> Lines:
    return [*lines[:ROW], line, *lines[ROW + 1 :]]


def with_number(lines: Lines, text: str) -> Lines:
    fields = lines[ROW].split(",")
    fields[lines[0].split(",").index(a_numeric_column(lines))] = text
    return with_row(lines, ",".join(fields))


def with_target(lines: Lines, label: str) -> Lines:
    return with_row(lines, "".join(lines[ROW].rpartition(",")[:2]) + label)


def a_numeric_column(lines: Lines) -> str:
    header, *rows = csv.reader(lines)
    is_number = [value.replace(".", "").removeprefix("-").isdigit() for value in rows[ROW - 1]]
    return header[is_number.index(True)]


# What the sentence has to say beside the file: where it is, what it is about.
SAYS: dict[Harm, list[str]] = {
    a_field_too_few: [f"row {ROW}"],
    a_field_too_many: [f"row {ROW}"],
    text_among_numbers: [f"row {ROW}", "COLUMN", "abc"],
    infinity: [f"row {ROW}", "COLUMN"],
    target_blank: [f"row {ROW}", "target"],
    target_nan: [f"row {ROW}", "target"],
    a_feature_called_target: ["target"],
    one_class_only: ["class"],
    a_class_for_every_row: ["classes"],
    not_utf8: ["UTF-8"],
}

TABLE = [empty_file, header_only, a_field_too_few, a_field_too_many]
HARMS: dict[tuple[str, str], list[Harm]] = {
    ("preprocess", "raw/data.csv"): [
        *TABLE,
        a_column_twice,
        a_column_without_a_name,
        a_feature_called_target,
        text_among_numbers,
        infinity,
        not_utf8,
        one_row_fewer,
    ],
    ("preprocess", "raw/target.csv"): [
        empty_file,
        header_only,
        a_field_too_many,
        another_column,
        target_blank,
        target_nan,
        one_class_only,
        a_class_for_every_row,
        one_row_fewer,
        not_utf8,
    ],
    ("split", "processed/train_data.csv"): TABLE,
    ("split", "processed/preprocess.json"): [empty_file, half_of_the_file],
    ("train", "split/train.csv"): [
        *TABLE,
        another_column,
        text_among_numbers,
        target_blank,
        one_class_only,
    ],
    ("train", "processed/preprocess.json"): [empty_file, half_of_the_file],
    ("transform", "raw/data.csv"): [
        *TABLE,
        another_column,
        a_column_twice,
        text_among_numbers,
        infinity,
        not_utf8,
    ],
    ("transform", "model/preprocess.json"): [empty_file, half_of_the_file],
    ("predict", "features/data.csv"): [*TABLE, another_column, text_among_numbers],
    ("predict", "model/model.txt"): [empty_file, half_of_the_file],
    ("predict", "model/model.json"): [empty_file, half_of_the_file],
    ("validate", "split/val.csv"): [
        *TABLE,
        another_column,
        text_among_numbers,
        target_blank,
        one_class_only,
    ],
    ("validate", "model/model.txt"): [empty_file, half_of_the_file],
    ("validate", "model/model.json"): [empty_file, half_of_the_file],
}


@pytest.mark.parametrize(
    ("image", "stage", "file", "harm"),
    [
        pytest.param(image_of(stage), stage, file, harm, id=f"{stage}-{file}-{harm.__name__}")
        for (stage, file), harms in HARMS.items()
        for harm in harms
    ],
)
def test_harm_is_refused_with_65_and_one_sentence(
    chain: Chain, image: str, stage: str, file: str, harm: Harm
) -> None:
    folder, name = find(chain.inputs(stage), file)
    lines = (folder / name).read_text("utf-8").splitlines()
    text = "".join(f"{line}\n" for line in harm(lines))
    inputs = replaced(chain, stage, file, text.encode(errors="surrogateescape"))
    result = chain.run(image, stage, inputs)

    assert_refused(result, 65)
    assert name in result.last_error
    for words in SAYS.get(harm, []):
        assert words.replace("COLUMN", a_numeric_column(lines)) in result.last_error


@pytest.mark.parametrize(
    ("image", "stage", "file"),
    [pytest.param(image_of(stage), stage, file, id=f"{stage}-{file}") for stage, file in HARMS],
)
def test_a_missing_file_is_refused_with_66(chain: Chain, image: str, stage: str, file: str) -> None:
    result = chain.run(image, stage, replaced(chain, stage, file, None))

    assert_refused(result, 66)
    assert file.rpartition("/")[2] in result.last_error


@pytest.mark.parametrize(
    ("image", "stage", "name"),
    [
        pytest.param(image_of(stage), stage, name, id=f"{stage}-{name}")
        for stage, name in dict.fromkeys((s, f.partition("/")[0]) for s, f in HARMS)
    ],
)
def test_a_missing_folder_is_refused_with_66(
    chain: Chain, image: str, stage: str, name: str
) -> None:
    inputs = {k: v for k, v in chain.inputs(stage).items() if k.partition("/")[0] != name}
    result = chain.run(image, stage, inputs)

    assert_refused(result, 66)
    assert name in result.last_error


def assert_refused(result: Result, code: int) -> None:
    assert (code, 1) == (result.code, len(result.stderr.splitlines())), result.stderr
    assert len(result.last_error) < 400
    assert not (result.out / "summary.json").exists()


def find(inputs: dict[str, Path], file: str) -> tuple[Path, str]:
    """`raw/data.csv` is in the folder of the first input called raw."""
    folder, _, name = file.partition("/")
    return next(path for key, path in inputs.items() if key.partition("/")[0] == folder), name


def replaced(chain: Chain, stage: str, file: str, content: bytes | None) -> dict[str, Input]:
    """The stage's inputs with another content of one file, or without it."""
    inputs = chain.inputs(stage)
    harmed, name = find(inputs, file)
    files = {path.name: path.read_bytes() for path in harmed.iterdir() if path.name != name}
    if content is not None:
        files[name] = content
    return {key: files if path == harmed else path for key, path in inputs.items()}
