"""What an alert says, without Airflow and without sending it."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from microstage import alerts

RUN = SimpleNamespace(
    logical_date=datetime(2013, 1, 16, tzinfo=UTC),
    run_after=datetime(2026, 11, 21, tzinfo=UTC),
    run_type="manual",
    conf=None,
)
ALERT = alerts.Alert("a subject", "a body")


def context(**other: Any) -> Any:
    ti = SimpleNamespace(
        dag_id="predict",
        task_id="transform",
        map_index=-1,
        run_id="manual__2013-01-16",
        try_number=3,
        log_url="http://localhost:8080/dags/predict/runs/r/tasks/transform?try_number=3",
    )
    return {"ti": ti, "dag_run": RUN, "exception": ValueError("row 7 is cut short"), **other}


def test_an_alert_says_what_failed_for_which_day_why_and_where_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MICROSTAGE_INSTALL", raising=False)
    alert = alerts.describe(context())

    assert alert.subject == "[microstage] predict.transform failed for 2013-01-16"
    assert alert.body == (
        "predict.transform failed for 2013-01-16:\n"
        "\n"
        "row 7 is cut short\n"
        "\n"
        "DAG:  predict\n"
        "Task: transform\n"
        "Date: 2013-01-16\n"
        "Run:  manual__2013-01-16\n"
        "Try:  3\n"
        "Log:  http://localhost:8080/dags/predict/runs/r/tasks/transform?try_number=3\n"
    )


def test_an_installation_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROSTAGE_INSTALL", "flights")

    assert alerts.describe(context()).subject.startswith("[flights] ")


def test_without_a_logical_date_the_day_is_that_of_the_trigger() -> None:
    run = SimpleNamespace(**{**vars(RUN), "logical_date": None})

    assert alerts.describe(context(dag_run=run)).subject.endswith("failed for 2026-11-21")


def test_the_day_is_that_of_the_run_and_not_its_logical_date() -> None:
    run = SimpleNamespace(**{**vars(RUN), "conf": {"day": "2013-01-20"}})

    assert alerts.describe(context(dag_run=run)).subject.endswith("failed for 2013-01-20")


def test_a_run_whose_day_is_not_known_is_told_of_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROSTAGE_TIME_ZONE", "nowhere")
    run = SimpleNamespace(**{**vars(RUN), "logical_date": datetime(2013, 1, 16, 5, tzinfo=UTC)})

    assert alerts.describe(context(dag_run=run)).subject.endswith("failed for manual__2013-01-16")


def test_a_task_that_was_killed_has_no_reason_and_the_alert_says_so() -> None:
    alert = alerts.describe({"ti": context()["ti"]})

    assert alert.subject.endswith("predict.transform failed for manual__2013-01-16")
    assert "ended without a word" in alert.body
    assert "Date:" not in alert.body


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyError(), "KeyError"), (ValueError("a\nb"), "a\nb")]
)
def test_an_error_is_told_in_full_and_one_without_words_by_its_kind(
    error: Exception, reason: str
) -> None:
    assert f":\n\n{reason}\n\n" in alerts.describe(context(exception=error)).body


def test_an_endless_error_is_cut() -> None:
    body = alerts.describe(context(exception=ValueError("x" * 10**6))).body

    assert len(body) < 5000


@pytest.mark.parametrize("value", ["", "none", " NONE "])
def test_a_setting_that_is_empty_or_none_is_off(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALERT_URL", value)

    assert alerts.setting("ALERT_URL") == ""


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "SECONDS", 0.1)
    started = time.monotonic()
    reason = alerts.attempt(lambda _: time.sleep(5), ALERT)

    assert "no answer" in reason
    assert time.monotonic() - started < 1


@dataclass
class Server:
    """A mail server that wants a password, and what it was sent and by whom."""

    port: int
    senders: list[tuple[str, str]] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    def check(self, *arguments: Any) -> AuthResult:
        login = arguments[-1]
        self.senders.append((login.login.decode(), login.password.decode()))
        return AuthResult(success=login.password == b"p/w", handled=False)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for localhost, in one file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", file, "-out", file.with_suffix(".crt")),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.fixture
def server(
    request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(free.getsockname()[1])
    scheme, _, rest = request.param.partition(" ")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    controller = Controller(
        server,
        hostname="localhost",
        port=server.port,
        ssl_context=tls if scheme == "smtps" else None,
        tls_context=tls if scheme == "smtp" and not rest else None,
        authenticator=server.check,
        auth_required=True,
        auth_require_tls=not rest and scheme == "smtp",
    )
    # The certificate is its own authority, which only the client's environment can know.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("ALERT_SMTP", f"{scheme}://u%40x:p%2Fw@localhost:{server.port}")
    monkeypatch.setenv("ALERT_EMAIL", "a@x.org, b@x.org")
    monkeypatch.setenv("ALERT_FROM", "m@x.org")
    controller.start()
    yield server
    controller.stop()


@pytest.mark.parametrize("server", ["smtp", "smtps"], indirect=True)
def test_a_login_goes_over_tls(server: Server) -> None:
    assert alerts.attempt(alerts.send_mail, ALERT) == ""
    assert server.senders == [("u@x", "p/w")]
    assert server.recipients == [["a@x.org", "b@x.org"]]


@pytest.mark.parametrize("server", ["smtp", "smtps"], indirect=True)
def test_a_server_whose_certificate_nobody_vouches_for_gets_no_password(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    assert "certificate" in alerts.attempt(alerts.send_mail, ALERT)
    assert server.senders == []


@pytest.mark.parametrize("server", ["smtp without TLS"], indirect=True)
def test_a_server_without_tls_gets_no_password(server: Server) -> None:
    assert "STARTTLS" in alerts.attempt(alerts.send_mail, ALERT)
    assert server.senders == []


@pytest.mark.parametrize("server", ["smtp", "smtps"], indirect=True)
def test_a_wrong_password_is_not_repeated_in_the_log(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_SMTP", alerts.setting("ALERT_SMTP").replace("p%2F", "s3cret"))
    reason = alerts.attempt(alerts.send_mail, ALERT)

    assert "535" in reason
    assert "s3cret" not in reason


def test_a_server_that_is_no_address_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_SMTP", "mail.example.org:587")

    assert "ALERT_SMTP must be like" in alerts.attempt(alerts.send_mail, ALERT)
