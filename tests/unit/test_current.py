"""Airflow is asked whether a try may publish: what it says, and what it means that it does not."""

import http.server
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import ErrorResponse

from microstage.current import API_SERVER, Current, check_current, was_asked_to_end
from microstage.errors import LeftRunningError, StageError


def refusal(status: int) -> AirflowRuntimeError:
    """Return what a task gets when the API server refuses."""
    return AirflowRuntimeError(ErrorResponse(detail={"status_code": status, "message": "no"}))


class Store:
    """Airflow's, which refuses a try with an id that is no longer the task's."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    def set(self, *_: Any) -> None:
        self.asked += 1
        if self.error:
            raise self.error


def context(state: str = "running", error: Exception | None = None) -> Any:
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1)
    ti.get_task_states = lambda **_: {"r": {"t": state}}
    return {"ti": ti, "task_state_store": Store(error)}


def test_a_try_that_runs_may_publish() -> None:
    check_current(context())


@pytest.mark.parametrize("state", ["failed", "success", "restarting", "up_for_retry"])
def test_one_that_somebody_marked_or_cleared_may_not(state: str) -> None:
    with pytest.raises(
        StageError, match=f"Nothing is published, as this try of the task is {state}"
    ):
        check_current(context(state))


@pytest.mark.parametrize("status", [404, 409, 410])
def test_one_that_was_followed_by_another_may_not(status: int) -> None:
    with pytest.raises(StageError, match="is given up") as refused:
        check_current(context(error=refusal(status)))

    assert not isinstance(refused.value, LeftRunningError)


@pytest.mark.parametrize("error", [refusal(500), BrokenPipeError(), EOFError(), refusal(503)])
def test_when_airflow_does_not_say_what_was_done_is_left_for_the_next_try(error: Exception) -> None:
    with pytest.raises(LeftRunningError):
        check_current(context(error=error))


def test_without_airflow_nobody_is_asked() -> None:
    check_current({"ti": SimpleNamespace()})  # type: ignore[typeddict-item]


def test_many_days_a_second_are_asked_for_once() -> None:
    given = context()
    current = Current(given, every=60)
    for _ in range(5):
        current.check()

    assert 1 == given["task_state_store"].asked


def test_an_answer_that_is_no_is_asked_for_again() -> None:
    current = Current(context("failed"), every=60)
    for _ in range(2):
        with pytest.raises(StageError):
            current.check()


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/execution/health" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    found = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def answering(server: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_SERVER, f"http://127.0.0.1:{server.server_port}/execution/")


@pytest.mark.parametrize("state", ["failed", "success", "restarting"])
def test_a_task_that_was_marked_or_cleared_is_to_end(answering: None, state: str) -> None:
    assert was_asked_to_end(context(state))


@pytest.mark.parametrize("state", ["running", "up_for_retry", "scheduled", "queued", "None"])
def test_one_that_was_lost_sight_of_is_not(answering: None, state: str) -> None:
    assert not was_asked_to_end(context(state))


def test_one_whose_supervisor_is_gone_is_not(answering: None) -> None:
    def gone(**_: Any) -> None:
        raise BrokenPipeError

    given = context()
    given["ti"].get_task_states = gone

    assert not was_asked_to_end(given)


def test_one_whose_server_is_away_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_SERVER, "http://127.0.0.1:9/execution/")
    assert not was_asked_to_end(context("failed"))
    monkeypatch.delenv(API_SERVER)
    assert was_asked_to_end(context()), "there is no server that could be away"
