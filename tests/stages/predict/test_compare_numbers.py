"""compare measures two models of numbers by the loss of the new one, and says how sure it is."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from compared import (
    Files,
    changed,
    compare,
    comparison,
    digest,
    manifest,
    versioned,
    with_digests,
)
from harness import RunStage
from scored import constant_scores
from sklearn import metrics

HELD_OUT = "2013-01-02"
TRAIN = "row,target\n-1,1\n-2,4\n"
ROWS = 200


def targets(rows: int = ROWS) -> np.ndarray:
    """Counts, float64 (rows,), one of them 0 at least."""
    return np.random.default_rng(0).poisson(3, rows).astype(float)


def guessed(y: np.ndarray, noise: float, seed: int = 1) -> list[float]:
    """Predictions above 0 that are so far off, in the mean."""
    off = np.random.default_rng(seed).normal(0, noise, len(y))
    found: list[float] = np.maximum(y + off, 0.1).tolist()
    return found


def model(predicted: Sequence[float], days: dict[str, int], train: str, **said: Any) -> Any:
    """The files of a model that predicts these for row 0, 1, ..., and learned from 2 rows."""
    described = {
        "version": 1,
        "format": "treelite",
        "features": ["row"],
        "task": "regression",
        "loss": "squared",
        "baseline": {"mean": 2.5, "constant": 2.0},
        "trained_on": {"rows": 2, "sha256": digest(train)},
        **said,
    }
    prepared = {
        "version": 1,
        "task": "regression",
        "columns": [{"name": "row", "kind": "numeric"}],
        "days": [{"day": day, "rows": rows} for day, rows in days.items()],
    }
    return {
        "model.txt": constant_scores([(value,) for value in predicted]),
        "model.json": json.dumps(described),
        "preprocess.json": json.dumps(prepared),
    }


def scene(
    y: np.ndarray,
    ours: Sequence[float],
    theirs: Sequence[float] | None = None,
    *,
    said: dict[str, Any] | None = None,
    of_theirs: dict[str, Any] | None = None,
    their_rows: Sequence[float] | None = None,
) -> Files:
    """Challenger and champion with these predictions of val.csv, a day that is new to both.

    said, of_theirs: what the models say of their losses; their_rows: the rows, 0, 1, ..., that the
    champion knows by another name.
    """
    days = {"2013-01-01": 2, HELD_OUT: len(y)}
    val = "row,target\n" + "".join(f"{row},{value!r}\n" for row, value in enumerate(y.tolist()))
    challenger = model(ours, days, TRAIN, **(said or {}))
    prepared = challenger["preprocess.json"]
    processed = {"preprocess.json": prepared}
    raw = {f"raw/{day}/data.csv": digest(day) for day in days}
    tables = {"train.csv": TRAIN, "val.csv": val}
    fitted = {"processed/preprocess.json": digest(prepared)}
    files: Files = {
        "challenger": challenger,
        "processed": {**processed, "manifest.json": manifest(raw, processed)},
        "split": {**tables, "manifest.json": manifest(fitted, tables)},
    }
    if theirs is not None:
        known = [int(row) for row in their_rows or (-1, -2)]
        before = {"2012-12-31": len(known)}
        of_theirs = {"trained_on": {"rows": len(known), "sha256": "x"}, **(of_theirs or {})}
        champion = model(theirs, before, "another table", **of_theirs)
        if their_rows is not None:
            values = np.array([y[row] for row in known])
            text = with_digests(champion["preprocess.json"], known, values)
            champion["preprocess.json"] = text
        files["champion"] = versioned(champion, {day: digest(day) for day in before})
    return files


@pytest.mark.parametrize(
    ("of_ours", "of_theirs", "verdict", "words"),
    [
        (0.5, 2, "better", "so this model is better."),
        (2, 0.5, "worse", "so this model is worse."),
        (1, 1, "no_clear_difference", "so neither is clearly better."),
    ],
)
def test_less_error_is_better(
    run_stage: RunStage, of_ours: float, of_theirs: float, verdict: str, words: str
) -> None:
    y = targets()
    ours, theirs = guessed(y, of_ours), guessed(y, of_theirs, seed=2)
    found = comparison(run_stage, scene(y, ours, theirs))
    errors = [metrics.root_mean_squared_error(y, one) for one in (ours, theirs)]
    difference = found["difference"]

    assert ("rmse", verdict) == (found["metric"], found["verdict"])
    assert pytest.approx(errors) == [found[name]["rmse"] for name in ("challenger", "champion")]
    assert pytest.approx(errors[0] - errors[1]) == difference["rmse"]
    assert difference["low"] < difference["rmse"] < difference["high"]
    assert words in found["reason"]
    assert (
        "On 200 rows of 1 day that neither model has learned from, the RMSE of this model is"
        in (found["reason"])
    )


SAID: list[tuple[dict[str, Any], str, set[str]]] = [
    ({"loss": "squared"}, "rmse", set()),
    ({"loss": "absolute"}, "mae", set()),
    ({"loss": "poisson"}, "poisson_deviance", set()),
    ({"loss": "quantile", "quantile": 0.8}, "pinball_loss", {"coverage"}),
]


@pytest.mark.parametrize(("said", "metric", "beside"), SAID)
def test_each_loss_has_its_metric_and_all_are_those_of_validate(
    run_stage: RunStage, said: dict[str, Any], metric: str, beside: set[str]
) -> None:
    y = targets()
    files = scene(y, guessed(y, 1), guessed(y, 1, seed=2), said=said, of_theirs=said)
    found = comparison(run_stage, files)
    always = {"rmse", "mae", "r2", "median_error", "skill", metric, *beside}
    bounds = {f"{name}_{end}" for name in (metric, "skill") for end in ("low", "high")}

    assert metric == found["metric"]
    for name in ("challenger", "champion"):
        inputs = {"model": files[name], "split": files["split"]}
        validated = run_stage("predict", "validate", inputs=inputs).summary
        named = {"name", "version"} if name == "champion" else set()

        assert always | bounds | named == found[name].keys()
        assert {key: validated[key] for key in always} == {key: found[name][key] for key in always}


def loss(said: dict[str, Any], y: np.ndarray, guess: Any) -> float:
    """The mean loss, by scikit-learn."""
    measures: dict[str, Any] = {
        "squared": metrics.mean_squared_error,
        "absolute": metrics.mean_absolute_error,
        "poisson": metrics.mean_poisson_deviance,
        "quantile": lambda a, b: metrics.mean_pinball_loss(a, b, alpha=said["quantile"]),
    }
    return float(measures[said["loss"]](y, guess))


@pytest.mark.parametrize(("said", "metric", "_"), SAID)
def test_the_intervals_are_those_of_a_paired_bootstrap_over_rows(
    run_stage: RunStage, said: dict[str, Any], metric: str, _: set[str]
) -> None:
    y = targets()
    both = np.array([guessed(y, 1), guessed(y, 1.4, seed=2)])
    found = comparison(run_stage, scene(y, *both.tolist(), said=said, of_theirs=said))
    random = np.random.default_rng(5)
    drawn = []
    for _n in range(1000):
        rows = random.integers(0, ROWS, ROWS)
        guesses = [*both[:, rows], np.full(ROWS, 2.0)]  # the constant of both is 2
        drawn.append([loss(said, y[rows], guess) for guess in guesses])
    ours, theirs, constant = np.array(drawn).T
    root = np.sqrt if metric == "rmse" else np.positive
    expected = {
        "difference": root(ours) - root(theirs),
        "challenger": root(ours),
        "champion": root(theirs),
    }
    for name, values in expected.items():
        prefix = "" if name == "difference" else f"{metric}_"
        ends = np.quantile(values, [0.025, 0.975])
        tolerance = 0.15 * (ends[1] - ends[0])

        assert pytest.approx(ends, abs=tolerance) == [
            found[name][f"{prefix}{end}"] for end in ("low", "high")
        ]
    ends = np.quantile(1 - ours / constant, [0.025, 0.975])

    assert pytest.approx(ends, abs=0.15 * (ends[1] - ends[0])) == [
        found["challenger"][f"skill_{end}"] for end in ("low", "high")
    ]


def test_the_seed_decides_the_draws_and_nothing_else_does(run_stage: RunStage) -> None:
    y = targets()
    files = scene(y, guessed(y, 1), guessed(y, 1, seed=2))
    first, again, other = (comparison(run_stage, files, seed=seed) for seed in (17, 17, 18))

    assert first == again
    assert first["difference"]["low"] != other["difference"]["low"]
    assert first["challenger"]["mae"] == other["challenger"]["mae"]


def test_without_a_champion_the_challenger_is_the_first(run_stage: RunStage) -> None:
    y = 1e6 * targets()
    result = compare(run_stage, scene(y, [1e6 * one for one in guessed(targets(), 1)]))
    found = json.loads((result.out / "comparison.json").read_text("utf-8"))
    ours = found["challenger"]

    assert ("first", None, None) == (found["verdict"], found["champion"], found["difference"])
    # Four digits, whatever the unit.
    low, error, high = (f"{ours[key]:,.0f}" for key in ("rmse_low", "rmse", "rmse_high"))
    assert (
        "There is no model in production yet; on 200 rows of 1 day that it has not learned from,"
        f" the RMSE of this model is {error}, between {low} and {high} (95 %)."
    ) == found["reason"]
    assert {
        "verdict": "first",
        "reason": found["reason"],
        "rows": 200,
        "days": 1,
        "challenger_rmse": ours["rmse"],
        "champion_rmse": None,
        "challenger_skill": ours["skill"],
        "champion_skill": None,
        "difference": None,
        "low": None,
        "high": None,
        "champion_version": None,
    } == result.summary


def test_small_errors_are_told_by_four_digits(run_stage: RunStage) -> None:
    y = targets() / 1e5
    ours, theirs = ([one / 1e5 for one in guessed(1e5 * y, 1, seed)] for seed in (1, 2))
    found = comparison(run_stage, scene(y, ours, theirs))

    # Such as 0.000009873.
    assert f"RMSE of this model is {found['challenger']['rmse']:.9f} and" in found["reason"]


@pytest.mark.parametrize(
    ("said", "of_theirs", "kept"),
    [
        (
            {"loss": "squared"},
            {"loss": "absolute"},
            "This model keeps the squared error small, version 3 in production the absolute error",
        ),
        (
            {"loss": "quantile", "quantile": 0.9},
            {"loss": "quantile", "quantile": 0.5},
            "This model keeps the pinball loss of the quantile 0.9 small, version 3 in production"
            " the pinball loss of the quantile 0.5",
        ),
        (
            {"loss": "squared"},
            {"loss": "poisson"},
            "This model keeps the squared error small, version 3 in production the Poisson"
            " deviance",
        ),
    ],
)
def test_models_of_different_losses_are_measured_without_a_verdict(
    run_stage: RunStage, said: dict[str, Any], of_theirs: dict[str, Any], kept: str
) -> None:
    y = targets()
    ours, theirs = guessed(y, 0.5), guessed(y, 2, seed=2)
    found = comparison(run_stage, scene(y, ours, theirs, said=said, of_theirs=of_theirs))
    both = [loss(said, y, one) for one in (ours, theirs)]
    measured = [found[name][found["metric"]] for name in ("challenger", "champion")]
    if said["loss"] == "squared":
        both = np.sqrt(both).tolist()

    assert "not_comparable" == found["verdict"]
    assert f"{kept}, so there is no verdict: on 200 rows" in found["reason"]
    assert all(f"{error:.4g}" in found["reason"] for error in both)
    assert pytest.approx(both) == measured
    assert found["difference"]["high"] < 0


def test_a_champion_of_classes_is_not_comparable(run_stage: RunStage) -> None:
    y = targets()
    files = scene(y, guessed(y, 1), guessed(y, 1))
    spec = json.loads(files["champion"]["model.json"])
    spec = {key: spec[key] for key in ("version", "format", "features", "trained_on")}
    spec["classes"] = ["no", "yes"]
    champion = {
        **files["champion"],
        "model.txt": constant_scores([(0.5, 0.5)]),
        "model.json": json.dumps(spec),
        "preprocess.json": changed(
            files["champion"]["preprocess.json"], task="classification", classes=["no", "yes"]
        ),
    }
    del champion["version.json"]
    files["champion"] = versioned(champion, {"2012-12-31": "x"})
    found = comparison(run_stage, files)

    assert ("not_comparable", None) == (found["verdict"], found["difference"])
    assert found["reason"].startswith(
        "Version 3 in production predicts classes, this model a number, so the two cannot be"
        " compared; on 200 rows"
    )
    assert {"name": "microstage", "version": "3"}.items() <= found["champion"].items()
    assert found["champion"]["rmse"] is None


def test_rows_that_the_champion_knows_by_another_name_are_left_out(run_stage: RunStage) -> None:
    y = targets()
    ours, theirs = guessed(y, 1), guessed(y, 1, seed=2)
    found = comparison(run_stage, scene(y, ours, theirs, their_rows=range(50)))

    assert {"challenger": 0, "champion": 50} == found["proof"]["copied_rows"]
    assert 150 == found["rows"]
    assert metrics.mean_absolute_error(y[50:], theirs[50:]) == pytest.approx(
        found["champion"]["mae"]
    )


def test_rows_with_other_targets_are_other_rows(run_stage: RunStage) -> None:
    y = targets()
    files = scene(y, guessed(y, 1), guessed(y, 1, seed=2), their_rows=range(50))
    text = with_digests(files["champion"]["preprocess.json"], range(50), y[:50] + 0.5)
    champion = {**files["champion"], "preprocess.json": text}
    del champion["version.json"]
    files["champion"] = versioned(champion, {"2012-12-31": "x"})
    found = comparison(run_stage, files)

    assert {"challenger": 0, "champion": 0} == found["proof"]["copied_rows"]
