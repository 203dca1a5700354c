"""What people, or the Variables in their place, decide."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from dags_harness import DAY

from microstage import decisions
from microstage.decisions import switch
from microstage.operator import StageOperator
from microstage.published import Published
from microstage.schedule import hours_of
from microstage.verdicts import automatic, body

RunStage = Callable[..., dict[str, Any]]
FetchModel = partial(decisions.FetchModel, trainer="train")
ApprovePromotion = partial(
    decisions.ApprovePromotion, version="track", comparison="compare", report="monitor"
)
CheckQuality = partial(decisions.CheckQuality, report="monitor")
Retrain = partial(decisions.Retrain, report="monitor", dag_to_start="train_model")
VERSION = {"name": "microstage", "version": "3", "run_id": "abc", "experiment_id": "1"}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def comparison(verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reason": "Because.",
        "metric": "roc_auc",
        "challenger": {"roc_auc": 0.641, "log_loss": 0.5, "roc_auc_low": 0.6},
        "champion": {"name": "microstage", "version": "2", "roc_auc": 0.629, "log_loss": 0.51},
        "difference": {"low": -0.01, "high": 0.03},
        "proof": {"challenger_trained_on": ["2013-01-01", "2013-01-02"]},
    } | more


def newest_report(pipeline: str = "default") -> str:
    return Published(pipeline, DAY, print).newest_report("monitor")


# --- the model to predict with


def test_the_variable_names_the_model(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("model.txt", "model.json", "preprocess.json"):
        write(data / "models/mine" / file, {})
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", "models/mine")

    assert {"path": "models/mine"} == FetchModel(task_id="fetch", ds=DAY).execute({})


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("models/mine", r"models/mine lacks model\.json, preprocess\.json"),
        ("models/changed", r"models/changed: model\.txt is no longer what was published"),
        ("../models", "not a path below the data folder"),
        ("/data/models", "not a path below the data folder"),
        ("models/mine\n", "not a path below the data folder"),
        ("models\udcff", "not a path below the data folder"),
        ("models/" + "a" * 300, "not a path below the data folder"),
        ("models/elsewhere", r"models/elsewhere: \.\./\.\./x, validation is no longer what was"),
    ],
)
def test_a_wrong_variable_fails_at_once(
    data: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str
) -> None:
    write(data / "models/mine/model.txt", {})
    for file in ("model.txt", "model.json", "preprocess.json"):
        write(data / "models/changed" / file, {})
    for file in ("model.txt", "model.json", "preprocess.json", "validation/x"):
        write(data / "models/elsewhere" / file, {})
    write(data / "models/elsewhere/manifest.json", {"outputs": {"../../x": 1, "validation": 1}})
    outputs = {"model.txt": {"sha256": "0", "size": 2}}
    write(data / "models/changed/manifest.json", {"outputs": outputs})
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", path)

    with pytest.raises(AirflowFailException, match=f"Variable model_path is wrong: .*{sentence}"):
        FetchModel(task_id="fetch", ds=DAY).execute({})


def test_without_a_model_in_production_the_task_is_skipped_with_the_stages_sentence(
    run_stage: RunStage,
) -> None:
    operator = FetchModel(task_id="f", stage="stage", ds=DAY, force=False, skip_on_exit_code=66)

    with pytest.raises(AirflowSkipException, match="the reason, on row 7"):
        run_stage("fail", operator=operator, params={"code": 66})


def test_an_absent_image_is_not_taken_for_an_absent_model(run_stage: RunStage) -> None:
    operator = FetchModel(task_id="f", stage="stage", ds=DAY, force=False, skip_on_exit_code=66)

    with pytest.raises(AirflowFailException, match="not on this machine"):
        run_stage("ok", operator=operator, image="microstage/absent:0")


def test_the_directory_of_the_fetched_model_is_returned(run_stage: RunStage) -> None:
    operator = FetchModel(task_id="f", stage="stage", ds=DAY, force=False)

    assert f"stage/{DAY}" == run_stage("ok", operator=operator)["path"]


# --- what goes into production


BETTER = {"low": 0.004, "high": 0.04}
CLOSE, WIDE = {"low": -0.015, "high": 0.03}, {"low": -0.12, "high": 0.18}


@pytest.mark.parametrize(
    ("policy", "verdict", "difference", "expected"),
    [
        ("off", "better", BETTER, "ask"),
        ("off", "worse", BETTER, "ask"),
        ("better", "better", BETTER, "promote"),
        ("better", "first", None, "promote"),
        ("better", "no_clear_difference", CLOSE, "leave"),
        ("better", "worse", WIDE, "leave"),
        ("better", "not_comparable", BETTER, "ask"),
        ("not_worse", "better", BETTER, "promote"),
        ("not_worse", "no_clear_difference", CLOSE, "promote"),
        ("not_worse", "no_clear_difference", WIDE, "ask"),  # no evidence of either
        ("not_worse", "worse", WIDE, "leave"),
        ("not_worse", "excellent", BETTER, "ask"),  # which is no verdict
        ("better", None, BETTER, "ask"),
    ],
)
def test_the_variable_decides_where_the_comparison_is_clear(
    policy: str, verdict: Any, difference: Any, expected: str
) -> None:
    try:
        found = automatic(policy, comparison(verdict, difference=difference))
        decided = "promote" if found else "ask"
    except AirflowSkipException:
        decided = "leave"

    assert expected == decided


@pytest.mark.parametrize(
    "challenger",
    [
        {"roc_auc": 0.51, "roc_auc_low": 0.48, "log_loss": 0.5},  # perhaps no better than chance
        {"roc_auc": 0.70, "roc_auc_low": 0.65, "log_loss": 0.6},  # ranks well, lies about how sure
    ],
)
def test_a_doubtful_model_is_a_persons_decision_whatever_the_verdict(
    challenger: dict[str, float],
) -> None:
    doubtful = comparison("better", difference=BETTER, challenger=challenger)

    assert automatic("better", doubtful) is False


# Of numbers: an error, of which less is better, and what is saved of a constant's loss.
NUMBERS = {
    "metric": "rmse",
    "challenger": {"rmse": 10.0, "skill": 0.3, "skill_low": 0.25},
    "champion": {"version": "2", "rmse": 10.4, "skill": 0.28},
}


@pytest.mark.parametrize(
    ("verdict", "difference", "expected"),
    [
        ("better", {"low": -0.8, "high": -0.1}, True),
        ("no_clear_difference", {"low": -0.6, "high": 0.2}, True),
        ("no_clear_difference", {"low": -2.5, "high": 1.7}, False),  # may be far worse
        ("first", None, True),
    ],
)
def test_of_errors_less_is_better(verdict: str, difference: Any, expected: bool) -> None:
    found = automatic("not_worse", comparison(verdict, difference=difference, **NUMBERS))

    assert expected == found


def test_a_model_of_numbers_that_may_be_no_better_than_a_constant_is_a_persons_decision() -> None:
    numbers = NUMBERS | {"challenger": {"rmse": 10.0, "skill": 0.02, "skill_low": -0.01}}
    doubtful = comparison("better", difference={"low": -0.8, "high": -0.1}, **numbers)

    assert automatic("better", doubtful) is False


def test_a_person_sees_the_errors_of_numbers() -> None:
    text = list(body(VERSION, comparison("better", **NUMBERS), ""))

    assert "| root mean squared error (less is better) | 10.0000 | 10.4000 |" in text
    assert not [line for line in text if "AUC" in line]


@pytest.mark.parametrize(("value", "expected"), [(" Better ", "better"), ("OFF", "off")])
def test_a_variable_is_read_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_AUTO_PROMOTION", value)

    assert expected == switch("auto_promotion", "better", "not_worse")


def test_another_pipeline_has_variables_data_and_links_of_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_REPORTS_URL", "http://localhost:8082")
    monkeypatch.setenv("AIRFLOW_VAR_AUTO_PROMOTION", "better")
    asked: list[str] = []
    monkeypatch.setattr("microstage.decisions.Variable.get", lambda key, **_: asked.append(key))
    write(data / f"flights/models/{DAY}/version/version.json", VERSION)
    write(data / f"flights/models/{DAY}/comparison/comparison.json", comparison("worse"))
    write(data / f"flights/reports/{DAY}/manifest.json", {})

    with pytest.raises(AirflowFailException, match=r"The Variable flights\.auto_promotion is"):
        ApprovePromotion(task_id="approve", pipeline="flights", ds=DAY, hours=1).execute({})
    assert ["flights.auto_promotion"] == asked
    assert f"http://localhost:8082/flights/{DAY}/report.html" == newest_report("flights")
    assert "" == newest_report()
    assert (
        "flights.train_model"
        == Retrain(task_id="retrain", pipeline="flights", ds=DAY, model="x").trigger_dag_id
    )


def test_a_question_that_the_scheduler_fails_is_asked_again() -> None:
    assert 2 == ApprovePromotion(task_id="approve", hours=1).retries


def test_an_unknown_value_of_a_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_AUTO_PROMOTION", "yes")

    with pytest.raises(AirflowFailException, match="must be one of off, better, not_worse"):
        switch("auto_promotion", "better", "not_worse")


def test_a_person_sees_verdict_metrics_and_links(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_MLFLOW_URL", "http://localhost:5000")
    monkeypatch.setenv("MICROSTAGE_REPORTS_URL", "http://localhost:8082")
    for day in ("2013-01-04", "2013-01-05", "2013-01-07"):
        write(data / "reports" / day / "manifest.json", {})
    text = list(body(VERSION, comparison("better"), newest_report()))

    assert "**Verdict: better.** Because." == text[0]
    assert "| | this model (version 3) | in production (version 2) |" in text
    assert "| AUC | 0.6410 | 0.6290 |" in text
    assert "It has learned from 2 days, 2013-01-01 to 2013-01-02." in text
    assert "(http://localhost:5000/#/experiments/1/runs/abc)" in text[-2]
    assert "(http://localhost:8082/2013-01-05/report.html)" in text[-1]


def test_the_first_model_is_shown_beside_nothing(data: Path) -> None:
    text = list(body(VERSION, comparison("first", champion=None), newest_report()))

    assert "| AUC | 0.6410 | – |" in text
    assert "How the model" not in text[-1]


def test_a_model_that_is_in_production_is_not_asked_about_again(data: Path) -> None:
    write(data / f"models/{DAY}/version/version.json", VERSION | {"version": "2"})
    write(data / f"models/{DAY}/comparison/comparison.json", comparison("better"))

    with pytest.raises(AirflowSkipException, match="version 2 is in production already"):
        ApprovePromotion(task_id="approve", ds=DAY, hours=1).execute({})


def test_a_person_is_asked_and_has_so_many_hours(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    where = "airflow.providers.standard.operators.hitl.upsert_hitl_detail"
    monkeypatch.setattr(where, lambda **detail: asked.update(detail))  # Airflow's database
    monkeypatch.setattr("microstage.decisions.Variable.get", lambda *_, default: default)
    write(data / f"models/{DAY}/version/version.json", VERSION)
    write(data / f"models/{DAY}/comparison/comparison.json", comparison("worse"))

    context: Any = {"task_instance": SimpleNamespace(id="1")}
    with pytest.raises(TaskAwaitingInput) as waiting:
        ApprovePromotion(task_id="approve", ds=DAY, hours="36").execute(context)
    assert 36 * 3600 == waiting.value.timeout.total_seconds()
    assert f"Put microstage version 3, trained for {DAY}, into production?" == asked["subject"]
    assert "Because." in asked["body"]
    assert ["Reject"] == asked["defaults"]


# --- what bad quality leads to


@pytest.mark.parametrize(
    ("user", "by"),
    [({"id": "7", "name": "ada"}, "ada"), ({"id": "7", "name": ""}, "7"), (None, "")],
)
def test_who_has_approved_is_told_to_the_registry(user: Any, by: str) -> None:
    event = {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_at": pendulum.now("UTC"),
        "responded_by_user": user,
    }
    context: Any = {"task_instance": SimpleNamespace(id="1")}

    answer = ApprovePromotion(task_id="approve", ds=DAY, hours=1).execute_complete(context, event)

    assert by == answer["by"]


def test_a_rejection_names_nobody_by_whom_its_model_could_be_promoted_by_hand() -> None:
    event = {
        "chosen_options": ["Reject"],
        "params_input": {},
        "responded_at": pendulum.now("UTC"),
        "responded_by_user": {"id": "7", "name": "ada"},
    }
    context: Any = {"task_instance": SimpleNamespace(id="1")}

    answer = ApprovePromotion(task_id="approve", ds=DAY, hours=1).execute_complete(context, event)

    assert "by" not in answer


def test_bad_quality_fails_with_its_sentences_and_a_link(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_REPORTS_URL", "http://localhost:8082")
    write(data / f"reports/{DAY}/quality.json", {"ok": False, "problems": ["AUC is low."]})
    write(data / f"reports/{DAY}/manifest.json", {})

    with pytest.raises(AirflowFailException) as failed:
        CheckQuality(task_id="check_quality", ds=DAY).execute({})
    assert f"AUC is low. Report: http://localhost:8082/{DAY}/report.html" == str(failed.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 100_000, '{"problems": 3, "ok": 1e999}', '{"problems": [3]}', "\xff"],
)
def test_a_report_that_says_nothing_fails_the_task_with_its_name(data: Path, text: str) -> None:
    write(data / f"reports/{DAY}/quality.json", {})
    (data / f"reports/{DAY}/quality.json").write_text(text, "latin-1")

    with pytest.raises(AirflowFailException, match=f"The quality.json of {DAY} is not as") as said:
        CheckQuality(task_id="check_quality", ds=DAY).execute({})
    assert str(said.value).isprintable()


@pytest.mark.parametrize("wrong", [{"champion": 3}, {"verdict": None}, {"challenger": []}])
def test_a_comparison_that_says_nothing_fails_the_task_with_its_name(
    data: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_AUTO_PROMOTION", "better")
    write(data / f"models/{DAY}/version/version.json", VERSION)
    write(data / f"models/{DAY}/comparison/comparison.json", comparison("better") | wrong)

    with pytest.raises(AirflowFailException, match=r"comparison\.json of .* is not as docs/contr"):
        ApprovePromotion(task_id="approve", ds=DAY, hours=1).execute({})


@pytest.mark.parametrize("hours", ["", "soon", "nan", "inf", "-1", "1e300", 8785])
def test_hours_to_wait_are_a_year_at_most(hours: float | str) -> None:
    assert (0, 8784, 1.5) == (hours_of(0), hours_of("8784"), hours_of("1.5"))
    with pytest.raises(AirflowFailException, match="must be a number from 0 to 8784"):
        hours_of(hours)


def test_good_quality_passes_and_trains_nothing(data: Path) -> None:
    write(data / f"reports/{DAY}/quality.json", {"ok": True, "problems": []})

    CheckQuality(task_id="check_quality", ds=DAY).execute({})
    with pytest.raises(AirflowSkipException, match="no new model is needed"):
        Retrain(task_id="retrain", ds=DAY, model="production/x").execute({})


def test_bad_quality_trains_only_where_the_variable_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(data / f"reports/{DAY}/quality.json", {"ok": False, "problems": ["AUC is low."]})
    write(data / f"production/{DAY}/preprocess.json", {"days": [{}] * 13})
    started: list[Any] = []
    where = "airflow.providers.standard.operators.trigger_dagrun.TriggerDagRunOperator.execute"
    monkeypatch.setattr(where, lambda operator, _: started.append(operator.conf))
    retrain = Retrain(task_id="retrain", ds=DAY, model=f"production/{DAY}")

    monkeypatch.setenv("AIRFLOW_VAR_RETRAIN_ON_ALERT", "off")
    with pytest.raises(AirflowSkipException, match="retrain_on_alert is not on"):
        retrain.execute({})
    monkeypatch.setenv("AIRFLOW_VAR_RETRAIN_ON_ALERT", "on")
    retrain.execute({})

    # Of the same day, and as many days as the model that made the predictions.
    assert [{"day": DAY, "window": 13}] == started


def test_what_is_not_asked_for_is_not_skipped(run_stage: RunStage) -> None:
    operator = StageOperator(task_id="stage", ds=DAY, force=False)

    with pytest.raises(AirflowFailException, match="input missing"):
        run_stage("fail", operator=operator, params={"code": 66})
