"""What is said of a day whose labels have come: by hand, and scikit-learn's on many rows."""

import json
import math

import numpy as np
import pytest
from harness import Input, RunStage
from sklearn import metrics
from watched import DAY, Watched, page_of, quality_of, two

HAND = two(0.1, 0.4, 0.7, 0.8)


def random_day(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 (rows, classes) with ties, and true codes (rows,) that go with them."""
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(classes), rows).round(2)
    scores[:, 0] += 1 - scores.sum(axis=1)
    scores = np.clip(scores, 0, 1)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores, np.array([random.choice(classes, p=row) for row in scores])


def delong(truth: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """The AUC and its standard error as the paper writes them: a look at every pair."""
    positive, negative = score[truth], score[~truth]
    above = np.heaviside(positive[:, None] - negative[None, :], 0.5)
    variance = above.mean(axis=1).var(ddof=1) / len(positive)
    variance += above.mean(axis=0).var(ddof=1) / len(negative)
    return float(above.mean()), math.sqrt(variance)


def test_two_classes_by_hand(run_stage: RunStage) -> None:
    found = quality_of(Watched().day(HAND, ["0", "1", "0", "1"]).report(run_stage))

    assert found["labels"]
    assert 0.75 == found["roc_auc"]  # 3 of the 4 pairs are in order
    assert pytest.approx(-sum(map(math.log, (0.9, 0.4, 0.3, 0.8))) / 4) == found["log_loss"]
    assert pytest.approx((1 + 2 / 3) / 2) == found["average_precision"]
    assert pytest.approx((0.1 + 0.6 + 0.7 + 0.2) / 4) == found["calibration_error"]


@pytest.mark.parametrize("classes", [2, 3])
def test_many_rows_are_scikit_learns(run_stage: RunStage, classes: int) -> None:
    scores, y = random_day(400, classes)
    labels = "abc"[:classes]
    watched = Watched(classes=labels).day(scores.tolist(), [labels[k] for k in y])
    found = quality_of(watched.report(run_stage))
    one_hot = np.eye(classes)[y]
    kinds = [1] if classes == 2 else [0, 1, 2]
    each = [
        (
            metrics.roc_auc_score(one_hot[:, k], scores[:, k]),
            metrics.average_precision_score(one_hot[:, k], scores[:, k]),
        )
        for k in kinds
    ]

    assert pytest.approx(metrics.log_loss(y, scores)) == found["log_loss"]
    assert pytest.approx(np.mean([auc for auc, _ in each])) == found["roc_auc"]
    assert pytest.approx(np.mean([ap for _, ap in each])) == found["average_precision"]
    accuracy = metrics.accuracy_score(y, scores.argmax(axis=1))
    assert pytest.approx(accuracy) == found["history"][0]["accuracy"]


def test_the_interval_of_the_auc_is_delongs(run_stage: RunStage) -> None:
    scores, y = random_day(150, 2)
    found = quality_of(Watched().day(scores.tolist(), list(map(str, y))).report(run_stage))
    auc, error = delong(y == 1, scores[:, 1])

    assert pytest.approx(auc - 1.959964 * error) == found["roc_auc_low"]
    assert pytest.approx(auc + 1.959964 * error) == found["roc_auc_high"]


def test_the_interval_of_several_classes_is_narrower_than_that_of_one(run_stage: RunStage) -> None:
    scores, y = random_day(300, 3)
    watched = Watched(classes="abc").day(scores.tolist(), ["abc"[k] for k in y])
    found = quality_of(watched.report(run_stage))
    widths = [2 * 1.959964 * delong(y == k, scores[:, k])[1] for k in range(3)]
    width = found["roc_auc_high"] - found["roc_auc_low"]

    assert max(widths) / 3 < width < max(widths)


def test_an_auc_below_its_threshold_is_a_problem_and_no_failure(run_stage: RunStage) -> None:
    scores, y = random_day(200, 2)
    result = Watched().day(scores.tolist(), [str(1 - k) for k in y]).report(run_stage, min_auc=0.6)
    found = quality_of(result)
    low, high = found["roc_auc_low"], found["roc_auc_high"]

    assert not found["ok"]
    assert [
        f"The AUC of {DAY} is {found['roc_auc']:.3f} ({low:.3f} to {high:.3f}), below its"
        " threshold of 0.6."
    ] == found["problems"]
    assert found["problems"][0] == result.summary["problems"]
    assert "Needs attention" in page_of(result)


def test_an_auc_that_may_be_low_by_chance_is_a_problem_that_says_so(run_stage: RunStage) -> None:
    few = quality_of(Watched().day(HAND, ["0", "1", "0", "1"]).report(run_stage, min_auc=0.8))
    scores, y = random_day(400, 2)
    watched = Watched().day(scores.tolist(), [str(1 - k) for k in y])
    many = quality_of(watched.report(run_stage))

    assert (False, False) == (few["ok"], many["ok"])
    assert "may be low by chance" in " ".join(few["notes"])
    assert "may be low by chance" not in " ".join(many["notes"])


def test_the_threshold_is_a_parameter(run_stage: RunStage) -> None:
    watched = Watched().day(HAND, ["0", "1", "0", "1"])

    assert quality_of(watched.report(run_stage, min_auc=0.75))["ok"]
    assert not quality_of(watched.report(run_stage, min_auc=0.76))["ok"]


def test_without_labels_it_says_so_and_judges_the_rest(run_stage: RunStage) -> None:
    result = Watched().day(HAND).report(run_stage)
    found = quality_of(result)

    assert (True, False) == (found["ok"], found["labels"])
    names = ("roc_auc", "roc_auc_low", "log_loss", "average_precision", "calibration_error")
    assert [None] * 5 == [found[name] for name in names]
    assert "have not come yet" in " ".join(found["notes"])
    assert "no labels yet" in page_of(result)


def test_a_day_of_one_class_has_no_auc_and_is_no_failure(run_stage: RunStage) -> None:
    result = Watched().day(HAND, ["0", "0", "0", "0"]).report(run_stage)
    found = quality_of(result)

    assert (True, None) == (found["ok"], found["roc_auc"])
    assert found["log_loss"] > 0
    assert "one class" in page_of(result)


def test_one_row_of_a_class_has_an_auc_without_an_interval(run_stage: RunStage) -> None:
    found = quality_of(Watched().day(HAND, ["0", "0", "0", "1"]).report(run_stage))

    assert (1.0, None, None) == tuple(
        found[name] for name in ("roc_auc", "roc_auc_low", "roc_auc_high")
    )


def test_a_class_that_the_day_lacks_counts_in_no_mean(run_stage: RunStage) -> None:
    scores, y = random_day(200, 3)
    y = np.where(y == 2, 0, y)
    watched = Watched(classes="abc").day(scores.tolist(), ["abc"[k] for k in y])
    each = [metrics.roc_auc_score(y == k, scores[:, k]) for k in (0, 1)]

    assert pytest.approx(np.mean(each)) == quality_of(watched.report(run_stage))["roc_auc"]


def test_labels_may_be_numbers_in_another_spelling(run_stage: RunStage) -> None:
    found = quality_of(Watched().day(HAND, ["0.0", "1e0", "0", "01"]).report(run_stage))

    assert 0.75 == found["roc_auc"]


def test_labels_beyond_53_bits_are_exact(run_stage: RunStage) -> None:
    watched = Watched(classes=["9007199254740992", "9007199254740993"])
    watched.day(
        HAND, ["09007199254740992", "+9007199254740993", "9007199254740992", " 09007199254740993"]
    )

    assert 0.75 == quality_of(watched.report(run_stage))["roc_auc"]


def test_a_number_with_an_underscore_is_a_text(run_stage: RunStage) -> None:
    watched = Watched(classes=["1", "10"]).day(HAND, ["1", "1_0", "1", "10"])
    found = quality_of(watched.report(run_stage))

    assert (3, False) == (found["labelled"], found["ok"])
    assert "'1_0' (1)" in found["problems"][0]


def test_a_day_that_the_model_has_learned_from_is_marked(run_stage: RunStage) -> None:
    watched = Watched(trained=["2013-01-15", DAY]).day(HAND, ["0", "1", "0", "1"])
    del watched.inputs[f"predictions/{DAY}"]["manifest.json"]  # it names another model
    result = watched.report(run_stage)
    found = quality_of(result)

    assert found["learned_from_this_day"]
    assert ["2013-01-15", DAY] == found["model"]["trained_on"]
    assert f"has learned from {DAY}" in page_of(result)
    watched.trained = ["2013-01-15"]
    assert quality_of(watched.report(run_stage))["learned_from_this_day"] is False


def test_the_history_has_a_line_for_each_day_up_to_the_reports(run_stage: RunStage) -> None:
    watched = Watched().day(HAND, ["0", "1", "0", "1"], day="2013-01-10")
    watched.day(two(0.2, 0.6), day="2013-01-12").day(HAND, ["0", "1", "1", "1"], model="2")
    watched.day(HAND, day="2013-01-17")
    result = watched.report(run_stage, date=DAY)
    history = quality_of(result)["history"]

    assert ["2013-01-10", "2013-01-12", DAY] == [line["date"] for line in history]
    assert [4, 2, 4] == [line["rows"] for line in history]
    assert ["1", "1", "2"] == [line["model_version"] for line in history]
    assert [0.75, None, 1.0] == [line["roc_auc"] for line in history]
    assert [0.5, None, 0.75] == [line["observed_rate"] for line in history]
    assert pytest.approx([0.5, 0.4, 0.5]) == [line["predicted_rate"] for line in history]
    assert ">model 2</text>" in page_of(result)


def test_the_newest_day_is_reported_on_by_default(run_stage: RunStage) -> None:
    watched = Watched().day(HAND, day="2013-01-10").day(HAND)

    assert DAY == quality_of(watched.report(run_stage))["date"]


def test_the_summary_is_the_quality_in_short(run_stage: RunStage) -> None:
    result = Watched().day(HAND, ["0", "1", "0", "1"]).report(run_stage)
    found = quality_of(result)

    assert {
        "date": DAY,
        "rows": 4,
        "labelled": 4,
        "ok": True,
        "problems": "",
        "roc_auc": 0.75,
        "log_loss": found["log_loss"],
        "calibration_error": found["calibration_error"],
        "drifted": 0,
        "worst_feature": None,
        "worst_psi": None,
        "prediction_drift": None,
        "model_version": "1",
    } == result.summary


def without_version(watched: Watched) -> dict[str, Input]:
    """The inputs, but nobody registered the model."""
    inputs = dict(watched.with_model())
    model = inputs["model"]
    assert isinstance(model, dict)
    return {**inputs, "model": {f: text for f, text in model.items() if f != "version.json"}}


@pytest.mark.parametrize("place", ["model", "sources"])
def test_a_model_without_a_version_is_shown_by_its_path(run_stage: RunStage, place: str) -> None:
    watched = Watched().day(HAND, day="2013-01-15").day(HAND)
    path = "models/2013-01-06"
    manifest = {"model": {"path": path}} if place == "model" else {"sources": {"model": path}}
    watched.inputs[f"predictions/{DAY}"]["manifest.json"] = json.dumps(manifest)
    inputs = without_version(watched)
    result = run_stage("monitor", "report", inputs=inputs)
    found, page = quality_of(result), page_of(result)

    assert (None, path) == (found["model"]["version"], found["model"]["path"])
    assert [("1", "models/1"), (None, path)] == [
        (line["model_version"], line["model_path"]) for line in found["history"]
    ]
    assert path == result.summary["model_version"]
    assert f'<div class="more">by {path}</div>' in page
    assert f">{path}</text>" in page


def test_a_path_whose_model_has_a_version_is_shown_by_the_version(run_stage: RunStage) -> None:
    watched = Watched().day(HAND, model="7")
    model = {"path": "models/2013-01-06", "name": "flights", "version": "7"}
    watched.inputs[f"predictions/{DAY}"]["manifest.json"] = json.dumps({"model": model})
    inputs = without_version(watched)
    page = page_of(run_stage("monitor", "report", inputs=inputs))

    assert '<div class="more">by flights version 7</div>' in page


def test_a_loss_is_beside_that_of_a_guess_of_the_trainings_shares(run_stage: RunStage) -> None:
    watched = Watched(class_counts=[750, 250]).day(HAND, ["0", "1", "0", "1"])
    guess = -(math.log(0.75) + math.log(0.25)) / 2

    assert f"{guess:.3f} for always guessing each class&#39;s share in training" in page_of(
        watched.report(run_stage)
    )
