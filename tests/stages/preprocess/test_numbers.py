"""What fit makes of targets that are numbers to predict, and what it refuses."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from harness import Result, RunStage
from stageframe.rows import from_texts

DAYS = ["raw/2013-01-01", "raw/2013-01-02"]
Days = dict[str, dict[str, str]]


def raw(*days: Sequence[str]) -> Days:
    """Return raw data of days by their targets, of one feature that counts the rows."""
    return {
        day: {
            "data.csv": "x\n" + "".join(f"{row}\n" for row in range(len(targets))),
            "target.csv": "target\n" + "".join(f"{target}\n" for target in targets),
        }
        for day, targets in zip(DAYS, days, strict=False)
    }


def fit(run_stage: RunStage, days: Days, **params: object) -> Result:
    return run_stage("preprocess", "fit", inputs=days, task="regression", **params)


def fitted(result: Result) -> dict[str, Any]:
    assert (0, "") == (result.code, result.stderr)
    content: dict[str, Any] = json.loads((result.out / "preprocess.json").read_text("utf-8"))
    return content


def test_a_number_stays_as_it_is_and_is_described_as_a_column_is(run_stage: RunStage) -> None:
    spellings = ["5", "-0.1", "1e3", " 7 ", "0.30000000000000004", "05"]
    result = fit(run_stage, raw(spellings, ["2.5", "-3"]))
    found = fitted(result)
    _, *rows = (result.out / "train_data.csv").read_text("utf-8").splitlines()
    written = [row.partition(",")[2] for row in rows]
    values = np.array([5, -0.1, 1000, 7, 0.1 + 0.2, 5, 2.5, -3])

    assert ["5", "-0.1", "1000", "7", "0.30000000000000004", "5", "2.5", "-3"] == written
    assert ["version", "task", "columns", "target", "days", "digests"] == list(found)
    assert "regression" == found["task"]
    target = found["target"]
    assert (pytest.approx(values.mean()), -3, 1000) == (
        target["mean"],
        target["low"],
        target["high"],
    )
    edges, counts = target["profile"]["edges"], target["profile"]["counts"]
    assert np.bincount(np.searchsorted(edges, values, side="right")).tolist() == counts
    assert [6, 2] == [day["rows"] for day in found["days"]]
    assert (8, 1000) == (result.summary["rows"], result.summary["high_target"])
    assert "classes" not in result.summary


def test_more_numbers_than_there_can_be_classes_are_taken(run_stage: RunStage) -> None:
    many = [str(n / 7) for n in range(500)]
    refused = run_stage("preprocess", "fit", inputs=raw(many))

    assert 500 == fit(run_stage, raw(many)).summary["rows"]
    assert 65 == refused.code
    assert "or predict a number, by fit's --task regression" in refused.last_error


def test_the_digests_of_rows_have_their_numbers(run_stage: RunStage) -> None:
    days = raw([str(n / 8) for n in range(30)], [str(-n / 8) for n in range(20)])
    digests = fitted(fit(run_stage, days))["digests"]["days"]
    targets = [from_texts(day, numbers=True)[1] for day in digests.values()]

    assert [n / 8 for n in range(30)] == sorted(targets[0])
    assert [-n / 8 for n in reversed(range(20))] == sorted(targets[1])


def test_a_day_that_came_again_is_named(run_stage: RunStage) -> None:
    targets = [str(n / 8) for n in range(30)]
    warned = fit(run_stage, raw(targets, targets)).summary
    other = fit(run_stage, raw(targets, targets[::-1])).summary

    assert "2013-01-02 has the rows of 2013-01-01 again" in warned["warnings"]
    assert "warnings" not in other


def test_targets_that_are_one_number_to_a_model_are_warned_about(run_stage: RunStage) -> None:
    large = fit(run_stage, raw(["9007199254740993", "9007199254740992", "7"]))
    close = fit(run_stage, raw(["0.1234567890123456781", "0.1234567890123456782", "7"]))

    assert "column 'target' holds whole numbers such as 90071992" in large.summary["warnings"]
    assert large.summary["warnings"].endswith("a model cannot tell one from the next")
    assert close.summary["warnings"].endswith("one number to a model")


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (["1", "2", "late"], "raw/2013-01-01/target.csv, row 3: column 'target' holds 'late'"),
        (["late", "early", "late"], "row 1: column 'target' holds 'late'"),
        (["late", "early", "late"], "or leave --task regression out"),
        (["1", "", "3"], "row 2: the target is missing: give the row"),
        (["1", "NA", "3"], "row 2: the target is missing"),
        (["1", "inf", "3"], "row 2: column 'target' holds 'inf'"),
        (["1,5", "2", "3"], "target.csv"),
        (['"1,5"', '"2,5"', '"3,5"'], "a decimal comma"),
        (["1.5 kg", "2.5 kg", "7 kg"], "with a unit: write them like 1234.5, or leave --task"),
        (["1h", "2h", "3h"], "column 'target' holds '1h'"),
        (["4", "4", "4.0"], "raw/2013-01-01/target.csv: all targets are 4"),
    ],
)
def test_what_is_no_number_to_predict_is_refused(
    run_stage: RunStage, targets: list[str], sentence: str
) -> None:
    result = fit(run_stage, raw(targets))

    assert (65, 1) == (result.code, len(result.stderr.splitlines()))
    assert sentence in result.last_error


def test_targets_that_are_but_names_are_of_classes(run_stage: RunStage) -> None:
    result = fit(run_stage, raw(["1", "2"]), categorical="target")

    assert 64 == result.code
    assert "--categorical target is for classes" in result.last_error


def test_another_task_is_refused(run_stage: RunStage) -> None:
    result = run_stage("preprocess", "fit", inputs=raw(["1", "2"]), task="ranking")

    assert 64 == result.code
    assert "'ranking' is none of classification, regression" in result.last_error


def test_fewer_targets_than_rows_are_refused(run_stage: RunStage) -> None:
    days = raw(["1", "2", "3"])
    days[DAYS[0]]["target.csv"] = "target\n1\n2\n"
    result = fit(run_stage, days)

    assert 65 == result.code
    assert "data.csv has 3 rows, target.csv beside it 2" in result.last_error
