"""Who is told when a task fails: real runs, a real mail server, a real address of Apprise's."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog
from aiosmtpd.controller import Controller
from airflow.callbacks.callback_requests import (
    DagCallbackRequest,
    DagRunContext,
    TaskCallbackRequest,
)
from airflow.dag_processing import processor
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    GetTaskStates,
    GetXCom,
    GetXComSequenceSlice,
    TaskStatesResult,
    XComResult,
    XComSequenceSliceResult,
)
from dags_harness import read_xcom, states

from microstage import alerts

HERE = Path(__file__).resolve().parent
DAGS = HERE.parents[1] / "dags"
BASE_URL = "http://localhost:8123"
MOMENTS = (datetime(2013, 1, 16, tzinfo=UTC) + timedelta(minutes=n) for n in range(1000))
Run = Callable[..., Any]


class Inbox(Controller):
    """A mail server on a free port that remembers what it was sent."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        super().__init__(self, hostname="127.0.0.1", port=0)

    def _trigger_server(self) -> None:
        assert self.server
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        super()._trigger_server()  # type: ignore[no-untyped-call]

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture(autouse=True)
def nothing_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMTP", "EMAIL", "FROM", "URL"):
        monkeypatch.setenv(f"ALERT_{name}", "none")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", BASE_URL)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    server = Inbox()
    server.start()
    monkeypatch.setenv("ALERT_SMTP", f"smtp://127.0.0.1:{server.port}")
    monkeypatch.setenv("ALERT_EMAIL", "ann@example.org, bob@example.org")
    monkeypatch.setenv("ALERT_FROM", "microstage@example.org")
    yield server
    server.stop()


@pytest.fixture
def run_task(tiny: dict[str, Any], table: Callable[..., None], data: Path, test_image: str) -> Run:
    """Run a task, which fails where an exit code is given, to its end; return the run."""

    def run(code: int = 0) -> Any:
        table(stage={"verb": "fail", "params": {"code": code}} if code else {"verb": "ok"})
        return tiny["alerting"].test(logical_date=next(MOMENTS))

    return run


def body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part
    return str(part.get_content())


def test_one_mail_after_the_last_try_says_what_failed_why_and_where_to_look(
    run_task: Run, inbox: Inbox
) -> None:
    run = run_task(75)
    [mail] = inbox.mails

    assert {"stage": ("failed", 3)} == states(run)
    assert mail["subject"].endswith("] alerting.stage failed for 2013-01-16")
    assert ("microstage@example.org", ["ann@example.org", "bob@example.org"]) == (
        mail["from"],
        *inbox.recipients,
    )
    assert "text/plain" == mail.get_content_type()
    lines = body(mail).splitlines()
    assert "stage: the reason, on row 7 (exit code 75, try again later)" in lines
    assert {"DAG:  alerting", "Task: stage", "Date: 2013-01-16", "Try:  3"} <= set(lines)
    [link] = [line.removeprefix("Log:  ") for line in lines if line.startswith("Log:")]
    assert link.startswith(f"{BASE_URL}/dags/alerting/runs/")
    assert link.endswith("/tasks/stage?try_number=3")


def test_bad_data_is_told_of_after_its_only_try(run_task: Run, inbox: Inbox) -> None:
    run_task(65)
    [mail] = inbox.mails

    assert "Try:  1" in body(mail)


def test_a_task_that_succeeds_tells_nobody(run_task: Run, inbox: Inbox) -> None:
    assert {"stage": ("success", 1)} == states(run_task())
    assert [] == inbox.mails


@pytest.fixture
def service() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Apprise's JSON address, and what it was sent."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_every_address_of_apprise_gets_the_same_text(
    run_task: Run, service: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, received = service
    monkeypatch.setenv("ALERT_URL", f"{address}/one, {address}/two")
    run_task(65)

    assert 2 == len(received)
    for message in received:
        assert message["title"].endswith("] alerting.stage failed for 2013-01-16")
        assert "stage: the reason, on row 7 (exit code 65, bad data)" in message["message"]
        assert "failure" == message["type"]


def test_with_nothing_set_up_a_task_simply_fails(
    run_task: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "microstage.alerts")

    assert {"stage": ("failed", 1)} == states(run_task(65))
    assert [] == [r for r in caplog.records if r.name == "microstage.alerts"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"SMTP": "smtp://127.0.0.1:9", "EMAIL": "a@example.org", "FROM": "b@example.org"},
            "The alert could not be sent by mail: [Errno 111] Connection refused",
        ),
        (
            {"URL": "json://user:s3cret@127.0.0.1:9/t0ken"},
            "The alert could not be sent by Apprise: "
            "A Connection error occurred sending JSON notification to 127.0.0.1.",
        ),
        (
            {"URL": "nothing-like-it://s3cret/t0ken"},
            "The alert could not be sent by Apprise: "
            "ALERT_URL has an address that Apprise cannot read",
        ),
    ],
)
def test_an_alert_that_cannot_be_sent_is_one_line_without_a_secret_and_changes_nothing(
    run_task: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    settings: dict[str, str],
    line: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"ALERT_{name}", value)
    # Not caplog, which gets even what stays within a logger.
    everything = StringIO()
    handler = logging.StreamHandler(everything)
    logging.getLogger().addHandler(handler)
    run = run_task(65)
    logging.getLogger().removeHandler(handler)

    assert {"stage": ("failed", 1)} == states(run)
    assert [line] == [r.getMessage() for r in caplog.records if r.name == "microstage.alerts"]
    assert line in everything.getvalue()
    everything.writelines(capfd.readouterr())
    assert "s3cret" not in everything.getvalue()
    assert "t0ken" not in everything.getvalue()


class Supervisor:
    """What the DAG processor's supervisor answers: the tasks' states, and who has told."""

    def __init__(self, states: dict[str, str], told: set[str], left: str = "") -> None:
        self.states = states
        self.told = told
        self.left = left

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetTaskStates):
            assert msg.run_ids
            return TaskStatesResult(task_states={msg.run_ids[0]: self.states})
        assert isinstance(msg, GetXComSequenceSlice | GetXCom)
        value = "a subject" if msg.task_id in self.told else None
        if msg.key == alerts.LEFT:
            value = self.left or None
        if isinstance(msg, GetXCom):
            return XComResult(key=msg.key, value=value)
        return XComSequenceSliceResult(root=[value] if value else [])


def dag_processor(run: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what Airflow's DAG processor does when a run has failed, and when a task was killed."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    [ti] = run.get_task_instances()
    where: Any = {"filepath": "alerting.py", "bundle_name": "tiny", "bundle_version": None}
    task = TaskCallbackRequest(**where, ti=ti, msg="no heartbeat")
    dag = DagCallbackRequest(
        **where,
        dag_id=run.dag_id,
        run_id=run.run_id,
        context_from_server=DagRunContext(dag_run=run, last_ti=ti),
        msg="task_failure",
    )
    log = structlog.get_logger()
    bag = DagBag(HERE / "tiny")
    processor._execute_task_callbacks(bag, task, log)
    processor._execute_dag_callbacks(bag, dag, log)


def test_of_a_killed_task_the_dag_processor_tells_once(
    run_task: Run, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_task(65)
    inbox.mails.clear()
    dag_processor(run, Supervisor({"stage": "failed"}, told=set()), monkeypatch)
    [mail] = inbox.mails

    assert mail["subject"].endswith("alerting.stage failed for 2013-01-16")
    assert alerts.UNKNOWN in body(mail)
    assert f"{BASE_URL}/dags/alerting/runs/" in body(mail)


@pytest.mark.parametrize(
    ("state", "told"), [("failed", {"stage"}), ("upstream_failed", set()), ("success", set())]
)
def test_the_dag_processor_does_not_repeat_what_is_known(
    run_task: Run, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, state: str, told: set[str]
) -> None:
    run = run_task(65)
    inbox.mails.clear()
    dag_processor(run, Supervisor({"stage": state}, told), monkeypatch)

    assert [] == inbox.mails


@pytest.mark.usefixtures("inbox")
def test_a_task_that_told_of_its_failure_leaves_word_of_it(run_task: Run) -> None:
    run = run_task(65)

    assert "failed for 2013-01-16" in read_xcom(run, "stage", alerts.TOLD)


def test_what_a_task_has_nobody_to_tell_to_the_dag_processor_tells_for_it(
    run_task: Run, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    run = run_task(65)  # as on a worker host, which has no setting of alerts
    left = read_xcom(run, "stage", alerts.LEFT)
    inbox = request.getfixturevalue("inbox")
    dag_processor(run, Supervisor({"stage": "failed"}, set(), left), monkeypatch)
    [mail] = inbox.mails

    assert mail["subject"].endswith("alerting.stage failed for 2013-01-16")
    assert "stage: the reason, on row 7 (exit code 65, bad data)" in body(mail)


def test_every_task_of_every_dag_has_alerts() -> None:
    dags = DagBag(DAGS).dags.values()
    tasks = [task for dag in dags for task in dag.tasks]

    assert tasks
    assert [] == [t.task_id for t in tasks if t.on_failure_callback != [alerts.on_failure]]
    assert {alerts.on_run_failure} == {dag.on_failure_callback for dag in dags}


def test_a_dag_file_that_has_alerts_is_not_slower_to_read() -> None:
    program = (
        "import sys, microstage.alerts; print(*{'apprise', 'smtplib', 'ssl'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=DAGS
    )

    assert "" == done.stdout.strip()
