"""split_lua parts the rows as preprocess does, in another language."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness import USER, Engine, Result, RunStage

from microstage.table import Limits

IMAGE = "split_lua"
DAY = "2013-01-01"


def processed(rows_by_day: dict[str, list[str]]) -> dict[str, str]:
    """Return what fit writes, of one feature that counts the rows, and these labels of each day."""
    labels = [label for day in rows_by_day.values() for label in day]
    days = [{"day": day, "rows": len(rows)} for day, rows in rows_by_day.items()]
    spec = {
        "version": 1,
        "columns": [{"name": "x", "kind": "numeric"}],
        "classes": sorted(set(labels)),
        "days": days,
    }
    return table(list(enumerate(labels))) | {"preprocess.json": json.dumps(spec)}


def of_numbers(files: dict[str, str]) -> dict[str, str]:
    """Return the same with numbers to predict."""
    spec = json.loads(files["preprocess.json"])
    del spec["classes"]
    return files | {"preprocess.json": json.dumps({**spec, "task": "regression"})}


def table(rows: Sequence[tuple[object, object]]) -> dict[str, str]:
    lines = "".join(f"{row},{label}\n" for row, label in rows)
    return {"train_data.csv": f"x,target\n{lines}"}


def split(
    run_stage: RunStage, files: dict[str, str], image: str = IMAGE, **params: object
) -> Result:
    result = run_stage(image, "split", inputs={"processed": files}, **params)
    assert (0, "") == (result.code, result.stderr)
    return result


def refused(run_stage: RunStage, files: dict[str, str]) -> str:
    result = run_stage(IMAGE, "split", inputs={"processed": files})
    assert (65, 1) == (result.code, len(result.stderr.splitlines()))
    assert [] == [path.name for path in result.out.iterdir() if path.name == "summary.json"]
    return result.last_error


def rows(file: Path) -> list[tuple[int, str]]:
    header, *lines = file.read_text("utf-8").splitlines()
    assert "x,target" == header
    return [(int(row), label) for row, _, label in (line.partition(",") for line in lines)]


def both(result: Result) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    return rows(result.out / "train.csv"), rows(result.out / "val.csv")


@pytest.mark.parametrize("image", [IMAGE, "preprocess"])
def test_rows_that_came_several_times_are_on_one_side(run_stage: RunStage, image: str) -> None:
    once = [(row, str(row % 2)) for row in range(60)]
    files = processed({DAY: [label for _, label in once] * 3}) | table(once * 3)
    train, val = both(split(run_stage, files, image))

    assert (48, 12) == (len(set(train)), len(set(val)))
    assert (144, 36) == (len(train), len(val))
    assert set(train).isdisjoint(val)


ALIKE = {
    "few kinds": [(row % 4, row % 2) for row in range(200)],
    "many rows of each": [(row % 60, row // 60 % 2) for row in range(400)],
    "several classes": [(row // 4, row % 2) for row in range(240)],
}


@pytest.mark.parametrize("image", [IMAGE, "preprocess"])
@pytest.mark.parametrize("kind", ALIKE)
def test_rows_that_are_alike_by_chance_are_parted_row_by_row(
    run_stage: RunStage, image: str, kind: str
) -> None:
    alike = ALIKE[kind]
    files = processed({DAY: [str(label) for _, label in alike]}) | table(alike)
    train, val = both(split(run_stage, files, image))

    assert round(0.2 * len(alike)) == len(val)
    assert set(train) & set(val)


@pytest.mark.parametrize("image", [IMAGE, "preprocess"])
def test_of_numbers_a_share_of_all_rows_validates(run_stage: RunStage, image: str) -> None:
    files = of_numbers(processed({DAY: [str(row / 7) for row in range(100)]}))
    result = split(run_stage, files, image)
    train, val = both(result)

    assert {"train_rows": 80, "val_rows": 20, "by": "row"} == result.summary
    assert sorted(train) == train
    assert sorted(val) == val
    assert [row for row, _ in val] != list(range(80, 100))
    assert set(train).isdisjoint(val)


@pytest.mark.parametrize("image", [IMAGE, "preprocess"])
def test_days_of_one_class_before_those_that_validate_are_refused(
    run_stage: RunStage, image: str
) -> None:
    files = processed({DAY: ["a, b"] * 3, "2013-01-02": ["a, b", "c, b"]})
    quoted = [(row, '"c, b"' if row == 4 else '"a, b"') for row in range(5)]
    one = run_stage(image, "split", inputs={"processed": files | table(quoted)})
    two = run_stage(image, "split", inputs={"processed": files | table([(9, "d"), *quoted[1:]])})
    numbers = of_numbers(processed({DAY: ["1"] * 3, "2013-01-02": ["1", "2"]}))

    assert (65, 0) == (one.code, two.code)
    assert "all rows to learn from are of class 'a, b', as the newest days" in one.last_error
    assert 3 == split(run_stage, numbers, image).summary["train_rows"]


@pytest.mark.parametrize("image", [IMAGE, "preprocess"])
def test_one_row_of_numbers_is_refused(run_stage: RunStage, image: str) -> None:
    files = of_numbers(processed({DAY: ["1.5"]}))
    result = run_stage(image, "split", inputs={"processed": files})

    assert (65, True) == (result.code, "there is one row: provide more" in result.last_error)


@pytest.mark.parametrize("days", [2, 5])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.999])
def test_days_are_parted_exactly_as_preprocess_parts_them(
    run_stage: RunStage, days: int, fraction: float
) -> None:
    files = processed({f"2013-01-0{day}": ["0", "1"] * day for day in range(1, 1 + days)})
    lua, python = (
        split(run_stage, files, image, val_fraction=fraction) for image in (IMAGE, "preprocess")
    )

    assert python.summary == lua.summary
    for name in ("train.csv", "val.csv"):
        assert (python.out / name).read_bytes() == (lua.out / name).read_bytes()


@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.25, 0.999])
def test_as_many_rows_of_each_class_validate_as_with_preprocess(
    run_stage: RunStage, fraction: float
) -> None:
    files = processed({DAY: ["a"] * 100 + ["b"] * 22 + ["c"] * 2 + ["d"]})
    lua, python = (
        split(run_stage, files, image, val_fraction=fraction) for image in (IMAGE, "preprocess")
    )

    assert python.summary == lua.summary
    for name in ("train.csv", "val.csv"):
        expected, found = (Counter(y for _, y in rows(run.out / name)) for run in (python, lua))
        assert expected == found


def test_each_row_is_on_one_side_and_in_order(run_stage: RunStage) -> None:
    train, val = both(split(run_stage, processed({DAY: ["0", "1", "1"] * 50})))

    assert sorted(train) == train
    assert sorted(val) == val
    assert list(range(150)) == sorted(row for row, _ in [*train, *val])


def test_every_row_may_validate_and_as_often_as_any_other(run_stage: RunStage) -> None:
    files = processed({DAY: ["0"] * 10})
    chosen = Counter(
        row
        for seed in range(20)
        for row, _ in rows(split(run_stage, files, val_fraction=0.5, seed=seed).out / "val.csv")
    )

    assert 10 == len(chosen)
    assert 2 <= min(chosen.values()) <= max(chosen.values()) <= 18  # 10 on average, sigma 2.2


def test_the_seed_chooses_the_rows(run_stage: RunStage) -> None:
    files = processed({DAY: ["0", "1"] * 50})
    first, again, other = (
        (split(run_stage, files, seed=seed).out / "val.csv").read_bytes() for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_quoted_labels_stay_quoted_and_whole(run_stage: RunStage) -> None:
    files = processed({DAY: ['"a, b"', '"two\nlines"', '"say ""x"""'] * 4})
    result = split(run_stage, files, val_fraction=0.25)
    _, _, table = files["train_data.csv"].partition("\n")
    written = [(result.out / name).read_text("utf-8") for name in ("train.csv", "val.csv")]

    assert sorted(table.splitlines()) == sorted(
        line for text in written for line in text.splitlines()[1:]
    )
    assert {"train_rows": 9, "val_rows": 3, "by": "class"} == result.summary


def test_quotes_line_ends_and_a_byte_order_mark_do_not_change_the_choice(
    run_stage: RunStage,
) -> None:
    files = processed({DAY: ["a", "b"] * 30})
    fields = (line.split(",") for line in files["train_data.csv"].splitlines())
    text = "\ufeff" + "".join(f'"{x}","{y}"\r\n' for x, y in fields)
    plain, spelled = (
        (split(run_stage, some).out / "val.csv").read_text("utf-8")
        for some in (files, files | {"train_data.csv": text})
    )

    assert plain == spelled.replace('"', "")


def test_a_last_line_without_an_end_is_a_row(run_stage: RunStage) -> None:
    files = processed({DAY: ["a", "b"] * 5})
    files["train_data.csv"] = files["train_data.csv"].removesuffix("\n")
    train, val = both(split(run_stage, files))

    assert 10 == len(train) + len(val)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1", "row 3: it has 1 fields, not 2"),
        ("1,0,0", "row 3: it has 3 fields, not 2"),
        ('"1,0', "row 3: a quote is open"),
        ('1"2",0', "row 3: a quote is open"),
        ('"1"2,0', "row 3: a quote is open"),
        ("1\r2,0", "row 3: it has a carriage return"),
        ("1\0,0", "row 3: it is not UTF-8"),
        ("", "row 3: it has 1 fields, not 2"),
    ],
)
def test_a_malformed_row_is_refused(run_stage: RunStage, row: str, says: str) -> None:
    files = processed({DAY: ["0", "1"] * 5})
    lines = files["train_data.csv"].splitlines()
    files["train_data.csv"] = "".join(f"{line}\n" for line in [*lines[:3], row, *lines[4:]])

    assert f"processed/train_data.csv, {says}" in refused(run_stage, files)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"version": 1}',
        '{"version": 2, "days": [{"rows": 10}]}',
        '{"version": 1, "days": []}',
        '{"version": 1, "days": [{"rows": "10"}]}',
        '{"version": 1, "days": [{"rows": 10}]} {}',
    ],
)
def test_another_preprocess_json_is_refused(run_stage: RunStage, text: str) -> None:
    files = processed({DAY: ["0", "1"] * 5}) | {"preprocess.json": text}

    assert "processed/preprocess.json is not" in refused(run_stage, files)


def test_a_day_whose_classes_have_a_single_row_is_refused(run_stage: RunStage) -> None:
    assert "no class has two rows" in refused(run_stage, processed({DAY: ["0", "1"]}))


def test_a_table_of_another_length_than_its_days_is_refused(run_stage: RunStage) -> None:
    files = processed({DAY: ["0", "1"], "2013-01-02": ["0", "1"]})
    files["train_data.csv"] += "4,0\n"

    assert "has 5 rows, preprocess.json 4" in refused(run_stage, files)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--val-fraction", "1"],
        ["--val-fraction", "many"],
        ["--val-fraction=0x1p-1"],
        ["--seed", "-1"],
        ["--seed", "1.5"],
        ["--seed"],
        ["split"],
    ],
)
def test_wrong_parameters_are_wrong_usage(engine: Engine, arguments: list[str]) -> None:
    result = engine.run(IMAGE, ["split", *arguments])

    assert (64, True) == (result.code, result.last_error.endswith(": see --help"))


def test_memory_does_not_grow_with_the_rows(engine: Engine) -> None:
    text = "x,target\n" + "0.12345678901234567,1\n0.5,0\n" * 1_200_000  # 34 MB
    spec = {"version": 1, "days": [{"day": DAY, "rows": 2_400_000}]}
    files = {"train_data.csv": text, "preprocess.json": json.dumps(spec)}
    result = engine.run(
        IMAGE,
        ["split"],
        inputs={"processed": files},
        # The engine needs 14 MB of it, for a moment, to start the container.
        limits=Limits(cpus=1, memory=24 * 2**20, pids=8, timeout=60),
    )

    assert (0, "") == (result.code, result.stderr)
    assert 480_000 == result.summary["val_rows"]


def test_memory_does_not_grow_with_the_length_of_rows_that_differ(engine: Engine) -> None:
    rest = ",0.12345678901234567" * 50  # 40 MB in all
    names = ",".join(f"x{column}" for column in range(51))
    text = f"{names},target\n" + "".join(f"{row}{rest},{row % 2}\n" for row in range(40_000))
    spec = {"version": 1, "days": [{"day": DAY, "rows": 40_000}]}
    result = engine.run(
        IMAGE,
        ["split"],
        inputs={"processed": {"train_data.csv": text, "preprocess.json": json.dumps(spec)}},
        limits=Limits(cpus=1, memory=24 * 2**20, pids=8, timeout=60),
    )

    assert (0, "") == (result.code, result.stderr)
    assert 8_000 == result.summary["val_rows"]


@pytest.mark.parametrize("program", ["python3", "sh", "perl"])
def test_it_holds_no_python_and_no_shell(engine: Engine, program: str) -> None:
    result = engine.run(IMAGE, [], entrypoint=[program])

    assert 127 == result.code
    assert f"exec {program} failed: No such file" in result.last_error


@pytest.mark.parametrize("closed", ["preprocess.json", "train_data.csv"])
def test_a_file_that_may_not_be_read_is_66_and_says_who_must_be_able_to(
    run_stage: RunStage, engine: Engine, closed: str
) -> None:
    folder = engine.new("in")
    for name, content in processed({DAY: ["0", "1", "0", "1"]}).items():
        (folder / name).write_text(content)
    (folder / closed).chmod(0)
    result = run_stage(IMAGE, "split", inputs={"processed": folder})
    who = f"uid {USER.partition(':')[0]}, as which this stage runs"

    assert 66 == result.code
    assert f"processed/{closed} cannot be read by {who}: let it, by chmod or chown" == (
        result.last_error
    )
