"""Labels that are not whole, days without rows, and faults of the past: the report is made."""

import gzip
import json
from typing import Any

import pytest
from contract.formats import faults_of_page
from harness import RunStage
from watched import DAY, Watched, categorical, numeric, page_of, quality_of, two

HAND = two(0.1, 0.4, 0.7, 0.8, 0.2, 0.9)
LABELS = ["0", "1", "0", "1", "0", "1"]
X = numeric("x", [5], [50, 50])


def notes_of(found: dict[str, Any]) -> str:
    return "\n".join(found["notes"])


def test_fewer_labels_than_rows_are_those_of_the_first_rows(run_stage: RunStage) -> None:
    result = Watched().day(HAND, LABELS[:4]).report(run_stage)
    found = quality_of(result)

    assert (True, True, 6, 4) == tuple(found[key] for key in ("ok", "labels", "rows", "labelled"))
    assert 0.75 == found["roc_auc"]
    assert [4] == [line["labelled"] for line in found["history"]]
    assert 0.5 == found["class_shares"]["1"]["observed"]
    assert f"4 of 6 rows of {DAY} have a label, the first ones" in notes_of(found)
    assert "4 of them with labels" in page_of(result)


def test_rows_without_a_label_are_not_measured(run_stage: RunStage) -> None:
    watched = Watched().day([*HAND, *HAND], [*LABELS[:2], "", "  ", "NaN", "null", *LABELS])
    found = quality_of(watched.report(run_stage))

    assert (8, True) == (found["labelled"], found["ok"])
    assert 14 / 16 == found["roc_auc"]
    assert f"8 of 12 rows of {DAY} have a label, and" in notes_of(found)


def test_labels_that_are_all_empty_have_not_come(run_stage: RunStage) -> None:
    found = quality_of(Watched().day(HAND, [" "] * 6).report(run_stage))

    assert (False, 0, True) == (found["labels"], found["labelled"], found["ok"])
    assert "have not come yet" in notes_of(found)


def test_a_class_that_the_model_does_not_know_is_named(run_stage: RunStage) -> None:
    many = quality_of(Watched().day(HAND, [*LABELS[:4], "late", "late"]).report(run_stage))
    few = quality_of(Watched().day(HAND * 10, [*LABELS * 9, *LABELS[:5], "0?"]).report(run_stage))

    assert (4, 0.75, False) == (many["labelled"], many["roc_auc"], many["ok"])
    assert "Of 6 labels" in many["problems"][0]
    assert "'late' (2)" in many["problems"][0]
    assert (59, True) == (few["labelled"], few["ok"])
    assert "Of 60 labels of 2013-01-16, 1 are no class of the model" in notes_of(few)
    assert "'0?' (1)" in notes_of(few)


def test_labels_are_compared_by_value(run_stage: RunStage) -> None:
    watched = Watched(classes=["caf\u00e9", "true"])
    watched.day(HAND, ["cafe\u0301", "True", " caf\u00e9 ", "TRUE", "caf\u00e9", "true"])
    found = quality_of(watched.report(run_stage))

    assert (6, 8 / 9) == (found["labelled"], found["roc_auc"])


def test_categories_are_compared_by_value(run_stage: RunStage) -> None:
    columns = [categorical("store", {"1": 50, "2": 50}), categorical("member", {"True": 9})]
    data: dict[str, list[object]] = {
        "store": ["1.0", "01", "1e0", " 2 ", "+2", "3.0"],
        "member": ["true", "TRUE", "True ", " ", "", "yes"],
    }
    found = quality_of(Watched(columns=columns).day(HAND, data=data).report(run_stage))
    store, member = (found["drift"][name] for name in ("store", "member"))

    assert (["3.0"], 0) == (store["unseen"], store["missing"])
    assert (["yes"], 2 / 6) == (member["unseen"], member["missing"])
    assert pytest.approx(1 / 6) == store["unknown"] == member["unknown"]


def test_a_fault_of_the_past_is_no_error_of_the_day(run_stage: RunStage) -> None:
    watched = Watched(columns=[X, categorical("c", {"a": 90})])
    data: dict[str, list[object]] = {"x": [1, 2, 8, 9, 4, 6], "c": ["a"] * 6}
    for day in range(1, 11):
        watched.day(HAND, LABELS, data=data, day=f"2013-01-{day:02}")
    watched.day(HAND, LABELS, data=data)

    def harm(day: str, folder: str, file: str, content: str | bytes) -> None:
        watched.inputs[f"{folder}/2013-01-{day}"][file] = content

    whole = str(watched.inputs[f"predictions/{DAY}"]["predictions.csv"])
    harm("01", "predictions", "predictions.csv", whole[: len(whole) // 2])
    harm("02", "predictions", "predictions.csv", gzip.compress(whole.encode()))
    harm("03", "predictions", "manifest.json", '{"model": ')
    harm("03", "raw", "data.csv", "x,c\n1\n")
    harm("04", "predictions", "manifest.json", json.dumps({"model": "m", "inputs": []}))
    harm("05", "raw", "target.csv", "target\n" + "1\n" * 7)
    harm("06", "raw", "target.csv", "label\n" + "1\n" * 6)
    harm("07", "raw", "target.csv", b"target\n\xff\n")
    harm("08", "raw", "target.csv", "target\n1\n0\n1\n2\n")
    harm("09", "raw", "data.csv", "x\n1\n")
    harm("09", "predictions", "predictions.csv", whole.partition("\n")[0] + "\n")
    harm("10", "raw", "target.csv", "")
    result = watched.report(run_stage)
    found = quality_of(result)
    history = {line["date"][-2:]: line for line in found["history"]}

    assert found["ok"]
    assert ["05", "06", "07", "08", "09", "10", "16"] == [*history]
    assert [0, 0, 0, 3, 0, 0, 6] == [line["labelled"] for line in history.values()]
    assert (0, None) == (history["09"]["rows"], history["09"]["predicted_rate"])
    for sentence in (
        "2013-01-01 is left out of the history: predictions/2013-01-01/predictions.csv, row ",
        "2013-01-04 is left out of the history: predictions/2013-01-04/manifest.json: inputs is no",
        "2013-01-02 is left out of the history: predictions/2013-01-02/predictions.csv",
        "2013-01-03 is left out of the history: predictions/2013-01-03/manifest.json is not JSON",
        "raw data of 2013-01-03 is compared with nothing: raw/2013-01-03/data.csv, row 1",
        "The labels of 2013-01-05 are left out: raw/2013-01-05/target.csv has 7 rows",
        "The labels of 2013-01-06 are left out: raw/2013-01-06/target.csv has columns ['label']",
        "The labels of 2013-01-07 are left out: raw/2013-01-07/target.csv, row 1: column",
        "The labels of 2013-01-10 are left out: raw/2013-01-10/target.csv is empty",
        "2013-01-08 (4 of 6)",
        "2013-01-08: '2' (1)",
        "'c' on 2013-01-09",
    ):
        assert sentence in notes_of(found)
    assert [] == list(faults_of_page(result.out / "report.html"))


def test_a_day_without_rows_is_a_day(run_stage: RunStage) -> None:
    watched = Watched(columns=[X], class_counts=[60, 40])
    watched.day(HAND, LABELS, day="2013-01-14").day([], [], data={"x": []}, day="2013-01-15")
    watched.day([], [], data={"x": []})
    result = watched.report(run_stage)
    found = quality_of(result)

    assert (True, 0, 0, False) == tuple(found[k] for k in ("ok", "rows", "labelled", "labels"))
    assert [f"{DAY} has no rows: there is nothing to measure, and nothing wrong."] == found["notes"]
    assert (None, None, []) == (found["drift"], found["prediction_drift"], found["problems"])
    assert [6, 0, 0] == [line["rows"] for line in found["history"]]
    assert [] == list(faults_of_page(result.out / "report.html"))
    assert "<h1>A day without rows</h1>" in page_of(result)


def test_rows_that_were_not_predicted_are_no_day_without_rows(run_stage: RunStage) -> None:
    result = Watched(columns=[X]).day([], [], data={"x": [1, 2]}).report(run_stage)

    assert 65 == result.code
    assert f"raw/{DAY}/data.csv has 2 rows, predictions/{DAY}/predictions.csv 0" in (
        result.last_error
    )
