"""What the synthetic data is like: reproducible, natural to look at, drifting, learnable."""

import re
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from harness import Engine, Result, RunStage, arguments
from sklearn.metrics import roc_auc_score

NUMERIC = [f"x{number:02}" for number in range(1, 17)]
CATEGORICAL = ["colour", "region", "material", "supplier"]


def table(result: Result) -> pd.DataFrame:
    """All columns and the target, as last column."""
    data = pd.read_csv(result.out / "data.csv")
    return data.assign(target=pd.read_csv(result.out / "target.csv")["target"])


def standard_errors(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
    """How far apart the columns' means are."""
    error = np.sqrt(first.var() / first.count() + second.var() / second.count())
    return ((first.mean() - second.mean()) / error).abs()


def relation(day: pd.DataFrame) -> pd.Series:
    """Of each numeric column to the target."""
    return day[NUMERIC].corrwith(day["target"])


@pytest.fixture(scope="module")
def day(run_stage: RunStage) -> Result:
    return run_stage("generate", "generate", date="2013-01-01", rows=20_000)


def test_columns_are_16_numbers_and_4_texts(day: Result) -> None:
    data = pd.read_csv(day.out / "data.csv")
    numbers = data.select_dtypes("number")

    assert NUMERIC + CATEGORICAL == list(data)
    assert NUMERIC == list(numbers)


@pytest.mark.parametrize("rows", [1, 8192, 8193])
def test_there_are_as_many_rows_as_asked_for(run_stage: RunStage, rows: int) -> None:
    result = run_stage("generate", "generate", date="2013-01-01", rows=rows)
    data = (result.out / "data.csv").read_text("utf-8")
    target = (result.out / "target.csv").read_text("utf-8")

    assert rows + 1 == data.count("\n") == target.count("\n")
    assert data.endswith("\n")
    assert rows == result.summary["rows"]


def test_numbers_look_as_a_person_writes_them(day: Result) -> None:
    cells = pd.read_csv(day.out / "data.csv", dtype=str, keep_default_na=False)[NUMERIC]
    natural = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?|")
    odd = [cell for cell in cells.to_numpy().ravel() if not natural.fullmatch(cell)]

    assert [] == odd
    assert not cells.isin(["-0", "-0.00", "-0.0000"]).any(axis=None)


def test_some_values_are_missing(day: Result) -> None:
    missing = pd.read_csv(day.out / "data.csv").isna().mean()
    expected = {"x02": 0.02, "x07": 0.1, "x11": 0.05, "region": 0.03}

    assert expected == pytest.approx(missing[missing > 0].to_dict(), abs=0.01)


@pytest.mark.parametrize("other", [{"date": "2013-01-02"}, {"seed": 18}, {"drift": 2.0}])
def test_each_parameter_changes_the_rows(
    run_stage: RunStage, day: Result, other: dict[str, Any]
) -> None:
    params: dict[str, Any] = {"date": "2013-01-01", "rows": 20_000} | other
    result = run_stage("generate", "generate", **params)

    assert (day.out / "data.csv").read_bytes() != (result.out / "data.csv").read_bytes()


def test_without_drift_all_days_are_alike(run_stage: RunStage) -> None:
    days = [
        table(run_stage("generate", "generate", date=date, rows=20_000, drift=0))
        for date in ("2013-01-01", "2014-01-01")
    ]
    far = standard_errors(days[0][NUMERIC], days[1][NUMERIC])

    assert far.max() < 5
    assert np.corrcoef(relation(days[0]), relation(days[1]))[0, 1] > 0.95


def test_with_drift_distributions_and_relations_move(run_stage: RunStage, day: Result) -> None:
    later = table(run_stage("generate", "generate", date="2014-01-01", rows=20_000))
    far = standard_errors(table(day)[NUMERIC], later[NUMERIC])

    assert (far > 10).mean() > 0.5
    assert np.corrcoef(relation(table(day)), relation(later))[0, 1] < 0.8


def test_drift_is_slow(run_stage: RunStage, day: Result) -> None:
    next_day = table(run_stage("generate", "generate", date="2013-01-02", rows=20_000))

    assert np.corrcoef(relation(table(day)), relation(next_day))[0, 1] > 0.95


@pytest.mark.parametrize("date", ["2013-01-01", "2013-07-01", "2014-01-01", "2015-01-01"])
def test_the_share_of_ones_stays(run_stage: RunStage, date: str) -> None:
    result = run_stage("generate", "generate", date=date, rows=20_000)

    assert 0.3 == pytest.approx(result.summary["target_rate"], abs=0.02)


def test_a_good_model_reaches_an_auc_of_about_0_8(day: Result) -> None:
    data = table(day).astype(dict.fromkeys(CATEGORICAL, "category"))
    target = data.pop("target")
    learn, check = slice(0, 15_000), slice(15_000, None)
    settings = {"objective": "binary", "learning_rate": 0.05, "verbosity": -1}
    model = lightgbm.train(settings, lightgbm.Dataset(data[learn], target[learn]), 200)
    auc = roc_auc_score(target[check], model.predict(data[check]))

    assert 0.78 < auc < 0.84


def test_memory_does_not_grow_with_the_rows(engine: Engine) -> None:
    params = {"date": "2013-01-01", "rows": 1_000_000}
    result = engine.run(
        "generate", arguments("generate", params), mem_limit="64m", memswap_limit="64m"
    )

    assert (0, "") == (result.code, result.stderr)
    assert 1_000_000 == result.summary["rows"]
