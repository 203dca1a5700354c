"""Tasks that a worker beside the services runs, and not the scheduler: AIRFLOW_EXECUTOR of .env."""

import base64
import datetime as dt
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from airflow.api_fastapi.auth.tokens import key_to_jwk_dict
from cryptography.hazmat.primitives.serialization import load_der_private_key
from slow_pipeline import Slow
from stack import Stack, wait_until

EDGE = "airflow.providers.edge3.executors.EdgeExecutor"
DOORS = ("api/v2/variables", "execution/variables/model_path")
FOUND = """
import os, socket
try:
    address = socket.gethostbyname("postgres")
except OSError:
    address = ""
print(sorted(os.listdir("/run/secrets")), address, "SQL_ALCHEMY" in str(dict(os.environ)))
"""


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[None]:
    """Let a worker run the tasks meanwhile."""
    up = ["docker", "compose", "up", "--detach", "--wait"]
    stack.change(AIRFLOW_EXECUTOR=EDGE)
    stack.run(*up)
    yield
    stack.run("docker", "compose", "rm", "--stop", "--force", "worker")
    stack.change(AIRFLOW_EXECUTOR="LocalExecutor")
    stack.run(*up)


@pytest.mark.usefixtures("worker")
def test_a_stage_goes_on_when_the_worker_that_runs_it_is_killed(slow: Slow) -> None:
    day = dt.date(2020, 9, 1)
    slow.takes(60)
    with slow.watched() as seen:
        run = slow.start("generate_data", day)
        wait_until(slow.running)
        slow.stack.run("docker", "compose", "kill", "worker")
        slow.stack.run("docker", "compose", "up", "--detach", "worker")
        wait_until(lambda: slow.has_ended(run), what="a stage whose worker was killed has ended")
    log = slow.log("generate_data", day, "generate")

    assert "success" == slow.state_of(run)
    assert "control" == slow.airflow.tasks(run)[0]["hostname"]
    assert "Going on with container" in log
    assert "second 60" in log
    assert {slow.host(day)} == seen
    assert 2 == slow.manifest(f"raw/{day}")["run"]["try"]
    assert [] == slow.left()


@pytest.mark.usefixtures("worker")
def test_where_the_code_of_dags_runs_is_no_way_to_the_database(stack: Stack) -> None:
    inside = ["docker", "compose", "exec", "-T", "worker", "python3", "-c", FOUND]

    secrets = ["AIRFLOW_WORKER_SECRET", "ALERT_SMTP", "ALERT_URL"]
    assert f"{secrets}  False" == stack.run(*inside).stdout.strip()


@pytest.mark.usefixtures("worker")
def test_what_workers_are_known_by_opens_no_door_of_people_or_of_tasks(stack: Stack) -> None:
    key: Any = load_der_private_key(base64.b64decode(stack.setting("AIRFLOW_SIGNING_KEY")), None)
    kid = key_to_jwk_dict(key)["kid"]
    secret = stack.setting("AIRFLOW_WORKER_SECRET")

    def opened(audience: str, signing: Any, algorithm: str, kid: str) -> list[int]:
        now = int(time.time())
        claims = {"sub": "1", "aud": audience, "iat": now, "nbf": now, "exp": now + 60}
        claims["jti"] = uuid.uuid4().hex
        token = jwt.encode(claims, signing, algorithm=algorithm, headers={"kid": kid})
        return [status(stack, door, token) for door in DOORS]

    assert [200, 403] == opened("apache-airflow", key, "EdDSA", kid), "a real one is believed"
    for audience in ("apache-airflow", "urn:airflow.apache.org:task", "api"):
        assert [403, 403] == opened(audience, secret, "HS512", kid)


def status(stack: Stack, path: str, token: str) -> int:
    """Return what the API server answers to who has a token."""
    url = f"http://localhost:{stack.setting('AIRFLOW_PORT')}/{path}"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
