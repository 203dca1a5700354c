"""What an alert says, without Airflow and without sending it."""

import smtplib
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import stage_alerts

RUN = SimpleNamespace(
    logical_date=datetime(2013, 1, 16, tzinfo=UTC), run_after=datetime(2026, 11, 21, tzinfo=UTC)
)
ALERT = stage_alerts.Alert("a subject", "a body")


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
    alert = stage_alerts.describe(context())

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

    assert stage_alerts.describe(context()).subject.startswith("[flights] ")


def test_without_a_logical_date_the_day_is_that_of_the_trigger() -> None:
    run = SimpleNamespace(logical_date=None, run_after=RUN.run_after)

    assert stage_alerts.describe(context(dag_run=run)).subject.endswith("failed for 2026-11-21")


def test_a_task_that_was_killed_has_no_reason_and_the_alert_says_so() -> None:
    alert = stage_alerts.describe({"ti": context()["ti"]})

    assert alert.subject.endswith("predict.transform failed for manual__2013-01-16")
    assert "ended without a word" in alert.body
    assert "Date:" not in alert.body


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyError(), "KeyError"), (ValueError("a\nb"), "a\nb")]
)
def test_an_error_is_told_in_full_and_one_without_words_by_its_kind(
    error: Exception, reason: str
) -> None:
    assert f":\n\n{reason}\n\n" in stage_alerts.describe(context(exception=error)).body


def test_an_endless_error_is_cut() -> None:
    body = stage_alerts.describe(context(exception=ValueError("x" * 10**6))).body

    assert len(body) < 5000


@pytest.mark.parametrize("value", ["", "none", " NONE "])
def test_a_setting_that_is_empty_or_none_is_off(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALERT_URL", value)

    assert stage_alerts.setting("ALERT_URL") == ""


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_alerts, "SECONDS", 0.1)
    started = time.monotonic()
    reason = stage_alerts.attempt(lambda _: time.sleep(5), ALERT)

    assert "no answer" in reason
    assert time.monotonic() - started < 1


class Server:
    """What smtplib was asked to do."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def client(self, kind: str) -> Any:
        def connect(host: str, port: int, **_: Any) -> Any:
            self.calls.append(f"{kind} {host}:{port}")
            return self

        return connect

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def starttls(self, context: Any) -> None:
        assert context.check_hostname
        self.calls.append("starttls")

    def login(self, user: str, password: str) -> None:
        self.calls.append(f"login {user} {password}")

    def send_message(self, message: Any) -> None:
        self.calls.append(f"send {message['To']}")


@pytest.mark.parametrize(
    ("server", "calls"),
    [
        ("smtp://mail:1025", ["SMTP mail:1025"]),
        ("smtp://relay", ["SMTP relay:25"]),
        ("smtp://u%40x:p%2Fw@h:587", ["SMTP h:587", "starttls", "login u@x p/w"]),
        ("smtps://u:p@h", ["SMTP_SSL h:465", "login u p"]),
    ],
)
def test_a_password_goes_over_tls_only(
    monkeypatch: pytest.MonkeyPatch, server: str, calls: list[str]
) -> None:
    fake = Server()
    for kind in ("SMTP", "SMTP_SSL"):
        monkeypatch.setattr(smtplib, kind, fake.client(kind))
    for name, value in (("SMTP", server), ("EMAIL", "a@x.org, b@x.org"), ("FROM", "m@x.org")):
        monkeypatch.setenv(f"ALERT_{name}", value)
    stage_alerts.send_mail(ALERT)

    assert fake.calls == [*calls, "send a@x.org, b@x.org"]


def test_a_server_that_is_no_address_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_SMTP", "mail.example.org:587")

    assert "ALERT_SMTP must be like" in stage_alerts.attempt(stage_alerts.send_mail, ALERT)
