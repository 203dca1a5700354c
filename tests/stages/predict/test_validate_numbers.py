"""What validate says of predicted numbers: by hand on a few rows, scikit-learn's on many."""

import csv
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from harness import Result, RunStage
from scored import constant_scores
from sklearn import metrics

Numbers = Sequence[float]
DAY = "2013-01-02"


def files_of(
    predicted: Numbers, target: Numbers, learned: Numbers, **described_too: Any
) -> dict[str, dict[str, str | bytes]]:
    """A model with these predictions for the rows of val.csv, which follow the learned ones."""
    described = {
        "version": 1,
        "format": "treelite",
        "features": ["row"],
        "task": "regression",
        "loss": "squared",
        "baseline": {"mean": 2.0, "constant": 2.0},
        "trained_on": {"rows": len(learned)},
        **described_too,
    }
    prepared = {
        "version": 1,
        "task": "regression",
        "columns": [{"name": "row", "kind": "numeric"}],
        "days": [{"day": "2013-01-01", "rows": len(learned)}, {"day": DAY, "rows": len(target)}],
    }
    taught = "".join(f"{-n},{value!r}\n" for n, value in enumerate(learned, 1))
    rows = "".join(f"{n},{value!r}\n" for n, value in enumerate(target))
    return {
        "model": {
            "model.txt": constant_scores([(value,) for value in predicted]),
            "model.json": json.dumps(described),
            "preprocess.json": json.dumps(prepared),
        },
        "split": {"train.csv": f"row,target\n{taught}", "val.csv": f"row,target\n{rows}"},
    }


def validate(
    run_stage: RunStage, predicted: Numbers, target: Numbers, **described_too: Any
) -> Result:
    files = files_of(predicted, target, [1, 3], **described_too)
    return run_stage("predict", "validate", inputs=files)


def metrics_of(result: Result) -> dict[str, Any]:
    assert (0, "") == (result.code, result.last_error)
    content: dict[str, Any] = json.loads((result.out / "metrics.json").read_text("utf-8"))
    return content


def curve(result: Result, name: str) -> list[dict[str, float]]:
    with (result.out / name).open(encoding="utf-8", newline="") as file:
        return [{key: float(text) for key, text in row.items()} for row in csv.DictReader(file)]


def skewed(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions, all above 0, and counts that go with them, float64 (rows,)."""
    random = np.random.default_rng(0)
    expected = np.exp(random.normal(size=rows))
    return expected * random.uniform(0.7, 1.4, rows), random.poisson(expected).astype(float)


def test_four_rows_by_hand(run_stage: RunStage) -> None:
    result = validate(run_stage, [1, 2, 3, 6], [0, 2, 5, 5])
    found = metrics_of(result)
    found["scores"]["edges"] = len(found["scores"]["edges"])

    assert {
        "rows": 4,
        "task": "regression",
        "loss": "squared",
        "rmse": pytest.approx((6 / 4) ** 0.5),  # errors 1, 0, -2, 1
        "mae": 1.0,
        "r2": pytest.approx(1 - 6 / 18),  # the targets are 3, 1, 2, 2 from their mean
        "median_error": 1.0,
        "bias": 0.0,
        "baseline_rmse": pytest.approx((22 / 4) ** 0.5),  # 2, 0, 3, 3 from 2
        "baseline_mae": 2.0,
        "skill": pytest.approx(1 - 6 / 22),
        "copied_rows": 0,
        "copies": {"exact": 0},
        "scores": {"edges": 9, "counts": {"prediction": [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]}},
    } == found
    assert [
        "calibration.csv",
        "code.zip",
        "metrics.json",
        "residuals.csv",
        "summary.json",
    ] == sorted(path.name for path in result.out.iterdir())


def test_the_summary_is_the_metrics_in_short(run_stage: RunStage) -> None:
    result = validate(run_stage, [1, 2, 3, 6], [0, 2, 5, 5])
    found = metrics_of(result)
    numbers = {key: value for key, value in found.items() if isinstance(value, int | float)}

    assert numbers == result.summary
    assert {"rows", "rmse", "mae", "skill"} <= numbers.keys()


def test_many_rows_are_scikit_learns(run_stage: RunStage) -> None:
    predicted, y = skewed(400)
    found = metrics_of(validate(run_stage, predicted.tolist(), y.tolist()))
    expected = {
        "rmse": metrics.root_mean_squared_error(y, predicted),
        "mae": metrics.mean_absolute_error(y, predicted),
        "r2": metrics.r2_score(y, predicted),
        "median_error": metrics.median_absolute_error(y, predicted),
        "bias": (predicted - y).mean(),
    }

    assert pytest.approx(expected) == {name: found[name] for name in expected}


@pytest.mark.parametrize(
    ("said", "metric", "measure"),
    [
        ({"loss": "squared"}, "rmse", metrics.root_mean_squared_error),
        ({"loss": "absolute"}, "mae", metrics.mean_absolute_error),
        ({"loss": "poisson"}, "poisson_deviance", metrics.mean_poisson_deviance),
        (
            {"loss": "quantile", "quantile": 0.8},
            "pinball_loss",
            lambda y, guess: metrics.mean_pinball_loss(y, guess, alpha=0.8),
        ),
    ],
)
def test_skill_is_what_is_saved_of_the_loss_of_the_models_own_constant(
    run_stage: RunStage, said: dict[str, Any], metric: str, measure: Any
) -> None:
    predicted, y = skewed(400)
    baseline = {"mean": 5.5, "constant": 1.25}
    found = metrics_of(
        validate(run_stage, predicted.tolist(), y.tolist(), baseline=baseline, **said)
    )
    ours, constant = measure(y, predicted), measure(y, np.full(400, 1.25))
    if metric == "rmse":
        assert pytest.approx(1 - ours**2 / constant**2) == found["skill"]
    else:
        assert pytest.approx(1 - ours / constant) == found["skill"]
    assert pytest.approx(ours) == found[metric]
    assert said == {name: found[name] for name in said}
    assert pytest.approx(np.abs(y - 5.5).mean()) == found["baseline_mae"]
    of_some = {"poisson_deviance", "pinball_loss", "coverage", "quantile"}
    expected = {metric, "coverage", "quantile"} if "quantile" in said else {metric}
    assert of_some & expected == of_some & found.keys()


def test_coverage_is_the_share_at_or_below_the_quantile(run_stage: RunStage) -> None:
    result = validate(run_stage, [1, 2, 3, 6], [0, 2, 5, 5], loss="quantile", quantile=0.75)
    found = metrics_of(result)

    assert 0.75 == found["coverage"]
    assert pytest.approx((0.25 + 0 + 0.75 * 2 + 0.25) / 4) == found["pinball_loss"]
    assert (0.75, found["coverage"]) == (result.summary["quantile"], result.summary["coverage"])


def test_a_count_of_zero_where_next_to_none_was_expected_is_finite(run_stage: RunStage) -> None:
    found = metrics_of(validate(run_stage, [0, 0, 2], [0, 1, 2], loss="poisson"))

    assert 100 < found["poisson_deviance"] < 1e4


def test_equal_targets_have_no_r2_and_a_perfect_constant_no_skill(run_stage: RunStage) -> None:
    found = metrics_of(validate(run_stage, [1, 3], [2, 2]))

    assert (None, None) == (found["r2"], found["skill"])
    assert (1.0, 0.0) == (found["rmse"], found["baseline_rmse"])


def test_bins_of_the_curves_have_equally_many_rows_by_prediction(run_stage: RunStage) -> None:
    predicted, y = skewed(500)
    result = validate(run_stage, predicted.tolist(), y.tolist())
    parts = np.array_split(np.argsort(predicted), 10)

    for name, columns in (
        ("calibration.csv", lambda part: [y[part].mean(), (y <= predicted)[part].mean()]),
        (
            "residuals.csv",
            lambda part: np.quantile((y - predicted)[part], [0.05, 0.25, 0.5, 0.75, 0.95]),
        ),
    ):
        found = np.array([[*row.values()] for row in curve(result, name)])
        expected = [[50, predicted[part].mean(), *columns(part)] for part in parts]

        assert pytest.approx(np.array(expected)) == found
    assert ["rows", "mean_prediction", "mean_target", "share_below"] == list(
        curve(result, "calibration.csv")[0]
    )


def test_few_rows_have_a_bin_each(run_stage: RunStage) -> None:
    result = validate(run_stage, [5, 1, 3], [4, 4, 4])

    assert [1, 3, 5] == [row["mean_prediction"] for row in curve(result, "calibration.csv")]
    assert [3, 1, -1] == [row["residual_50"] for row in curve(result, "residuals.csv")]


def test_predictions_are_spread_over_their_deciles(run_stage: RunStage) -> None:
    predicted, y = skewed(400)
    scores = metrics_of(validate(run_stage, predicted.tolist(), y.tolist()))["scores"]

    assert pytest.approx(np.quantile(predicted, np.arange(1, 10) / 10)) == scores["edges"]
    assert {"prediction": [40] * 10} == scores["counts"]


def test_predictions_of_few_values_have_as_many_bins_as_differ(run_stage: RunStage) -> None:
    found = metrics_of(validate(run_stage, [1] * 8 + [2] * 3, range(11)))

    assert {"edges": [1, 2], "counts": {"prediction": [0, 8, 3]}} == found["scores"]


def test_rows_that_were_learned_from_are_left_out(run_stage: RunStage) -> None:
    learned = [float(n % 17) for n in range(60)]
    predicted, y = skewed(100)
    files = files_of(predicted.tolist(), [*learned[:40], *y[40:].tolist()], learned)
    val = str(files["split"]["val.csv"]).splitlines()
    # The first rows of val.csv are those of train.csv again.
    val[1:41] = str(files["split"]["train.csv"]).splitlines()[1:41]
    files["split"]["val.csv"] = "".join(f"{line}\n" for line in val)
    found = metrics_of(run_stage("predict", "validate", inputs=files))

    assert (60, 40) == (found["rows"], found["copied_rows"])
    assert pytest.approx(np.abs(y[40:] - predicted[40:]).mean()) == found["mae"]


def test_a_day_that_was_learned_from_is_refused(run_stage: RunStage) -> None:
    learned = [n / 3 for n in range(60)]
    files = files_of([1.0, 2.0], learned, learned)
    files["split"]["val.csv"] = files["split"]["train.csv"]
    result = run_stage("predict", "validate", inputs=files)

    assert 65 == result.code
    assert "60 of 60 rows are copies of rows that the model has learned from" in result.last_error
    assert f"{DAY} has the rows of 2013-01-01 again" in result.last_error


def test_one_row_is_no_evidence(run_stage: RunStage) -> None:
    result = validate(run_stage, [1, 2], [1])

    assert 65 == result.code
    assert "split/val.csv has one row only: validate on more days" in result.last_error


@pytest.mark.parametrize(
    ("text", "loss", "says"),
    [
        ("late", "squared", "column 'target' holds 'late', not a finite number"),
        ("", "squared", "column 'target' holds ''"),
        ("inf", "squared", "column 'target' holds 'inf'"),
        ("-2", "poisson", "the target is -2, and the model is of counts"),
    ],
)
def test_a_target_that_cannot_be_measured_is_named(
    run_stage: RunStage, text: str, loss: str, says: str
) -> None:
    files = files_of([1, 2, 3], [1, 2, 3], [1, 3], loss=loss)
    files["split"]["val.csv"] = f"row,target\n0,1\n1,{text}\n2,3\n"
    result = run_stage("predict", "validate", inputs=files)

    assert 65 == result.code
    assert "split/val.csv, row 2" in result.last_error
    assert says in result.last_error
