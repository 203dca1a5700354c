"""Rows that a model has learned from are no news, by whatever name they come again."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compared import comparison, digest, trained, versioned
from harness import Result, RunStage

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
LAST = DAYS[-1]
NAMES = ["a", "b", "c", "shop"]

Table = list[list[str]]


def table_of(seed: int, rows: int = 120, *, kinds: int = 0) -> Table:
    """Rows that tell nothing of their target, which is the last field."""
    random = np.random.default_rng(seed)
    x = random.integers(0, kinds, (rows, 3)) if kinds else random.normal(size=(rows, 3)).round(4)
    shops = random.choice(["Bonn", "Ulm"], rows)
    return [
        [*map(str, row), shop, str(n % 2)]
        for n, (row, shop) in enumerate(zip(x.tolist(), shops, strict=True))
    ]


def as_files(rows: Table, order: tuple[int, ...] = (0, 1, 2, 3), end: str = "\n") -> dict[str, str]:
    data = io.StringIO(newline="")
    csv.writer(data, lineterminator=end).writerows(
        [[NAMES[i] for i in order], *([row[i] for i in order] for row in rows)]
    )
    return {
        "data.csv": data.getvalue(),
        "target.csv": end.join(["target", *(r[-1] for r in rows), ""]),
    }


def learn(run_stage: RunStage, days: dict[str, dict[str, str]]) -> dict[str, Result]:
    """Fit, split and train on these days."""
    done = {
        "processed": run_stage("preprocess", "fit", inputs={f"raw/{d}": f for d, f in days.items()})
    }
    inputs = {"processed": done["processed"].out}
    done["split"] = run_stage("preprocess", "split", inputs=inputs)
    inputs["split"] = done["split"].out
    done["model"] = run_stage("train", "fit", inputs=inputs, rounds=5)
    assert [0, 0, 0] == [result.code for result in done.values()]
    return done


def validate(run_stage: RunStage, done: dict[str, Result]) -> Result:
    return run_stage(
        "predict", "validate", inputs={name: done[name].out for name in ("model", "split")}
    )


def rewritten(rows: Table, form: str) -> Table:
    return [[*(format(float(text), form) for text in row[:3]), *row[3:]] for row in rows]


@pytest.mark.parametrize(
    "again",
    [
        as_files,
        lambda rows: as_files(rows, (3, 1, 0, 2), "\r\n"),
        lambda rows: as_files(rewritten(rows, ".6e")[::-1]),
    ],
    ids=["the same file", "other columns and line ends", "other numbers and order"],
)
def test_a_day_that_came_before_is_refused_by_both_names(
    run_stage: RunStage, again: Callable[[Table], dict[str, str]]
) -> None:
    days = {day: as_files(table_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = again(table_of(1))
    result = validate(run_stage, learn(run_stage, days))

    assert 65 == result.code
    assert "120 of 120 rows are copies of rows that the model has learned from" in result.last_error
    assert "2024-01-03 has the rows of 2024-01-02 again" in result.last_error


def test_copies_among_new_rows_are_left_out_and_counted(run_stage: RunStage) -> None:
    days = {day: as_files(table_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files([*table_of(0)[:50], *table_of(2)])
    result = validate(run_stage, learn(run_stage, days))

    assert (0, "") == (result.code, result.last_error)
    assert (120, 50) == (result.summary["rows"], result.summary["copied_rows"])


def noise_of(seed: int, rows: int = 120) -> Table:
    """The same, but for numbers that have as many digits as there are."""
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    return [
        [*map(repr, numbers), *row[3:]]
        for numbers, row in zip(x.tolist(), table_of(seed, rows), strict=True)
    ]


def keyed(rows: Table, first: int) -> Table:
    """The same rows, counted in their first column."""
    return [[str(n), *row[1:]] for n, row in enumerate(rows, first)]


@pytest.mark.parametrize("form", [".6g", ".4g", ".3g", ".3f"])
def test_a_day_that_comes_again_rounded_is_refused_by_both_names(
    run_stage: RunStage, form: str
) -> None:
    days = {day: as_files(noise_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files(rewritten(noise_of(1), form)[::-1])
    result = validate(run_stage, learn(run_stage, days))

    assert 65 == result.code
    assert "120 of 120 rows are copies of rows that the model has learned from" in result.last_error
    assert "2024-01-03 has the rows of 2024-01-02 again, rounded" in result.last_error


def test_a_day_of_which_the_rounded_rows_were_learned_from_is_refused(run_stage: RunStage) -> None:
    days = {day: as_files(rewritten(noise_of(n), ".3g")) for n, day in enumerate(DAYS)}
    days[LAST] = as_files(noise_of(1))
    result = validate(run_stage, learn(run_stage, days))

    assert (65, True) == (result.code, "2024-01-02 again, rounded" in result.last_error)


def test_single_precision_is_no_other_row(run_stage: RunStage) -> None:
    days = {day: as_files(noise_of(seed)) for seed, day in enumerate(DAYS)}
    single = [[*(str(np.float32(text)) for text in row[:3]), *row[3:]] for row in noise_of(1)]
    days[LAST] = as_files(single)
    result = validate(run_stage, learn(run_stage, days))

    assert (65, True) == (result.code, "has the rows of 2024-01-02 again:" in result.last_error)


@pytest.mark.parametrize("prefix", ["", "order "])
def test_a_day_that_comes_again_with_another_key_is_refused_by_both_names(
    run_stage: RunStage, prefix: str
) -> None:
    tables = [keyed(table_of(seed), 120 * seed) for seed in range(3)]
    tables[2] = keyed(table_of(1), 5000)
    days = {
        day: as_files([[f"{prefix}{row[0]}", *row[1:]] for row in table])
        for day, table in zip(DAYS, tables, strict=True)
    }
    result = validate(run_stage, learn(run_stage, days))

    assert 65 == result.code
    assert "2024-01-03 has the rows of 2024-01-02 again, with another key" in result.last_error


def test_near_copies_among_new_rows_are_left_out_and_counted_by_their_kind(
    run_stage: RunStage,
) -> None:
    days = {day: as_files(noise_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files([*rewritten(noise_of(0)[:50], ".4g"), *noise_of(2)])
    result = validate(run_stage, learn(run_stage, days))

    assert (0, "") == (result.code, result.last_error)
    assert (120, 50) == (result.summary["rows"], result.summary["copied_rows"])
    metrics = json.loads((result.out / "metrics.json").read_text())
    assert {"exact": 0, "rounded": 50} == metrics["copies"]


def test_of_more_rows_than_are_kept_near_copies_alone_are_left_out(run_stage: RunStage) -> None:
    days = {day: as_files(noise_of(seed, 3000)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files([*rewritten(noise_of(0, 3000)[:600], ".4g"), *noise_of(2, 2400)])
    done = learn(run_stage, days)
    result = validate(run_stage, done)
    prepared = json.loads((done["model"].out / "preprocess.json").read_text())

    assert prepared["digests"]["near"]["share"] < 1
    assert (0, "") == (result.code, result.last_error)
    assert pytest.approx(600, abs=15) == result.summary["copied_rows"]


def test_rows_rounded_inside_one_day_are_left_out_across_the_split(run_stage: RunStage) -> None:
    table = noise_of(0, 1000)
    days = {LAST: as_files([*table, *rewritten(table, ".3g")])}
    done = learn(run_stage, days)
    result = validate(run_stage, done)
    learned, new = (
        rewritten([line.split(",") for line in rows], ".3g")
        for rows in (
            (done["split"].out / name).read_text().splitlines()[1:]
            for name in ("train.csv", "val.csv")
        )
    )
    copies = sum(row in learned for row in new)

    assert (0, "") == (result.code, result.last_error)
    assert pytest.approx(copies, rel=0.03) == result.summary["copied_rows"]
    assert 400 == result.summary["copied_rows"] + result.summary["rows"]


def test_a_new_day_is_measured_although_its_numbers_have_other_digits(run_stage: RunStage) -> None:
    days = {day: as_files(noise_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files(rewritten(noise_of(2), ".3g"))
    result = validate(run_stage, learn(run_stage, days))

    assert (0, 120, 0) == (result.code, result.summary["rows"], result.summary["copied_rows"])


def test_what_changes_from_day_to_day_is_no_key(run_stage: RunStage) -> None:
    """Of the same shops another turnover each day, of which no two are equal, and their targets."""
    random = np.random.default_rng(0)
    shops = table_of(0)
    turnover = random.permutation(120) * 1000 + 500
    days = {}
    for day in DAYS:
        turnover = turnover + random.permutation(120)
        rows = zip(turnover.tolist(), shops, strict=True)
        days[day] = as_files([[str(number), *shop[1:]] for number, shop in rows])
    result = validate(run_stage, learn(run_stage, days))

    assert (0, 120, 0) == (result.code, result.summary["rows"], result.summary["copied_rows"])


def test_of_a_model_of_before_exact_copies_alone_are_told(run_stage: RunStage) -> None:
    days = {day: as_files(noise_of(seed)) for seed, day in enumerate(DAYS)}
    days[LAST] = as_files([*noise_of(0)[:50], *rewritten(noise_of(1), ".3g")])
    done = learn(run_stage, days)
    path = done["model"].out / "preprocess.json"
    prepared = json.loads(path.read_text())
    del prepared["digests"]["near"]
    path.write_text(json.dumps(prepared))
    result = validate(run_stage, done)

    assert (0, 50) == (result.code, result.summary["copied_rows"])
    metrics = json.loads((result.out / "metrics.json").read_text())
    assert {"exact": 50} == metrics["copies"]


@pytest.mark.parametrize(
    ("learned", "again", "kind", "how"),
    [
        (noise_of(1), rewritten(noise_of(1), ".4g"), "rounded", "rounded"),
        (keyed(table_of(1), 0), keyed(table_of(1), 900), "other_key", "with another key"),
    ],
)
def test_a_champion_that_knows_near_copies_of_the_rows_is_not_comparable(
    run_stage: RunStage, learned: Table, again: Table, kind: str, how: str
) -> None:
    """Of 120 rows, which the champion knows, and none of which the challenger does."""
    before = {"2023-12-30": as_files(learned), "2023-12-31": as_files(keyed(table_of(2), 300))}
    days = {DAYS[0]: as_files(keyed(table_of(3), 600)), LAST: as_files(again)}
    champion = trained(run_stage, before)["challenger"]
    raw = {day: digest(files["data.csv"]) for day, files in before.items()}
    files = {**trained(run_stage, days), "champion": versioned(champion, raw)}
    found = comparison(run_stage, files)

    assert "not_comparable" == found["verdict"]
    assert f"{LAST} has the rows of 2023-12-30 again, {how}" in found["reason"]
    assert {"challenger": 0, "champion": 120} == found["proof"]["copied_rows"]
    assert 120 == found["proof"]["copies"]["champion"][kind]
    assert 0 == sum(found["proof"]["copies"]["challenger"].values())
    assert {LAST: "2023-12-30"} == found["proof"]["copied_days"]


def test_rows_of_few_kinds_are_measured_although_they_are_alike(run_stage: RunStage) -> None:
    days = {day: as_files(table_of(seed, kinds=2)) for seed, day in enumerate(DAYS)}
    result = validate(run_stage, learn(run_stage, days))

    assert (0, 120, 0) == (result.code, result.summary["rows"], result.summary["copied_rows"])


def test_a_class_that_no_learned_row_has_is_named(run_stage: RunStage) -> None:
    days = {
        day: as_files([[*row[:-1], f"{row[-1]}K"] for row in table_of(n)])
        for n, day in enumerate(DAYS)
    }
    days[LAST] = as_files([[*row[:-1], f"{row[-1]}K."] for row in table_of(2)])
    result = validate(run_stage, learn(run_stage, days))

    assert "The classes '0K.', '1K.' are in the rows to validate with" in result.summary["warnings"]
    metrics: dict[str, Any] = json.loads((result.out / "metrics.json").read_text())
    assert ["0K.", "1K."] == metrics["untaught_classes"]
