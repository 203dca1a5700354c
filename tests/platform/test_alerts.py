"""Alerts by the running stack: mails, in the catcher that comes along."""

import datetime as dt
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from stack import Stack, wait_until

DAG = """
import os, signal
from airflow.sdk import DAG, task
from microstage.alerts import DEFAULT_ARGS, on_run_failure

with DAG("{name}", default_args=DEFAULT_ARGS, on_failure_callback=on_run_failure):
    @task
    def fails():
        raise ValueError("a reason")

    @task
    def is_killed():
        os.kill(os.getpid(), signal.SIGKILL)

    fails(), is_killed()
"""


@pytest.fixture
def dag(stack: Stack) -> Iterator[str]:
    """A DAG beside those of the project, with their alerts; one task fails, one is killed."""
    name = "alerts_test"
    file = stack.root / f"dags/{name}.py"
    file.write_text(DAG.format(name=name))
    yield name
    file.unlink()


def test_a_task_that_fails_and_one_that_is_killed_are_told_of_once_each(
    stack: Stack, dag: str
) -> None:
    airflow = stack.airflow("default")
    wait_until(lambda: exists(lambda: airflow.call("GET", f"/api/v2/dags/{dag}")))
    airflow.switch_on(dag)
    airflow.trigger(dag, dt.date(2013, 1, 16), {})
    wait_until(lambda: len(stack.mails(dag)) >= 2)
    time.sleep(5)  # in which a second one of the same could come
    told = {mail["subject"]: mail["text"] for mail in stack.mails(dag)}

    assert sorted(told) == sorted(mail["subject"] for mail in stack.mails(dag))
    assert {f"{dag}.fails failed for 2013-01-16", f"{dag}.is_killed failed for 2013-01-16"} == {
        subject.split("] ")[1] for subject in told
    }
    texts = {subject.split(".")[-1].split()[0]: text for subject, text in told.items()}
    assert "\na reason\n" in texts["fails"]
    assert "its process was killed" in texts["is_killed"]
    [link] = re.findall(r"(?m)^Log:  (.*)$", texts["fails"])
    assert link.startswith(f"{airflow.url}/dags/{dag}/runs/")
    with urllib.request.urlopen(link, timeout=10) as page:
        assert page.status == 200


def exists(look: Callable[[], object]) -> bool:
    try:
        look()
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
    return True
