"""Who may do what in Airflow: roles, the brake on guessing, and people who log in elsewhere."""

import json
import subprocess
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from issuer import PASSWORD, SECRET, Form, issuer, log_in
from stack import Stack, password_of, wait_until

from support.airflow_api import Airflow

NAMES = {"Viewer": "vera", "Approver": "anna", "Operator": "olaf"}
ROLES = [*NAMES, "Admin"]
QUESTION = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

with DAG("question", schedule=None, is_paused_upon_creation=False):
    ApprovalOperator(task_id="ask", subject="Well?") >> EmptyOperator(task_id="go_on")
"""
RUNS = "/api/v2/dags/question/dagRuns"
MINE = "of_a_test"
# What -> the call, in which RUN is a run of the question, and the roles that may.
CALLS: dict[str, tuple[str, str, Any, list[str]]] = {
    "see DAGs": ("GET", "/api/v2/dags", None, ROLES),
    "see runs": ("GET", RUNS, None, ROLES),
    "see questions": ("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails", None, ROLES),
    "answer": (
        "PATCH",
        f"{RUNS}/RUN/taskInstances/ask/-1/hitlDetails",
        {"chosen_options": ["Approve"], "params_input": {}},
        ["Approver", "Admin"],
    ),
    "trigger": ("POST", RUNS, {"logical_date": None}, ["Operator", "Admin"]),
    "switch off": (
        "PATCH", "/api/v2/dags/question", {"is_paused": False}, ["Operator", "Admin"]
    ),
    "clear": (
        "POST",
        "/api/v2/dags/question/clearTaskInstances",
        {"dag_run_id": "RUN", "dry_run": False, "only_failed": True},
        ["Operator", "Admin"],
    ),
    "end a run": ("PATCH", f"{RUNS}/RUN", {"state": "failed"}, ["Operator", "Admin"]),
    "delete a run": ("DELETE", f"{RUNS}/RUN", None, ["Admin"]),
    "read Variables": ("GET", "/api/v2/variables", None, ["Admin"]),
    "set a Variable": ("POST", "/api/v2/variables", {"key": MINE, "value": "x"}, ["Admin"]),
    "delete a Variable": ("DELETE", f"/api/v2/variables/{MINE}", None, ["Admin"]),
    "add a connection": (
        "POST", "/api/v2/connections", {"connection_id": MINE, "conn_type": "http"}, ["Admin"]
    ),
    "delete a connection": ("DELETE", f"/api/v2/connections/{MINE}", None, ["Admin"]),
    "add a pool": ("POST", "/api/v2/pools", {"name": MINE, "slots": 1}, ["Admin"]),
    "delete a pool": ("DELETE", f"/api/v2/pools/{MINE}", None, ["Admin"]),
    "write an XCom": (
        "POST", f"{RUNS}/RUN/taskInstances/ask/xcomEntries", {"key": "by", "value": "me"}, ["Admin"]
    ),
    "list users": ("GET", "/auth/fab/v1/users", None, ["Admin"]),
    "add a user": ("POST", "/auth/fab/v1/users", {"username": MINE}, ["Admin"]),
    "change a role": ("PATCH", "/auth/fab/v1/roles/Viewer", {"name": "Viewer"}, ["Admin"]),
}  # fmt: skip


def status(airflow: Airflow, method: str, path: str, body: Any = None) -> int:
    """Return the status that one call is answered with."""
    try:
        airflow.call(method, path, body)
    except urllib.error.HTTPError as error:
        return error.code
    except json.JSONDecodeError:  # an empty answer, as to DELETE
        return HTTPStatus.NO_CONTENT
    return HTTPStatus.OK


@pytest.fixture(scope="module")
def people(stack: Stack) -> dict[str, Airflow]:
    """A person of each role, logged in."""
    users = {role: stack.user(name, role) for role, name in NAMES.items()}
    return {**users, "Admin": stack.airflow("flights")}


@pytest.fixture(scope="module", autouse=True)
def guessed(stack: Stack, people: dict[str, Airflow]) -> dict[str, Any]:
    """What guessing at vera's password was answered with, token and form alike.

    Before all else here: the minute that she has to wait is over when the test of it comes.
    """
    with ThreadPoolExecutor(50) as at_once:
        guesses = list(at_once.map(lambda n: token(stack, "vera", f"guess {n}"), range(50)))
    with httpx.Client(follow_redirects=True, timeout=120) as browser:
        by_form = fill_in(browser, people["Viewer"].url, "vera")
    return {
        "guesses": guesses,
        "by form": by_form,
        "by mail": token(stack, "vera@example.org", password_of("vera")),
        "another": token(stack, "anna", password_of("anna")),
    }


@pytest.fixture(scope="module")
def question(stack: Stack, people: dict[str, Airflow]) -> Iterator[dict[str, str]]:
    """Return a run for each role, in which a question waits."""
    file, admin = stack.root / "dags/question.py", people["Admin"]
    file.write_text(QUESTION)
    try:
        wait_until(lambda: status(admin, "GET", "/api/v2/dags/question") == HTTPStatus.OK)
        runs: dict[str, str] = {
            role: admin.call("POST", RUNS, {"logical_date": None})["dag_run_id"] for role in ROLES
        }
        wait_until(lambda: all(admin.asks(f"{RUNS}/{run}") for run in runs.values()))
        yield runs
    finally:
        file.unlink()
        status(admin, "DELETE", "/api/v2/dags/question")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("what", CALLS)
def test_a_role_may_do_what_it_is_for_and_nothing_else(
    what: str, role: str, people: dict[str, Airflow], question: dict[str, str]
) -> None:
    method, path, body, roles = CALLS[what]
    run = question[role]
    told = json.loads(json.dumps(body).replace("RUN", run))

    found = status(people[role], method, path.replace("RUN", run), told)

    assert (found == HTTPStatus.FORBIDDEN) == (role not in roles), found
    assert found != HTTPStatus.UNAUTHORIZED


def token(stack: Stack, name: str, password: str) -> int:
    """Return the status of asking for a token."""
    url = f"http://localhost:{stack.setting('AIRFLOW_PORT')}/auth/token"
    login = {"username": name, "password": password}
    return httpx.post(url, json=login, timeout=120).status_code


def fill_in(browser: httpx.Client, url: str, name: str) -> httpx.Response:
    """Log in by Airflow's own form, with the right password; return what comes then."""
    form = browser.get(f"{url}/auth/login/")
    right = {"username": name, "password": password_of(name)}
    return browser.post(form.url, data={**Form(form.text).fields, **right})


def test_guessing_is_refused_by_token_and_form_alike_and_the_right_password_works_later(
    stack: Stack, people: dict[str, Airflow], guessed: dict[str, Any]
) -> None:
    url, guesses = people["Viewer"].url, guessed["guesses"]

    # Under load, 50 guesses may take longer than the minute after which more are allowed.
    assert set(guesses) == {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
    assert guesses.count(HTTPStatus.UNAUTHORIZED) <= 20
    assert HTTPStatus.TOO_MANY_REQUESTS == guessed["by form"].status_code
    assert "wait a minute" in guessed["by form"].text
    assert HTTPStatus.TOO_MANY_REQUESTS == guessed["by mail"]
    assert HTTPStatus.CREATED == guessed["another"]
    wait_until(lambda: token(stack, "vera", password_of("vera")) == HTTPStatus.CREATED)
    with httpx.Client(follow_redirects=True, timeout=120) as browser:
        fill_in(browser, url, "vera")
        assert HTTPStatus.OK == browser.get(f"{url}/api/v2/dags").status_code


def test_there_is_no_third_place_to_guess_at(people: dict[str, Airflow]) -> None:
    path = "/auth/api/v1/security/login"
    body = {"username": "vera", "password": password_of("vera"), "provider": "db"}

    assert HTTPStatus.NOT_FOUND == status(people["Admin"], "POST", path, body)


# --- with other settings


@contextmanager
def settings(stack: Stack, **changed: str) -> Iterator[None]:
    """Start the services with other settings, and after that with those of before."""
    before = {name: stack.setting(name) for name in changed}
    up = ("docker", "compose", "up", "--wait")
    try:
        stack.change(**changed)
        stack.run(*up)
        yield
    finally:
        stack.change(**before)
        stack.run(*up)


def gateway(stack: Stack) -> str:
    """Return the address of this machine that the API server reaches it by."""
    container = stack.run("docker", "compose", "ps", "--quiet", "api-server").stdout.strip()
    format_ = "{{range .NetworkSettings.Networks}}{{println .Gateway}}{{end}}"
    return stack.run("docker", "inspect", f"--format={format_}", container).stdout.split()[0]


def roles_of(url: str, name: str) -> tuple[str, list[str]]:
    """Log in at the issuer; return as whom Airflow then knows the person, and what they may."""
    with httpx.Client(follow_redirects=True, timeout=120) as browser:
        log_in(browser, f"{url}/auth/login/oidc", name)
        me = browser.get(f"{url}/ui/auth/me")
        if me.status_code == HTTPStatus.UNAUTHORIZED:
            return "", []
        calls = {
            "answer": ("PATCH", f"{RUNS}/none/taskInstances/none/-1/hitlDetails"),
            "trigger": ("POST", RUNS),
            "read Variables": ("GET", "/api/v2/variables"),
            "see DAGs": ("GET", "/api/v2/dags"),
        }
        body = {"chosen_options": ["Approve"], "params_input": {}}
        found = {
            what: browser.request(method, url + path, json=None if method == "GET" else body)
            for what, (method, path) in calls.items()
        }
        may = [what for what, answer in found.items() if answer.status_code != HTTPStatus.FORBIDDEN]
        return me.json()["username"], may


@pytest.fixture(scope="module")
def changed(stack: Stack) -> Iterator[str]:
    """Another password, and people at an issuer; return the password of before.

    Both at once: each change starts most of the services again.
    """
    url = f"http://localhost:{stack.setting('AIRFLOW_PORT')}"
    groups = {"approvers": ["anna", "admin"], "ops": ["olaf"], "": ["nobody"]}
    before = stack.setting("AIRFLOW_ADMIN_PASSWORD")
    with issuer(gateway(stack), f"{url}/auth/oauth-authorized/oidc", groups) as address:
        oidc = {
            "OIDC_ISSUER": address,
            "OIDC_CLIENT_SECRET": SECRET,
            "OIDC_ROLES": "approvers=Approver,ops=Operator",
        }
        with settings(stack, AIRFLOW_ADMIN_PASSWORD="another-one-now", **oidc):  # noqa: S106 - a test's
            yield before


def test_the_password_in_env_is_the_one_that_counts_and_users_stay(
    stack: Stack, people: dict[str, Airflow], changed: str
) -> None:
    logins = (("admin", changed), ("admin", "another-one-now"), ("anna", password_of("anna")))
    found = [token(stack, *login) for login in logins]

    assert [HTTPStatus.UNAUTHORIZED, HTTPStatus.CREATED, HTTPStatus.CREATED] == found
    assert HTTPStatus.OK == status(people["Admin"], "GET", "/auth/fab/v1/users")


@pytest.mark.usefixtures("changed")
def test_groups_at_an_issuer_give_roles_whatever_the_name(stack: Stack) -> None:
    url = f"http://localhost:{stack.setting('AIRFLOW_PORT')}"
    found = {name: roles_of(url, name) for name in ("anna", "olaf", "admin", "nobody")}
    own = token(stack, "admin", stack.setting("AIRFLOW_ADMIN_PASSWORD"))
    named = ["--username", found["anna"][0]]
    reset = stack.airflow_users("reset-password", *named, password=PASSWORD)
    by_password = token(stack, found["anna"][0], PASSWORD)

    assert {
        "anna": ("anna@issuer.example.org <anna>", ["answer", "see DAGs"]),
        "olaf": ("olaf@issuer.example.org <olaf>", ["trigger", "see DAGs"]),
        # Who is called so at the issuer is not the one that .env has the password of.
        "admin": ("admin@issuer.example.org <admin>", ["answer", "see DAGs"]),
        "nobody": ("", []),
    } == found
    assert HTTPStatus.CREATED == own
    assert "password reset successfully" in reset.stdout
    assert HTTPStatus.UNAUTHORIZED == by_password


@pytest.mark.usefixtures("changed")
def test_who_is_in_no_group_has_the_role_that_env_gives_to_all_others(stack: Stack) -> None:
    try:
        stack.change(OIDC_OTHERS="Viewer")
        stack.run("docker", "compose", "up", "--wait", "--no-deps", "api-server")
        others = roles_of(f"http://localhost:{stack.setting('AIRFLOW_PORT')}", "nobody")
    finally:
        stack.change(OIDC_OTHERS="none")

    assert ("nobody@issuer.example.org <nobody>", ["see DAGs"]) == others


def test_a_role_that_does_not_exist_is_told(stack: Stack) -> None:
    done = subprocess.run(
        ["docker", "compose", "run", "--rm", "--no-deps", "-T", "--env=OIDC_ISSUER=https://x",
         "--env=OIDC_ROLES=ops=Operators", "--entrypoint=python3", "api-server",
         "/opt/auth/webserver_config.py"],
        cwd=Path(stack.root), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "OIDC_ROLES or OIDC_OTHERS in .env has 'ops=Operators'" in done.stderr
    assert "Viewer, Approver, Operator, Admin" in done.stderr
