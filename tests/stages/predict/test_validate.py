"""The metrics of validate: by hand on a few rows, and scikit-learn's on many."""

import csv
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from harness import Result, RunStage
from scored import Scores, constant_scores, random_scores
from sklearn import metrics


def validate(
    run_stage: RunStage,
    scores: Scores,
    target: Sequence[str],
    classes: Sequence[str],
    **described_too: object,
) -> Result:
    taught = "row,target\n" + "".join(f"-1,{label}\n" for label in classes)
    described = {
        "version": 1,
        "format": "treelite",
        "features": ["row"],
        "classes": classes,
        "trained_on": {"rows": len(classes)},
        **described_too,
    }
    prepared = {
        "version": 1,
        "columns": [{"name": "row", "kind": "numeric"}],
        "days": [{"day": "2013-01-01", "rows": len(classes) + len(target)}],
    }
    table = "row,target\n" + "".join(f"{row},{label}\n" for row, label in enumerate(target))
    inputs: dict[str, dict[str, str | bytes]] = {
        "model": {
            "model.txt": constant_scores(scores),
            "model.json": json.dumps(described),
            "preprocess.json": json.dumps(prepared),
        },
        "split": {"train.csv": taught, "val.csv": table},
    }
    return run_stage("predict", "validate", inputs=inputs)


def metrics_of(result: Result) -> dict[str, Any]:
    assert (0, "") == (result.code, result.last_error)
    content: dict[str, Any] = json.loads((result.out / "metrics.json").read_text("utf-8"))
    return content


def curve(result: Result, name: str) -> list[dict[str, str]]:
    with (result.out / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_two_classes_by_hand(run_stage: RunStage) -> None:
    scores = [(0.9, 0.1), (0.6, 0.4), (0.3, 0.7), (0.2, 0.8)]
    result = validate(run_stage, scores, ["no", "yes", "no", "yes"], ["no", "yes"])
    found = metrics_of(result)

    assert 4 == found["rows"]
    assert 0.5 == found["accuracy"]
    assert [[1, 1], [1, 1]] == found["confusion_matrix"]
    assert 0.75 == found["roc_auc"]  # 3 of the 4 pairs of no and yes are in order
    assert pytest.approx((1 + 2 / 3) / 2) == found["average_precision"]
    logs = [math.log(p) for p in (0.9, 0.4, 0.3, 0.8)]
    assert pytest.approx(-sum(logs) / 4) == found["log_loss"]
    assert pytest.approx((0.01 + 0.36 + 0.49 + 0.04) / 4) == found["brier_score"]
    assert pytest.approx((0.1 + 0.6 + 0.7 + 0.2) / 4) == found["calibration_error"]
    assert ["yes"] == list(found["per_class"])


def test_the_threshold_of_the_model_decides_what_is_right(run_stage: RunStage) -> None:
    scores = [(0.9, 0.1), (0.7, 0.3), (0.6, 0.4), (0.2, 0.8)]
    target, classes = ["no", "no", "yes", "yes"], ["no", "yes"]
    result = validate(run_stage, scores, target, classes, threshold=0.3)
    found, likeliest = metrics_of(result), metrics_of(validate(run_stage, scores, target, classes))

    assert (1.0, [[2, 0], [0, 2]]) == (found["accuracy"], found["confusion_matrix"])
    assert 0.3 == found["threshold"] == result.summary["threshold"]
    assert 0.75 == likeliest["accuracy"]
    assert "threshold" not in likeliest
    assert likeliest["log_loss"] == found["log_loss"]


def test_three_classes_are_scikit_learns(run_stage: RunStage) -> None:
    scores, y = random_scores(300, 3)
    result = validate(run_stage, scores.tolist(), ["abc"[k] for k in y], ["a", "b", "c"])
    found = metrics_of(result)
    best = scores.argmax(axis=1)

    assert metrics.accuracy_score(y, best) == found["accuracy"]
    assert pytest.approx(metrics.log_loss(y, scores)) == found["log_loss"]
    assert pytest.approx(metrics.roc_auc_score(y, scores, multi_class="ovr")) == found["roc_auc"]
    one_hot = np.eye(3)[y]
    assert (
        pytest.approx(metrics.average_precision_score(one_hot, scores))
        == (found["average_precision"])
    )
    assert pytest.approx(np.mean(np.sum((scores - one_hot) ** 2, axis=1))) == found["brier_score"]
    assert metrics.confusion_matrix(y, best).tolist() == found["confusion_matrix"]
    assert ["a", "b", "c"] == list(found["per_class"])


def test_a_class_that_no_row_has_counts_in_no_mean(run_stage: RunStage) -> None:
    scores, y = random_scores(200, 3)
    y = np.where(y == 2, 0, y)
    result = validate(run_stage, scores.tolist(), ["abc"[k] for k in y], ["a", "b", "c"])
    found = metrics_of(result)
    each = [metrics.roc_auc_score(y == k, scores[:, k]) for k in (0, 1)]

    assert pytest.approx(np.mean(each)) == found["roc_auc"]
    assert [0, 0, 0] == found["confusion_matrix"][2]


def test_the_summary_is_the_metrics_in_short(run_stage: RunStage) -> None:
    scores, y = random_scores(100, 2)
    result = validate(run_stage, scores.tolist(), [str(k) for k in y], ["0", "1"])
    found = metrics_of(result)

    assert {
        name: found[name]
        for name in (
            "rows",
            "copied_rows",
            "accuracy",
            "log_loss",
            "brier_score",
            "roc_auc",
            "average_precision",
            "calibration_error",
        )
    } == result.summary


def test_curves_have_their_ends_and_not_more_points_than_a_plot_shows(run_stage: RunStage) -> None:
    scores, y = random_scores(1000, 3)
    result = validate(run_stage, scores.tolist(), ["abc"[k] for k in y], ["a", "b", "c"])
    for name, ends in (
        ("roc.csv", {"false_positive_rate": (0, 1), "true_positive_rate": (0, 1)}),
        ("precision_recall.csv", {"recall": (1, None)}),
    ):
        for label in "abc":
            points = [point for point in curve(result, name) if point["class"] == label]

            assert 100 < len(points) <= 200
            for column, (first, last) in ends.items():
                assert first == float(points[0][column])
                assert last in (None, float(points[-1][column]))


def test_the_area_under_the_roc_curve_is_the_metric(run_stage: RunStage) -> None:
    scores, y = random_scores(150, 2)
    result = validate(run_stage, scores.tolist(), [str(k) for k in y], ["0", "1"])
    points = curve(result, "roc.csv")
    area = metrics.auc(
        [float(point["false_positive_rate"]) for point in points],
        [float(point["true_positive_rate"]) for point in points],
    )

    assert pytest.approx(metrics_of(result)["roc_auc"]) == area


def test_calibration_has_all_rows_in_bins(run_stage: RunStage) -> None:
    scores = [(1.0, 0.0), (0.95, 0.05), (0.55, 0.45), (0.0, 1.0), (0.05, 0.95)]
    result = validate(run_stage, scores, ["0", "1", "0", "1", "1"], ["0", "1"])

    assert [
        ["1", "2", "0.025", "0.5"],
        ["1", "1", "0.45", "0.0"],
        ["1", "2", "0.975", "1.0"],
    ] == [list(point.values()) for point in curve(result, "calibration.csv")]


def test_one_class_alone_says_which(run_stage: RunStage) -> None:
    result = validate(run_stage, [(0.9, 0.1), (0.2, 0.8)], ["yes", "yes"], ["no", "yes"])

    assert 65 == result.code
    assert "split/val.csv has rows of one class only, 'yes'" in result.last_error


def test_scores_are_spread_over_tenths(run_stage: RunStage) -> None:
    scores = [(1.0, 0.0), (0.9, 0.1), (0.75, 0.25), (0.7, 0.3), (0.0, 1.0)]
    result = validate(run_stage, scores, ["no", "no", "yes", "no", "yes"], ["no", "yes"])

    assert {
        "edges": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "counts": {"no": [1, 0, 0, 0, 0, 0, 0, 2, 0, 2], "yes": [1, 1, 1, 1, 0, 0, 0, 0, 0, 1]},
    } == metrics_of(result)["scores"]
