"""compare measures two models on rows that are new to both, and says how sure the result is."""

import csv
import json
from collections.abc import Mapping, Sequence
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
    trained,
    versioned,
    with_digests,
)
from harness import RunStage
from scored import Scores, constant_scores, random_scores
from sklearn import metrics

HELD_OUT = "2013-01-02"


def model(
    scores: Scores, classes: Sequence[str], days: Mapping[str, int], rows: int, train: str
) -> dict[str, str | bytes]:
    """The files of a model with these scores for row 0, 1, ..., made from `days`: their rows."""
    described = {
        "version": 1,
        "format": "treelite",
        "features": ["row"],
        "classes": classes,
        "trained_on": {"rows": rows, "sha256": digest(train)},
    }
    prepared = {
        "version": 1,
        "columns": [{"name": "row", "kind": "numeric"}],
        "classes": classes,
        "days": [{"day": day, "rows": n} for day, n in days.items()],
    }
    return {
        "model.txt": constant_scores(scores),
        "model.json": json.dumps(described),
        "preprocess.json": json.dumps(prepared),
    }


def scene(
    target: Sequence[str],
    ours: Scores,
    theirs: Scores | None = None,
    *,
    classes: Sequence[str] = ("no", "yes"),
    their_classes: Sequence[str] = (),
    held_out: Mapping[str, int] | None = None,
    their_days: Mapping[str, int] | None = None,
    their_train: str = "what the champion learned",
    their_rows: Sequence[float] | None = None,
    taught: int = 0,
    raw: Mapping[str, str] | None = None,
) -> Files:
    """Challenger and champion with these scores of val.csv, which are of the days `held_out`.

    The challenger has learned from a row of each class of 2013-01-01, which come before, or from
    `taught` rows alone; the champion from all
    rows but one of `their_days`; `their_rows` are the features of all. `raw`: digests of days whose
    data are not the day's own.
    """
    taught = min(len(classes), taught or len(classes))
    learned = {"2013-01-01": taught, **({HELD_OUT: len(target)} if held_out is None else held_out)}
    train = "row,target\n" + "".join(f"{-n},{classes[n - 1]}\n" for n in range(1, taught + 1))
    val = "row,target\n" + "".join(f"{row},{label}\n" for row, label in enumerate(target))
    challenger = model(ours, classes, learned, taught, train)
    their_days = their_days or {"2012-12-30": 3, "2012-12-31": 1}
    own = {day: digest(day) for day in (*learned, *their_days)}
    own.update(raw or {})
    processed = {"preprocess.json": challenger["preprocess.json"]}
    files: Files = {
        "challenger": challenger,
        "processed": {
            **processed,
            "manifest.json": manifest(
                {f"raw/{day}/data.csv": own[day] for day in learned}, processed
            ),
        },
        "split": {
            "train.csv": train,
            "val.csv": val,
            "manifest.json": manifest(
                {"processed/preprocess.json": digest(challenger["preprocess.json"])},
                {"train.csv": train, "val.csv": val},
            ),
        },
    }
    if theirs is not None:
        rows = sum(their_days.values()) - 1
        champion = model(theirs, their_classes or classes, their_days, rows, their_train)
        if their_rows is not None:
            champion["preprocess.json"] = with_digests(
                champion["preprocess.json"],
                their_rows,
                np.array(
                    [
                        classes.index(target[int(row)]) if 0 <= row < len(target) else 0
                        for row in their_rows
                    ]
                ),
            )
        files["champion"] = versioned(champion, {day: own[day] for day in their_days})
    return files


def noisy(scores: np.ndarray, noise: float) -> np.ndarray:
    """Probabilities of two classes that tell less, float64 (rows, 2), with ties."""
    random = np.random.default_rng(1)
    positive = np.clip(scores[:, 1] + noise * random.normal(size=len(scores)), 0, 1).round(2)
    return np.column_stack([1 - positive, positive])


def labels(y: np.ndarray) -> list[str]:
    return [("no", "yes")[k] for k in y]


@pytest.mark.parametrize(
    ("of_ours", "of_theirs", "verdict", "word"),
    [
        (0, 1, "better", "so this model is better"),
        (1, 0, "worse", "so this model is worse"),
        (0.2, 0.2, "no_clear_difference", "so neither is clearly better"),
    ],
)
def test_the_verdict_follows_the_interval_of_the_difference(
    run_stage: RunStage, of_ours: float, of_theirs: float, verdict: str, word: str
) -> None:
    scores, y = random_scores(400, 2)
    ours, theirs = noisy(scores, of_ours), noisy(scores[:, ::-1], of_theirs)[:, ::-1]
    found = comparison(run_stage, scene(labels(y), ours.tolist(), theirs.tolist()))
    aucs = [metrics.roc_auc_score(y, one[:, 1]) for one in (ours, theirs)]

    assert pytest.approx(aucs) == [found[name]["roc_auc"] for name in ("challenger", "champion")]
    assert pytest.approx(aucs[0] - aucs[1]) == found["difference"]["roc_auc"]
    assert verdict == found["verdict"]
    assert word in found["reason"]
    assert "On 400 rows of 1 day that neither model has learned from" in found["reason"]
    assert "version 3 in production" in found["reason"]


def test_each_metric_is_the_one_of_validate(run_stage: RunStage) -> None:
    scores, y = random_scores(200, 2)
    files = scene(labels(y), scores.tolist(), noisy(scores, 0.3).tolist())
    found = comparison(run_stage, files)
    for name in ("challenger", "champion"):
        validated = run_stage(
            "predict", "validate", inputs={"model": files[name], "split": files["split"]}
        ).summary
        both = {key: value for key, value in found[name].items() if key in validated}

        assert {key: validated[key] for key in both} == both
        assert {"roc_auc", "log_loss", "average_precision", "accuracy", "calibration_error"} == set(
            both
        )


def test_the_interval_is_that_of_a_paired_bootstrap(run_stage: RunStage) -> None:
    scores, y = random_scores(300, 2)
    ours, theirs = noisy(scores, 0.1), noisy(scores, 0.5)
    found = comparison(run_stage, scene(labels(y), ours.tolist(), theirs.tolist()))
    random = np.random.default_rng(5)
    aucs = []
    for _ in range(1000):
        rows = np.concatenate(
            [random.choice(np.flatnonzero(y == k), (y == k).sum()) for k in (0, 1)]
        )
        aucs.append([metrics.roc_auc_score(y[rows], one[rows, 1]) for one in (ours, theirs)])
    of_ours, of_theirs = np.array(aucs).T
    expected = np.quantile(of_ours - of_theirs, [0.025, 0.975])

    assert pytest.approx(expected, abs=0.01) == [
        found["difference"][key] for key in ("low", "high")
    ]
    for name, drawn in (("challenger", of_ours), ("champion", of_theirs)):
        assert pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01) == [
            found[name][f"roc_auc_{key}"] for key in ("low", "high")
        ]


def test_the_seed_decides_the_draws_and_nothing_else_does(run_stage: RunStage) -> None:
    scores, y = random_scores(100, 2)
    files = scene(labels(y), scores.tolist(), noisy(scores, 0.3).tolist())
    first, again, other = (comparison(run_stage, files, seed=seed) for seed in (17, 17, 18))

    assert first == again
    assert first["difference"]["low"] != other["difference"]["low"]
    assert first["challenger"]["log_loss"] == other["challenger"]["log_loss"]


def test_three_classes_are_compared_one_against_the_rest(run_stage: RunStage) -> None:
    scores, y = random_scores(300, 3)
    theirs = np.random.default_rng(1).dirichlet(np.ones(3), 300)
    found = comparison(
        run_stage,
        scene(
            ["abc"[k] for k in y],
            scores.tolist(),
            theirs.tolist(),
            classes=["a", "b", "c"],
            their_classes=["c", "a", "b"],  # the same, in another order
        ),
    )
    aucs = [
        metrics.roc_auc_score(y, one, multi_class="ovr") for one in (scores, theirs[:, [1, 2, 0]])
    ]

    assert pytest.approx(aucs) == [found[name]["roc_auc"] for name in ("challenger", "champion")]
    assert "better" == found["verdict"]
    assert found["challenger"]["roc_auc_low"] < aucs[0] < found["challenger"]["roc_auc_high"]


def test_without_a_champion_the_challenger_is_the_first(run_stage: RunStage) -> None:
    scores, y = random_scores(100, 2)
    result = compare(run_stage, scene(labels(y), scores.tolist()))
    found = json.loads((result.out / "comparison.json").read_text("utf-8"))

    assert ("first", None, None) == (found["verdict"], found["champion"], found["difference"])
    assert "There is no model in production yet; on 100 rows of 1 day" in found["reason"]
    assert found["challenger"]["roc_auc_low"] < found["challenger"]["roc_auc_high"]
    assert {
        "verdict": "first",
        "reason": found["reason"],
        "rows": 100,
        "days": 1,
        "challenger_roc_auc": found["challenger"]["roc_auc"],
        "champion_roc_auc": None,
        "challenger_log_loss": found["challenger"]["log_loss"],
        "champion_log_loss": None,
        "difference": None,
        "low": None,
        "high": None,
        "champion_version": None,
    } == result.summary


def test_the_summary_is_the_comparison_in_short(run_stage: RunStage) -> None:
    scores, y = random_scores(100, 2)
    result = compare(run_stage, scene(labels(y), scores.tolist(), noisy(scores, 0.3).tolist()))
    found = json.loads((result.out / "comparison.json").read_text("utf-8"))

    assert {
        "verdict": found["verdict"],
        "reason": found["reason"],
        "rows": 100,
        "days": 1,
        "challenger_roc_auc": found["challenger"]["roc_auc"],
        "champion_roc_auc": found["champion"]["roc_auc"],
        "challenger_log_loss": found["challenger"]["log_loss"],
        "champion_log_loss": found["champion"]["log_loss"],
        "difference": found["difference"]["roc_auc"],
        "low": found["difference"]["low"],
        "high": found["difference"]["high"],
        "champion_version": "3",
    } == result.summary


TWO_DAYS = {HELD_OUT: 60, "2013-01-03": 40}


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"their_days": {HELD_OUT: 3, "2013-01-04": 1}}, id="by name"),
        pytest.param({"raw": {"2012-12-30": "equal", HELD_OUT: "equal"}}, id="by content"),
    ],
)
def test_a_day_that_the_champion_has_learned_from_is_left_out(
    run_stage: RunStage, known: dict[str, Any]
) -> None:
    scores, y = random_scores(100, 2)
    theirs = noisy(scores, 0.3)
    files = scene(labels(y), scores.tolist(), theirs.tolist(), held_out=TWO_DAYS, **known)
    found = comparison(run_stage, files)

    assert (["2013-01-03"], 40) == (found["days"], found["rows"])
    assert [HELD_OUT] == found["proof"]["left_out"]
    assert ["2013-01-01"] == found["proof"]["challenger_trained_on"]
    assert (
        pytest.approx(metrics.roc_auc_score(y[60:], theirs[60:, 1]))
        == (found["champion"]["roc_auc"])
    )


def test_rows_that_the_champion_has_learned_under_another_name_are_left_out(
    run_stage: RunStage,
) -> None:
    scores, y = random_scores(100, 2)
    theirs = noisy(scores, 0.3)
    files = scene(
        labels(y),
        scores.tolist(),
        theirs.tolist(),
        their_days={"2012-12-30": 60, "2012-12-31": 1},
        their_rows=[*range(40), *range(-20, 0), 99],
    )
    found = comparison(run_stage, files)

    assert (60, [HELD_OUT]) == (found["rows"], found["days"])
    assert {"challenger": 0, "champion": 40} == found["proof"]["copied_rows"]
    assert "40 rows were left out as copies of rows" in found["reason"]
    aucs = [metrics.roc_auc_score(y[40:], one[40:, 1]) for one in (scores, theirs)]
    assert pytest.approx(aucs) == [found[name]["roc_auc"] for name in ("challenger", "champion")]


def test_a_champion_that_knows_all_rows_by_another_name_is_not_comparable(
    run_stage: RunStage,
) -> None:
    scores, y = random_scores(50, 2)
    files = scene(
        labels(y),
        scores.tolist(),
        scores.tolist(),
        their_days={"2012-12-30": 50, "2012-12-31": 1},
        their_rows=[*range(50), 99],
    )
    found = comparison(run_stage, files)

    assert ("not_comparable", 50) == (found["verdict"], found["rows"])
    assert f"{HELD_OUT} has the rows of 2012-12-30 again" in found["reason"]
    assert {HELD_OUT: "2012-12-30"} == found["proof"]["copied_days"]


def test_a_class_that_no_learned_row_has_makes_no_first_model(run_stage: RunStage) -> None:
    scores, y = random_scores(60, 3)
    names = ["no", "yes", "yes."]
    found = comparison(
        run_stage, scene([names[k] for k in y], scores.tolist(), classes=names, taught=2)
    )

    assert "not_comparable" == found["verdict"]
    assert "The class 'yes.' is in the rows to validate with and in no row" in found["reason"]


def test_a_day_that_was_held_out_from_the_champion_too_stays(run_stage: RunStage) -> None:
    # 4 rows, of which it has learned from 3: those of the first day.
    scores, y = random_scores(50, 2)
    files = scene(
        labels(y), scores.tolist(), scores.tolist(), their_days={"2012-12-31": 3, HELD_OUT: 1}
    )
    found = comparison(run_stage, files)

    assert ([HELD_OUT], []) == (found["days"], found["proof"]["left_out"])
    assert ["2012-12-31"] == found["proof"]["champion_trained_on"]
    assert 0 == found["difference"]["low"] == found["difference"]["high"]


def test_a_champion_that_knows_every_day_is_not_comparable(run_stage: RunStage) -> None:
    scores, y = random_scores(50, 2)
    files = scene(labels(y), scores.tolist(), scores.tolist(), their_days={HELD_OUT: 3})
    found = comparison(run_stage, files)

    assert ("not_comparable", 50) == (found["verdict"], found["rows"])
    assert "has learned from every day that is new to this model" in found["reason"]
    assert [HELD_OUT] == found["proof"]["left_out"]
    assert ("3", None) == (found["champion"]["version"], found["champion"]["roc_auc"])
    assert metrics.roc_auc_score(y, scores[:, 1]) == pytest.approx(found["challenger"]["roc_auc"])


def test_rows_that_are_left_and_of_one_class_are_not_comparable(run_stage: RunStage) -> None:
    files = scene(
        ["yes", "no", "no", "no"],
        [(0.5, 0.5)] * 4,
        [(0.4, 0.6)] * 4,
        held_out={HELD_OUT: 2, "2013-01-03": 2},
        their_days={HELD_OUT: 3, "2013-01-04": 1},
    )
    found = comparison(run_stage, files)

    assert "not_comparable" == found["verdict"]
    assert "of one class" in found["reason"]


OF_ONE_DAY = "held out of 2013-01-01, a day whose other rows "


def one_day_scene(theirs: Scores | None, **champion: Any) -> Files:
    """A challenger that has learned from 2 of the 52 rows of a day, and measured on the others."""
    scores, y = random_scores(50, 2)
    files = scene(labels(y), scores.tolist(), theirs, held_out={}, **champion)
    return of_one_day(files, rows=52)


def test_of_one_day_who_learned_from_the_same_rows_is_compared(run_stage: RunStage) -> None:
    scores, _ = random_scores(50, 2)
    files = one_day_scene(
        scores[:, ::-1].tolist(),
        their_days={"2013-01-01": 52},
        their_train=str(scene([], [(0.5, 0.5)])["split"]["train.csv"]),
    )
    found = comparison(run_stage, files)

    assert ("better", ["2013-01-01"], 50) == (found["verdict"], found["days"], found["rows"])
    assert f"On 50 rows {OF_ONE_DAY}both models have learned from, the AUC" in found["reason"]


def test_a_day_that_only_the_challenger_knows_other_rows_of_gives_no_verdict(
    run_stage: RunStage,
) -> None:
    scores, y = random_scores(50, 2)
    theirs = scores[:, ::-1]
    result = compare(run_stage, one_day_scene(theirs.tolist()))
    found = json.loads((result.out / "comparison.json").read_text("utf-8"))
    aucs = [metrics.roc_auc_score(y, one[:, 1]) for one in (scores, theirs)]
    difference = found["difference"]

    assert ("not_comparable", 50) == (found["verdict"], found["rows"])
    assert pytest.approx(aucs) == [found[name]["roc_auc"] for name in ("challenger", "champion")]
    assert 0 < difference["low"] < difference["roc_auc"] < difference["high"]
    assert difference["roc_auc"] == result.summary["difference"]
    assert (
        f"The 50 rows were {OF_ONE_DAY}this model has learned from and version 3 in production has "
        f"not, which favours this model: its AUC is {aucs[0]:.3f} and that of version 3 "
        f"{aucs[1]:.3f} (difference {aucs[0] - aucs[1]:+.3f}, {difference['low']:+.3f} to "
        f"{difference['high']:+.3f}, 95 %). Train on more than one day (window) for a verdict."
    ) == found["reason"]


def test_days_that_were_not_held_out_whole_give_no_verdict_either(run_stage: RunStage) -> None:
    # 2 of 52 rows were learned from, but the first of the two days has 20: some of each day.
    scores, _ = random_scores(50, 2)
    files = one_day_scene(noisy(scores, 0.3).tolist())
    days = {"2013-01-01": 20, HELD_OUT: 32}
    found = comparison(run_stage, of_days(files, days))

    assert ("not_comparable", list(days)) == (found["verdict"], found["days"])
    assert list(days) == found["proof"]["challenger_trained_on"]
    assert "held out of 2 days whose other rows this model has learned from" in found["reason"]
    assert found["reason"].endswith(" Split by whole days for a verdict.")
    assert found["difference"]["low"] < found["difference"]["high"]


def test_of_one_day_a_champion_that_learned_from_it_otherwise_is_not_measured(
    run_stage: RunStage,
) -> None:
    scores, _ = random_scores(50, 2)
    found = comparison(run_stage, one_day_scene(scores.tolist(), their_days={"2013-01-01": 52}))

    assert ("not_comparable", None) == (found["verdict"], found["difference"])
    assert "may have learned from the rows that are new to this model" in found["reason"]
    assert f"on 50 rows {OF_ONE_DAY}it has learned from, the AUC" in found["reason"]


def test_of_one_day_the_first_model_is_the_first(run_stage: RunStage) -> None:
    found = comparison(run_stage, one_day_scene(None))

    assert ("first", None) == (found["verdict"], found["difference"])
    assert f"yet; on 50 rows {OF_ONE_DAY}it has learned from, the AUC" in found["reason"]


def of_one_day(files: Files, rows: int) -> Files:
    """The same with a challenger whose window is one day of so many rows."""
    return of_days(files, {"2013-01-01": rows})


def of_days(files: Files, days: Mapping[str, int]) -> Files:
    """The same with a challenger whose window is these days with so many rows."""
    prepared = [{"day": day, "rows": rows} for day, rows in days.items()]
    text = changed(files["challenger"]["preprocess.json"], days=prepared)
    own = {f"raw/{day}/data.csv": digest(day) for day in days}
    split = files["split"]
    tables = {name: split[name] for name in ("train.csv", "val.csv")}
    return {
        **files,
        "challenger": {**files["challenger"], "preprocess.json": text},
        "processed": {"manifest.json": manifest(own, {"preprocess.json": text})},
        "split": {
            **tables,
            "manifest.json": manifest({"processed/preprocess.json": digest(text)}, tables),
        },
    }


def with_champion(files: Files, **changes: str) -> Files:
    """The same with other files of the champion, as their version.json has them."""
    champion = {**files["champion"], **changes}
    version = json.loads(champion.pop("version.json"))
    raw = {name.partition("/")[0]: found for name, found in version["raw"].items()}
    return {**files, "champion": versioned(champion, raw)}


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ([{"name": "age", "kind": "numeric"}], "needs the column 'age', which the rows do not"),
        (
            [{"name": "row", "kind": "categorical", "categories": ["a"]}],
            "The column 'row' is categorical for version 3",
        ),
    ],
)
def test_a_champion_with_other_columns_is_not_comparable(
    run_stage: RunStage, columns: list[dict[str, Any]], sentence: str
) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2, [(0.5, 0.5)] * 2)
    champion = files["champion"]
    found = comparison(
        run_stage,
        with_champion(
            files,
            **{
                "preprocess.json": changed(champion["preprocess.json"], columns=columns),
                "model.json": changed(champion["model.json"], features=[columns[0]["name"]]),
            },
        ),
    )

    assert "not_comparable" == found["verdict"]
    assert sentence in found["reason"]


def test_a_champion_with_other_classes_is_not_comparable(run_stage: RunStage) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2, [(0.5, 0.5)] * 2, their_classes=["maybe", "yes"])
    found = comparison(run_stage, files)

    assert "not_comparable" == found["verdict"]
    assert (
        "Version 3 in production knows the class 'maybe', which this model does not"
        in (found["reason"])
    )


def test_a_champion_that_does_not_say_its_data_is_not_comparable(run_stage: RunStage) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2, [(0.5, 0.5)] * 2)
    champion = {**files["champion"]}
    champion["version.json"] = changed(champion["version.json"], raw={})
    found = comparison(run_stage, {**files, "champion": champion})

    assert "not_comparable" == found["verdict"]
    assert "does not say which data of 2012-12-30 it has learned from" in found["reason"]


def harmed(files: Files, path: str, content: str) -> Files:
    folder, name = path.split("/")
    return {**files, folder: {**files[folder], name: content}}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("split/val.csv", "row,target\n0,yes\n1,yes\n"),
        ("split/train.csv", "row,target\n0,yes\n"),
        ("challenger/preprocess.json", '{"version": 1, "columns": [{"name": "row"}], "days": []}'),
        ("champion/model.txt", "another model"),
        ("champion/version.json", "{}"),
        ("split/manifest.json", '{"version": 1, "inputs": {}, "outputs": {}}'),
        ("processed/manifest.json", "[]"),
    ],
)
def test_files_that_are_not_of_one_run_are_refused(
    run_stage: RunStage, path: str, content: str
) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2, [(0.5, 0.5)] * 2)
    result = compare(run_stage, harmed(files, path, content))

    assert 65 == result.code
    assert path.rpartition("/")[2] in result.last_error or "manifests" in result.last_error


def test_a_model_of_another_split_is_refused(run_stage: RunStage) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2)
    trained_on = {"rows": 2, "sha256": digest("another table")}
    text = changed(files["challenger"]["model.json"], trained_on=trained_on)
    result = compare(run_stage, harmed(files, "challenger/model.json", text))

    assert 65 == result.code
    assert "learned from another table than split/train.csv" in result.last_error


def test_rows_that_do_not_add_up_are_refused(run_stage: RunStage) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2, held_out={HELD_OUT: 3})
    result = compare(run_stage, files)

    assert 65 == result.code
    assert "split/val.csv has 2 rows" in result.last_error


@pytest.mark.parametrize(
    "path", ["split/manifest.json", "processed/manifest.json", "champion/version.json"]
)
def test_what_proves_nothing_for_want_of_a_file_is_refused(run_stage: RunStage, path: str) -> None:
    files = scene(["no", "yes"], [(0.5, 0.5)] * 2, [(0.5, 0.5)] * 2)
    folder, name = path.split("/")
    del files[folder][name]
    result = compare(run_stage, files)

    assert (66, True) == (result.code, path in result.last_error)


def test_too_few_resamples_are_wrong_usage(run_stage: RunStage) -> None:
    result = compare(run_stage, scene(["no", "yes"], [(0.5, 0.5)] * 2), resamples=5)

    assert (64, True) == (result.code, "--resamples" in result.last_error)


# The whole way, with the images that write what compare reads.


def raw_day(seed: int, words: str, target_of: str) -> dict[str, str]:
    """200 rows of a category and a number, in this order; `target_of` are the words of class 1."""
    random = np.random.default_rng(seed)
    word, number = random.choice(list(words), 200), random.normal(size=200).round(3)
    chance = np.where(np.isin(word, list(target_of)), 0.8, 0.3)
    target = (random.random(200) < chance).astype(int)
    rows = zip(word.tolist(), number.tolist(), strict=True)
    return {
        "data.csv": "word,number\n" + "".join(f"{w},{n}\n" for w, n in rows),
        "target.csv": "target\n" + "".join(f"{k}\n" for k in target),
    }


def test_the_champion_scores_the_rows_as_transform_and_predict_would(run_stage: RunStage) -> None:
    newest = raw_day(3, "bxca", "c")
    newest["data.csv"] = newest["data.csv"].replace("\nc,", "\n,", 5)
    champions = {"2013-01-01": raw_day(0, "cdb", "c"), "2013-01-02": raw_day(1, "db", "d")}
    files = trained(run_stage, {"2013-01-08": raw_day(2, "abc", "a"), "2013-01-09": newest})
    champion = trained(run_stage, champions)["challenger"]
    raw = {day: digest(made["data.csv"]) for day, made in champions.items()}
    found = comparison(run_stage, {**files, "champion": versioned(champion, raw)})
    features = run_stage(
        "preprocess", "transform", inputs={"raw/2013-01-09": newest, "model": champion}
    )
    served = run_stage("predict", "predict", inputs={"model": champion, "features": features.out})
    with (served.out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    scores = np.array([row[1:] for row in rows], float)
    y = np.array(newest["target.csv"].split()[1:], int)

    assert metrics.log_loss(y, scores) == found["champion"]["log_loss"]
    assert metrics.roc_auc_score(y, scores[:, 1]) == found["champion"]["roc_auc"]
    assert (["2013-01-09"], 200) == (found["days"], found["rows"])
    assert ["2013-01-01"] == found["proof"]["champion_trained_on"]
