"""How split parts the rows: by time, or one day by class."""

import json
from collections import Counter
from pathlib import Path

import pytest
from harness import Result, RunStage


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
    table = "".join(f"{row},{label}\n" for row, label in enumerate(labels))
    return {"train_data.csv": f"x,target\n{table}", "preprocess.json": json.dumps(spec)}


def split(run_stage: RunStage, files: dict[str, str], **params: object) -> Result:
    result = run_stage("preprocess", "split", inputs={"processed": files}, **params)
    assert (0, "") == (result.code, result.last_error)
    return result


def rows(file: Path) -> list[tuple[int, str]]:
    header, *lines = file.read_text("utf-8").splitlines()
    assert "x,target" == header
    return [(int(row), label) for row, _, label in (line.partition(",") for line in lines)]


def test_the_newest_days_validate_whole(run_stage: RunStage) -> None:
    files = processed({f"2013-01-0{day}": ["0", "1"] * day for day in range(1, 6)})
    result = split(run_stage, files, val_fraction=0.4)

    assert list(range(12)) == [row for row, _ in rows(result.out / "train.csv")]
    assert list(range(12, 30)) == [row for row, _ in rows(result.out / "val.csv")]
    assert {"train_rows": 12, "val_rows": 18, "by": "time"} == result.summary


@pytest.mark.parametrize(("fraction", "days"), [(0.001, 1), (0.3, 1), (0.5, 2), (0.999, 2)])
def test_at_least_one_day_validates_and_one_trains(
    run_stage: RunStage, fraction: float, days: int
) -> None:
    files = processed({f"2013-01-0{day}": ["0", "1"] for day in range(1, 4)})
    result = split(run_stage, files, val_fraction=fraction)

    assert 2 * days == len(rows(result.out / "val.csv"))


def test_a_single_day_is_parted_by_class(run_stage: RunStage) -> None:
    files = processed({"2013-01-01": ["a"] * 100 + ["b"] * 20 + ["c"] * 2 + ["d"]})
    result = split(run_stage, files)
    train, val = (rows(result.out / name) for name in ("train.csv", "val.csv"))

    assert Counter(a=20, b=4, c=1) == Counter(label for _, label in val)
    assert Counter(a=80, b=16, c=1, d=1) == Counter(label for _, label in train)
    assert "class" == result.summary["by"]


def test_each_row_is_on_one_side_and_in_order(run_stage: RunStage) -> None:
    files = processed({"2013-01-01": ["0", "1", "1"] * 50})
    result = split(run_stage, files)
    train, val = (rows(result.out / name) for name in ("train.csv", "val.csv"))

    assert sorted(train) == train
    assert sorted(val) == val
    assert rows_of(files) == sorted([*train, *val])


def rows_of(files: dict[str, str]) -> list[tuple[int, str]]:
    lines = files["train_data.csv"].splitlines()[1:]
    return [(int(row), label) for row, _, label in (line.partition(",") for line in lines)]


def test_the_seed_chooses_the_rows(run_stage: RunStage) -> None:
    files = processed({"2013-01-01": ["0", "1"] * 50})
    first, again, other = (
        (split(run_stage, files, seed=seed).out / "val.csv").read_bytes() for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_quoted_labels_stay_quoted_and_whole(run_stage: RunStage) -> None:
    files = processed({"2013-01-01": ['"a, b"', '"two\nlines"', '"say ""x"""'] * 4})
    result = split(run_stage, files, val_fraction=0.25)
    _, _, table = files["train_data.csv"].partition("\n")
    written = [(result.out / name).read_text("utf-8") for name in ("train.csv", "val.csv")]

    assert sorted(table.splitlines()) == sorted(
        line for text in written for line in text.splitlines()[1:]
    )
    assert {"train_rows": 9, "val_rows": 3, "by": "class"} == result.summary


def test_a_day_whose_classes_have_a_single_row_is_refused(run_stage: RunStage) -> None:
    files = processed({"2013-01-01": ["0", "1"]})
    result = run_stage("preprocess", "split", inputs={"processed": files})

    assert (65, True) == (result.code, "rows" in result.last_error)


def test_a_table_of_another_length_than_its_days_is_refused(run_stage: RunStage) -> None:
    files = processed({"2013-01-01": ["0", "1"], "2013-01-02": ["0", "1"]})
    files["train_data.csv"] += "4,0\n"
    result = run_stage("preprocess", "split", inputs={"processed": files})

    assert (65, True) == (result.code, "5 rows" in result.last_error)
