"""Numbers to predict from raw days to the report: every stage reads what the one before wrote."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from contract.formats import FORMATS
from harness import Result, RunStage

DAYS = ["2013-01-07", "2013-01-08", "2013-01-09"]
DAY = "2013-01-10"  # to predict

# Kind of work, image, verb, what it reads, and its parameters: as dags/pipelines has them.
Step = tuple[str, str, str, Mapping[str, str], dict[str, object]]
RAW = {f"raw/{day}": f"raw/{day}" for day in DAYS}
STEPS: dict[str, Step] = {
    **{
        f"raw/{day}": (
            "generate-data",
            "replay",
            "generate",
            {},
            {"date": day, "target": "minutes"},
        )
        for day in [*DAYS, DAY]
    },
    "processed": ("fit-columns", "preprocess", "fit", RAW, {"task": "regression"}),
    "split": ("split-rows", "preprocess", "split", {"processed": "processed"}, {}),
    "model": ("train-model", "", "fit", {"processed": "processed", "split": "split"}, {}),
    "validation": (
        "validate-model",
        "predict",
        "validate",
        {"model": "model", "split": "split"},
        {},
    ),
    "features": (
        "transform-rows",
        "preprocess",
        "transform",
        {f"raw/{DAY}": f"raw/{DAY}", "model": "model"},
        {},
    ),
    "predictions": (
        "predict-rows",
        "predict",
        "predict",
        {"model": "model", "features": "features"},
        {},
    ),
    "report": (
        "report-quality",
        "monitor",
        "report",
        {f"predictions/{DAY}": "predictions", f"raw/{DAY}": f"raw/{DAY}", "model": "model"},
        {"date": DAY, "min_skill": -1},
    ),
}


@pytest.mark.parametrize(
    ("trainer", "params"),
    [
        ("train", {"loss": "quantile", "quantile": 0.8}),
        ("train_sklearn", {"loss": "squared"}),
        ("train_xgboost", {"loss": "absolute"}),
    ],
)
def test_each_stage_writes_what_the_next_one_reads(
    run_stage: RunStage, trainer: str, params: dict[str, object]
) -> None:
    made: dict[str, Path] = {}
    results: dict[str, Result] = {}
    for name, (work, image, verb, reads, own) in STEPS.items():
        inputs = {mount: made[source] for mount, source in reads.items()}
        given = {**own, **({} if image else {**params, "rounds": 20})}
        results[name] = run_stage(image or trainer, verb, inputs=inputs, **given)
        made[name] = results[name].out

        assert (0, "") == (results[name].code, results[name].stderr), name
        assert [] == list(FORMATS[work](inputs, made[name])), name

    assert results["model"].summary["loss"] == params["loss"]
    rows = results[f"raw/{DAY}"].summary["rows"]
    assert rows == results["predictions"].summary["rows"] == results["report"].summary["rows"]
