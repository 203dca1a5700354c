"""Tell people when a task has failed: an email, and a message to any service that Apprise knows.

Every DAG file hands two things to its DAG: DEFAULT_ARGS, with which a task's own process tells
of its failure, and on_run_failure, with which the DAG processor tells of processes that were killed
before they could. Where alerts go to is therefore told to all Airflow services that see tasks: in
/run/secrets what may hold a password, in the environment the rest. A setting that is empty or
"none" is off.

ALERT_SMTP   smtp://HOST:PORT, or smtps:// for TLS from the first byte; USER:PASSWORD@ before HOST
ALERT_EMAIL  to whom, by comma
ALERT_FROM   from whom
ALERT_URL    Apprise's addresses, by comma: https://appriseit.com/services/

Not the SMTP provider's notifier: it sends HTML alone, and may wait for minutes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microstage.errors import StageError

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

# For one way of sending. A task's process is killed 20 seconds after its state is known:
# https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#task-success-overtime
SECONDS = 8.0
SECRETS = Path("/run/secrets")
MAX_REASON = 4000
UNKNOWN = "It ended without a word: its process was killed, or somebody marked it as failed."
TOLD = "alert"  # the XCom of a task that has told of its failure itself
LEFT = "untold"  # that of one that could not: what it would have told


@dataclass(frozen=True)
class Alert:
    """One message, as plain text."""

    subject: str
    body: str


def describe(context: Context) -> Alert:
    """Return the alert for a task instance that failed."""
    from microstage.day import day_of  # noqa: PLC0415 - every task parses this file, few need it

    ti = context["ti"]
    mapped = ti.map_index is not None and ti.map_index >= 0
    task = f"{ti.dag_id}.{ti.task_id}" + (f"[{ti.map_index}]" if mapped else "")
    run: Any = context.get("dag_run")
    day = None
    with suppress(StageError):  # no time zone: then that is what the task has failed of
        day = day_of(context).ds if run else None
    error = context.get("exception")
    reason = UNKNOWN if error is None else str(error).strip() or type(error).__name__
    facts = {
        "DAG": ti.dag_id,
        "Task": ti.task_id,
        "Date": day,
        "Run": ti.run_id,
        "Try": ti.try_number,
        "Log": ti.log_url,
    }
    head = f"{task} failed for {day or ti.run_id}"
    lines = [f"{name + ':':6}{value}" for name, value in facts.items() if value]
    return Alert(
        f"[{os.environ.get('MICROSTAGE_INSTALL') or 'microstage'}] {head}",
        "\n".join([f"{head}:", "", reason[:MAX_REASON], "", *lines, ""]),
    )


def send_mail(alert: Alert) -> None:
    """Send it to ALERT_EMAIL, through the server ALERT_SMTP. Raises what went wrong."""
    import smtplib  # noqa: PLC0415 - as above
    import ssl  # noqa: PLC0415
    from email.message import EmailMessage  # noqa: PLC0415
    from email.utils import formatdate, make_msgid, parseaddr  # noqa: PLC0415
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415

    server, sender = urlsplit(setting("ALERT_SMTP")), setting("ALERT_FROM")
    if server.scheme not in {"smtp", "smtps"} or not server.hostname:
        raise ValueError("ALERT_SMTP must be like smtp://mail.example.org:587 or smtps://…:465")
    message = EmailMessage()
    message["Subject"], message["From"] = alert.subject, sender
    message["To"] = setting("ALERT_EMAIL")
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes, please
    message.set_content(alert.body)

    tls = ssl.create_default_context()
    if server.scheme == "smtps":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            server.hostname, server.port or 465, timeout=SECONDS, context=tls
        )
    else:
        client = smtplib.SMTP(server.hostname, server.port or 25, timeout=SECONDS)
    with client:
        if server.scheme == "smtp" and server.username:
            client.starttls(context=tls)  # a password goes over TLS or nowhere
        if server.username:
            client.login(unquote(server.username), unquote(server.password or ""))
        client.send_message(message)


def send_message(alert: Alert) -> None:
    """Send it to every address of ALERT_URL. Raises RuntimeError, which names no secret."""
    import apprise  # noqa: PLC0415 - as above

    # Its messages name addresses, which hold tokens, when they cannot be read: they stay in here.
    apprise.logger.propagate = False
    services = apprise.Apprise()
    if not services.add(setting("ALERT_URL")):
        raise RuntimeError("ALERT_URL has an address that Apprise cannot read")
    with apprise.LogCapture(  # type: ignore[no-untyped-call]
        level=logging.WARNING, fmt="%(message)s"
    ) as said:
        if not services.notify(
            title=alert.subject,
            body=alert.body,
            notify_type=apprise.NotifyType.FAILURE,
            body_format=apprise.NotifyFormat.TEXT,
        ):
            raise RuntimeError(" ".join(said.getvalue().split()) or "it was refused")


CHANNELS: dict[str, tuple[Callable[[Alert], None], tuple[str, ...]]] = {
    "mail": (send_mail, ("ALERT_SMTP", "ALERT_EMAIL", "ALERT_FROM")),
    "Apprise": (send_message, ("ALERT_URL",)),
}


def on_failure(context: Context) -> None:
    """Airflow's callback for a task: tell that it failed; whatever happens, return.

    The DAG processor calls it too, for some of the killed, some of them twice, and knows no reason
    then: these are left to on_run_failure.
    """
    if "exception" not in context:
        return
    try:
        alert = describe(context)
        if not set_up():
            # Nobody to tell it to from here, as on a worker host: the DAG processor may have.
            context["ti"].xcom_push(LEFT, alert.body)
            return
        context["ti"].xcom_push(TOLD, alert.subject)
        tell(alert)
    except Exception:
        log.exception("The alert could not be written.")


def on_run_failure(context: Context) -> None:
    """Airflow's callback for a DAG: tell of the failed tasks that nobody has told of.

    When a task's process is killed, by want of memory for one, nothing else may tell:
    https://github.com/apache/airflow/issues/60858
    """
    try:
        ti: Any = context["ti"]
        try:
            states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
        except NameError:
            return  # `airflow dags test` has no supervisor to ask, and no process of a task's own
        for task_id, state in states.items():
            if state == "failed" and not ti.xcom_pull(task_ids=task_id, key=TOLD):
                task = ti.model_copy(update={"task_id": task_id, "try_number": 0})
                alert = describe({**context, "ti": task})
                body = ti.xcom_pull(task_ids=task_id, key=LEFT)
                tell(replace(alert, body=body) if body else alert)
    except Exception:
        log.exception("The alert could not be written.")


def tell(alert: Alert) -> None:
    """Send an alert every way that is set up."""
    for name, send in set_up().items():
        if reason := attempt(send, alert):
            log.warning("The alert could not be sent by %s: %s", name, reason)
        else:
            log.info("The alert was sent by %s.", name)


def set_up() -> dict[str, Callable[[Alert], None]]:
    """Return the ways to send an alert that are set up."""
    return {name: send for name, (send, of) in CHANNELS.items() if all(map(setting, of))}


def attempt(send: Callable[[Alert], None], alert: Alert) -> str:
    """Send within SECONDS; return why it was not possible, or nothing."""
    problem = [f"no answer within {SECONDS:.0f} seconds"]

    def run() -> None:
        try:
            send(alert)
            problem[:] = [""]
        except Exception as error:
            problem[:] = [" ".join(str(error).split()) or type(error).__name__]

    # A thread, as no library's time-out covers looking up a name; a daemon, not to be waited for.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return problem[0]


def setting(name: str) -> str:
    """Return a setting of a secret's file or of the environment; what is switched off is empty."""
    try:
        value = (SECRETS / name).read_text("utf-8").strip()
    except OSError:
        value = os.environ.get(name, "").strip()
    return "" if value.lower() == "none" else value


DEFAULT_ARGS = {"owner": "microstage", "on_failure_callback": [on_failure]}
