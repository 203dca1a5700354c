"""From a trained model to production and out of it again, on the running stack.

Real scheduler, real PostgreSQL, real MLflow, three weeks of real flights. The demo has run: the
model of 2013-01-13 is version 1, approved; that of 2013-01-20 is version 2, and waits for a person.
The tests follow each other as the weeks do.
"""

import datetime as dt
import json
import re
import urllib.error
import urllib.request

import pytest
from stack import Stack, wait_until
from story import Story

SECOND, THIRD = dt.date(2013, 1, 20), dt.date(2013, 1, 27)


@pytest.fixture(scope="module")
def story(stack: Stack) -> Story:
    return Story(stack, "flights")


def day(number: int) -> dt.date:
    return dt.date(2013, 1, number)


def test_an_approved_model_is_in_production_with_all_that_made_it(story: Story) -> None:
    version = json.loads((story.data / "models/2013-01-13/version/version.json").read_text())
    run = story.mlflow("GET", "runs/get", run_id=version["run_id"])["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    validation = (story.data / "models/2013-01-13/validation/metrics.json").read_text()
    image_id = story.manifest("models/2013-01-13")["image_id"]

    assert story.aliases() == {"production": "1"}
    assert metrics["roc_auc"] == pytest.approx(json.loads(validation)["roc_auc"])
    assert f"train `{image_id.removeprefix('sha256:')[:12]}`" in tags["mlflow.note.content"]
    assert run["info"]["status"] == "FINISHED"


def test_every_prediction_names_the_version_that_made_it(story: Story) -> None:
    models = [story.manifest(f"predictions/{day(n)}")["model"] for n in (14, 16, 21, 23)]

    assert [(model["name"], model["version"]) for model in models] == [("flights", "1")] * 4


def test_the_question_shows_metrics_verdict_and_links_that_lead_somewhere(story: Story) -> None:
    run = story.airflow.find("train_model", SECOND)
    question = story.airflow.call("GET", f"{run}/taskInstances/approve/-1/hitlDetails")
    links = re.findall(r"\((http://localhost:\d+/\S*)\)", question["body"])

    assert "flights version 2, trained for 2013-01-20" in question["subject"]
    assert "| | this model (version 2) | in production (version 1) |" in question["body"]
    assert re.search(r"(?m)^\| AUC \| 0\.\d{4} \| 0\.\d{4} \|$", question["body"])
    assert re.search(
        r"\*\*Verdict: [a-z ]+\.\*\* On [\d,]+ rows of \d days that neither", question["body"]
    )
    assert f"http://localhost:{story.stack.setting('MLFLOW_PORT')}/#/experiments/" in links[0]
    with urllib.request.urlopen(links[1], timeout=10) as report:
        assert b"<html" in report.read()


def test_both_models_were_scored_on_days_that_neither_has_learned_from(story: Story) -> None:
    path = story.data / f"models/{SECOND}/comparison/comparison.json"
    comparison = json.loads(path.read_text())
    proof = comparison["proof"]
    learned = {*proof["challenger_trained_on"], *proof["champion_trained_on"]}

    assert proof["champion_trained_on"]
    assert comparison["days"]
    assert learned.isdisjoint(comparison["days"])
    assert comparison["rows"] == sum(
        json.loads((story.data / f"raw/{d}/summary.json").read_text())["rows"]
        for d in comparison["days"]
    )


def test_rejecting_leaves_production_alone(story: Story) -> None:
    story.airflow.answer("train_model", SECOND, "Reject")

    states = story.states("train_model", SECOND)
    assert (states["approve"], states["promote"]) == ("success", "skipped")
    assert story.aliases() == {"production": "1"}
    assert story.predict(day(25))["version"] == "1"


def test_approving_puts_the_new_model_into_production_and_keeps_the_one_before(
    story: Story,
) -> None:
    days = [day(n) for n in range(24, 28)]
    story.airflow.run("generate_data", days, {})
    story.airflow.run("train_model", [THIRD], {})
    before = story.aliases()
    story.stack.user("anna", "Approver").answer("train_model", THIRD, "Approve")

    assert before == {"production": "1"}
    assert story.states("train_model", THIRD)["promote"] == "success"
    assert story.aliases() == {"production": "3", "previous": "1"}
    version = story.mlflow("GET", "model-versions/get", name="flights", version="3")
    tags = {tag["key"]: tag["value"] for tag in version["model_version"]["tags"]}
    assert tags["approved_by"] == "anna"
    assert story.predict(day(28))["version"] == "3"


def test_no_answer_in_time_leaves_production_alone(story: Story) -> None:
    states = story.run("train_model", day(26), approval_hours=0.003)

    assert (states["approve"], states["promote"]) == ("success", "skipped"), states
    assert story.aliases() == {"production": "3", "previous": "1"}


def test_lineage_leads_from_a_prediction_to_the_model_and_the_days_it_learned_from(
    story: Story,
) -> None:
    shown = story.stack.run("scripts/lineage", f"flights/predictions/{day(28)}").stdout
    file = story.data / "models/2013-01-27/model.txt"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole + b"\n")
        tampered = story.stack.run("scripts/lineage", f"flights/predictions/{day(28)}", check=False)
    finally:
        file.write_bytes(whole)

    assert "flights version 3" in shown
    assert "models/2013-01-27" in shown
    assert "raw/2013-01-15" in shown
    assert tampered.returncode == 1
    assert "model.txt" in tampered.stdout + tampered.stderr


def test_rolling_back_lets_the_two_versions_change_places_once(story: Story) -> None:
    predicted = story.stack.manifests("flights")
    story.run("rollback", day(28))
    after = story.aliases()
    run = story.airflow.find("rollback", day(28))
    body = {"dry_run": False, "task_ids": ["rollback"], "only_failed": False}
    body["dag_run_id"] = run.rpartition("/")[2]
    story.airflow.call("POST", "/api/v2/dags/flights.rollback/clearTaskInstances", body)
    wait_until(lambda: story.airflow.call("GET", run)["state"] == "success")
    changed = {
        path
        for path, text in story.stack.manifests("flights").items()
        if text != predicted.get(path)
    }

    assert after == {"production": "1", "previous": "3"}
    assert story.aliases() == after
    # What was predicted on that day stays as it is, and so does the model that did it.
    assert changed == {
        "production/standby",
        "rollbacks/2013-01-28",
        "rollbacks/2013-01-28/rollback",
    }


def test_without_mlflow_what_is_in_production_goes_on_predicting(story: Story) -> None:
    """The newest copy is not that of the last prediction, which version 3 made."""
    story.stack.run("docker", "compose", "stop", "mlflow")
    try:
        model = story.predict(day(29))
    finally:
        story.stack.run("docker", "compose", "up", "--wait", "mlflow")

    assert model["version"] == "1"
    assert "WARNING" in story.log("predict", day(29), "fetch")


def test_a_day_is_predicted_before_its_labels_come_and_judged_after(story: Story) -> None:
    raw = story.data / f"raw/{day(30)}"
    other = story.data / f"raw/{day(29)}"
    raw.mkdir()
    (raw / "data.csv").write_bytes((other / "data.csv").read_bytes())
    states = story.run("predict", day(30))
    story.run("monitor", day(30))
    before = json.loads((story.data / f"reports/{day(30)}/quality.json").read_text())
    (raw / "target.csv").write_bytes((other / "target.csv").read_bytes())
    story.run("monitor", day(30))
    after = json.loads((story.data / f"reports/{day(30)}/quality.json").read_text())

    assert set(states.values()) == {"success"}
    assert (before["labels"], before["roc_auc"]) == (False, None)
    assert after["labels"] is True
    assert 0.4 < after["roc_auc"] < 0.9


def test_the_variable_model_path_wins_and_a_wrong_one_is_named(story: Story) -> None:
    with story.variable("model_path", "models/2013-01-20"):
        model = story.predict(day(31))
    with story.variable("model_path", "models/nowhere"):
        states = story.run("predict", day(31))
        said = story.log("predict", day(31), "fetch")

    assert model == {"path": "models/2013-01-20", "name": "flights", "version": "2"}
    assert states["fetch"] == "failed"
    assert "The Variable flights.model_path is wrong: models/nowhere lacks model.txt" in said


def test_without_a_model_in_production_predict_says_so_and_is_skipped(story: Story) -> None:
    alias = {"name": "flights", "alias": "production"}
    story.mlflow("DELETE", "registered-models/alias", **alias)
    try:
        states = story.run("predict", day(31))
        said = story.log("predict", day(31), "fetch")
    finally:
        story.mlflow("POST", "registered-models/alias", **alias, version="1")

    assert states == {
        "wait_for_data": "success",
        "fetch": "skipped",
        "transform": "skipped",
        "predict": "skipped",
    }
    assert "There is no model of the name flights in production yet" in said


def test_bad_quality_alerts_by_mail_and_starts_a_training_where_the_variable_says_so(
    story: Story,
) -> None:
    table = story.stack.table.read_text()
    try:
        story.stack.table.write_text(table.replace("min-auc = 0.55", "min-auc = 0.99"))
        with story.variable("retrain_on_alert", "on"):
            states = story.run("monitor", day(22))
    finally:
        story.stack.table.write_text(table)
    mails = story.stack.mails("flights.monitor.check_quality failed for 2013-01-22")

    assert states["monitor"] == "success"
    assert states["check_quality"] == "failed"
    assert states["retrain"] == "success"
    assert len(mails) == 1
    assert "below its threshold of 0.99" in mails[0]["text"]
    assert (
        f"http://localhost:{story.stack.setting('REPORTS_PORT')}/flights/2013-01-22/report.html"
        in mails[0]["text"]
    )
    wait_until(lambda: story.airflow.question("train_model", day(22)))
    story.airflow.answer("train_model", day(22), "Reject")
    trained = json.loads((story.data / "models/2013-01-22/preprocess.json").read_text())
    assert len(trained["days"]) == 13


def test_who_may_start_and_repeat_runs_cannot_promote_what_nobody_has_approved(
    story: Story,
) -> None:
    operator, before = story.stack.user("olaf", "Operator"), story.aliases()
    run = operator.find("train_model", day(22))
    clear = "/api/v2/dags/flights.train_model/clearTaskInstances"
    body = {"dag_run_id": run.rpartition("/")[2], "dry_run": False, "only_failed": False}

    def promotion() -> str:
        ended = {"success", "failed", "skipped", "upstream_failed", "up_for_retry"}
        wait_until(lambda: story.states("train_model", day(22))["promote"] in ended)
        return story.states("train_model", day(22))["promote"]

    # It has been rejected.
    operator.call("POST", clear, {**body, "task_ids": ["promote"]})
    by_hand = promotion()
    operator.call("POST", clear, {**body, "task_ids": ["approve"], "include_downstream": True})
    wait_until(lambda: operator.asks(run))
    operator.call("PATCH", f"{run}/taskInstances/approve", {"new_state": "success"})
    unanswered = promotion()
    operator.call("PATCH", run, {"state": "failed"})

    assert by_hand == "skipped"
    assert unanswered in ("failed", "up_for_retry")
    assert before == story.aliases()


def test_a_day_without_predictions_alerts_at_its_deadline(story: Story) -> None:
    states = story.run("monitor", dt.date(2013, 2, 20), deadline_hours=0.001)
    mails = story.stack.mails("flights.monitor.wait_for_predictions failed for 2013-02-20")

    assert states["wait_for_predictions"] == "failed"
    assert len(mails) == 1
    assert "there is no flights/predictions/2013-02-20" in mails[0]["text"]


def test_a_failed_stage_alerts_with_its_own_sentence_and_a_link_to_its_log(story: Story) -> None:
    broken = dt.date(2013, 2, 1)
    story.airflow.run("generate_data", [broken], {})
    data = story.data / f"raw/{broken}/data.csv"
    data.write_bytes(data.read_bytes()[:5000])

    states = story.run("predict", broken)
    mails = story.stack.mails(f"flights.predict.transform failed for {broken}")

    assert states["transform"] == "failed"
    assert len(mails) == 1
    assert re.search(rf"raw/{broken}/data\.csv.* row \d+", mails[0]["text"])
    link = re.findall(r"http://localhost:\S+", mails[0]["text"])[0]
    with urllib.request.urlopen(link.partition("?")[0], timeout=10) as page:
        assert page.status == 200


def test_a_user_without_a_password_gets_nowhere_in_mlflow(story: Story) -> None:
    url = f"http://localhost:{story.stack.setting('MLFLOW_PORT')}/api/2.0/mlflow/experiments/search"

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}?max_results=1", timeout=10)
    assert refused.value.code == 401


def test_many_days_in_one_run_are_published_once_each_whatever_becomes_of_one(
    story: Story,
) -> None:
    days = [dt.date(2013, 2, n) for n in range(5, 11)]
    span = {"first": str(days[0]), "last": str(days[-1])}
    data = story.data / f"raw/{days[2]}/data.csv"
    story.airflow.run("generate_data", [days[2]], {})
    whole = data.read_bytes()
    data.parent.joinpath("manifest.json").unlink()  # from here on it is a person's
    data.write_bytes(whole[:5000])

    red = story.run("backfill", days[-1], **span)
    first = story.stack.manifests()
    data.write_bytes(whole)
    green = story.run("backfill", days[-1], **span)
    second = story.stack.manifests()
    story.run("predict", days[4])
    mails = story.stack.mails(f"flights.backfill.transform failed for {days[-1]}")

    done = ["transform", "check"]
    assert red == {**dict.fromkeys(green, "success"), **dict.fromkeys(done, "failed")}
    assert set(green.values()) == {"success"}
    for folder in ("features", "predictions", "reports"):
        there = {day for day in days if f"{folder}/{day}" in first}
        assert there == {*days} - {days[2]}
        assert f"{folder}/{days[2]}" in second
    # The report of a later day goes back over the mended one; nothing else is done again.
    again = {path for path, text in first.items() if second[path] != text}
    assert again == {f"reports/{day}" for day in days[3:]}
    assert second == story.stack.manifests()
    assert [f"1 of 6 days failed: {days[2]}: " in mail["text"] for mail in mails] == [True]
