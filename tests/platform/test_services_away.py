"""A service that is away while runs need it: they wait for it, and go on when it is back."""

import datetime as dt
import urllib.error

from slow_pipeline import Slow
from stack import Stack, wait_until
from story import Story

from microstage.errors import StageError


def test_data_that_comes_while_the_triggerer_is_dead_is_seen_when_it_is_back(slow: Slow) -> None:
    day = dt.date(2020, 8, 1)
    slow.takes(1)
    run = slow.start("predict", day)
    wait_until(lambda: slow.states("predict", day)["wait_for_data"] == "deferred")
    slow.stack.run("docker", "compose", "kill", "triggerer")
    made = slow.run("generate_data", day)
    meanwhile = slow.states("predict", day)["wait_for_data"]
    slow.stack.run("docker", "compose", "up", "--detach", "--wait", "triggerer")
    wait_until(
        lambda: slow.states("predict", day)["wait_for_data"] == "success",
        what="a sensor sees the data after the triggerer is back",
    )
    # Otherwise the next test of this pipeline would meet its containers.
    wait_until(lambda: slow.has_ended(run))

    assert {"success"} == set(made.values()), "what needs no triggerer goes on"
    assert "deferred" == meanwhile


def test_a_database_that_restarts_ends_no_stage(slow: Slow) -> None:
    day = dt.date(2020, 8, 2)
    slow.takes(40)
    with slow.watched() as seen:
        run = slow.start("generate_data", day)
        wait_until(slow.running)
        slow.stack.run("docker", "compose", "restart", "postgres")
        wait_until(lambda: answers(slow, run))
        wait_until(lambda: slow.has_ended(run))

    assert "success" == slow.state_of(run)
    assert {slow.host(day)} == seen
    assert [] == slow.left()


def answers(slow: Slow, run: str) -> bool:
    try:
        return bool(slow.state_of(run))
    except (StageError, urllib.error.HTTPError):
        return False


def test_a_training_waits_for_mlflow_with_what_it_has_trained(stack: Stack) -> None:
    flights = Story(stack)
    day = dt.date(2013, 1, 22)
    stack.run("docker", "compose", "stop", "mlflow")
    try:
        run = flights.start("train_model", day, window=7)
        wait_until(lambda: flights.states("train_model", day)["track"] == "up_for_retry")
        said = flights.log("train_model", day, "track")
        trained = flights.manifest(f"models/{day}")
    finally:
        stack.run("docker", "compose", "up", "--detach", "--wait", "mlflow")
    wait_until(lambda: flights.airflow.asks(run), what="a training asks after MLflow is back")
    version = flights.json(f"models/{day}/version/version.json")
    flights.airflow.answer("train_model", day, "Reject")

    assert "see that it runs (in the compose stack: the service mlflow), then try again" in said
    assert trained == flights.manifest(f"models/{day}"), "it is not trained twice"
    assert "flights" == version["name"]
    assert version["version"] not in flights.aliases().values()
