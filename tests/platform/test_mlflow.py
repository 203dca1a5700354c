"""MLflow and its PostgreSQL, started from a clone as a user starts them, without the rest."""

import base64
import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from images import VERSION
from stack import Stack, clone_to, docker

IMAGE = f"microstage/mlflow:{VERSION}"
API = "api/2.0/mlflow"
# Of what the server is made of, all that can be imported after "pip install mlflow", but jobs.
SWEEP = """
import importlib, json, pkgutil
import mlflow
failed = {}
for package in ("mlflow.server", "mlflow.store", "mlflow.tracing", "mlflow.entities"):
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f"{package}.", onerror=lambda name: None):
        if "migrations" not in module.name:
            try:
                importlib.import_module(module.name)
            except Exception as error:
                failed[module.name] = str(error)
print(json.dumps(failed))
"""
CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print(address)
    except OSError:
        pass
"""


class Server(Stack):
    """The services postgres and mlflow, and no other."""

    @property
    def env(self) -> Path:
        return self.root / ".env"

    def compose(self, *arguments: str) -> str:
        return self.run("docker", "compose", *arguments).stdout

    def up(self) -> None:
        done = self.run("docker", "compose", "up", "--wait", "postgres", "mlflow", check=False)
        if done.returncode:
            pytest.fail(f"{done.stderr}\n{self.compose('logs', '--tail=60')}")

    def call(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        user: str = "admin",
        password: str | None = None,
        **headers: str,
    ) -> bytes:
        """Ask the API as a client on this machine; a body of bytes is sent as it is."""
        login = f"{user}:{password or self.setting(f'MLFLOW_{user.upper()}_PASSWORD')}"
        request = urllib.request.Request(
            f"http://localhost:{self.setting('MLFLOW_PORT')}/{path}",
            body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
            {
                "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
                "Content-Type": "application/json",
                **headers,
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
            return content

    def address(self, service: str, network: str) -> str:
        container = self.compose("ps", "--quiet", service).strip()
        networks = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
        found: str = networks[f"{self.project}_{network}"]["IPAddress"]
        return found

    def reachable(self, network: str, *addresses: str) -> list[str]:
        """Which of these host:port a container on this network of the project can connect to."""
        return docker(
            *("run", "--rm", f"--network={self.project}_{network}", "--entrypoint=python3"),
            *(f"microstage/base:{VERSION}", "-c", CONNECT, *addresses),
        ).splitlines()


def refusal(
    server: Server,
    path: str = f"{API}/experiments/search?max_results=1",
    body: Any = None,
    **other: Any,
) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        server.call(path, body, **other)
    return error.value.code


class Recorded(NamedTuple):
    """An experiment with a run, and a model with a version, of one name."""

    name: str
    experiment: str
    run: str
    source: str
    artifact: str

    def changes(self) -> list[tuple[str, str, Any]]:
        """What somebody who may change it can do to it; what deletes it comes last."""
        version = {"name": self.name, "version": "1"}
        run = {"run_id": self.run}
        return [
            ("POST", f"{API}/runs/create", {"experiment_id": self.experiment}),
            ("POST", f"{API}/runs/log-metric", {**run, "key": "a", "value": 1, "timestamp": 1}),
            ("POST", f"{API}/runs/set-tag", {**run, "key": "a", "value": "b"}),
            ("PUT", self.artifact, b"a tree"),
            (
                "POST",
                f"{API}/model-versions/create",
                {"name": self.name, "source": self.source, **run},
            ),
            ("POST", f"{API}/model-versions/set-tag", {**version, "key": "a", "value": "b"}),
            ("POST", f"{API}/registered-models/alias", {**version, "alias": "production"}),
            ("POST", f"{API}/registered-models/set-tag", {**version, "key": "a", "value": "b"}),
            ("DELETE", self.artifact, None),
            ("DELETE", f"{API}/model-versions/delete", version),
            ("POST", f"{API}/runs/delete", run),
            ("DELETE", f"{API}/registered-models/delete", {"name": self.name}),
            ("POST", f"{API}/experiments/delete", {"experiment_id": self.experiment}),
        ]


def record(server: Server, name: str, user: str, key: str = "microstage.key") -> Recorded:
    """Record a model as a user, with a tag as containers/registry does."""

    def ask(path: str, **body: Any) -> Any:
        return json.loads(server.call(f"{API}/{path}", body, user=user))

    tags = [{"key": key, "value": "1"}]
    experiment = ask("experiments/create", name=name)["experiment_id"]
    run = ask("runs/create", experiment_id=experiment, tags=tags)["run"]["info"]
    ask("registered-models/create", name=name)
    source = f"{run['artifact_uri']}/model"
    ask("model-versions/create", name=name, source=source, run_id=run["run_id"], tags=tags)
    folder = run["artifact_uri"].replace("mlflow-artifacts:/", f"{API}-artifacts/artifacts/")
    server.call(f"{folder}/a.txt", b"a tree", method="PUT", user=user)
    return Recorded(name, experiment, run["run_id"], source, f"{folder}/a.txt")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("clone")
    clone_to(root)
    server = Server(root, "")
    server.settle("mlflow")
    # It runs as any user: here as one that its image does not know.
    override = {"services": {"mlflow": {"user": "4242:4242"}}}
    (root / "docker-compose.override.yml").write_text(json.dumps(override))
    try:
        server.up()
        yield server
    finally:
        server.take_down()


def test_it_refuses_who_has_no_password_or_a_wrong_one(server: Server) -> None:
    assert 401 == refusal(server, Authorization="")
    assert 401 == refusal(server, password="password1234")  # noqa: S106  it is wrong


def test_it_refuses_a_name_that_is_not_its_own(server: Server) -> None:
    assert 403 == refusal(server, Host="mlflow.example.org")
    assert server.call(f"{API}/experiments/search?max_results=1", Host="mlflow:5000")


def test_stages_may_change_and_delete_what_they_recorded(server: Server) -> None:
    for method, path, body in record(server, "ours", "stages").changes():
        server.call(path, body, method=method, user="stages")


def test_stages_may_read_and_not_change_what_others_recorded(server: Server) -> None:
    theirs = record(server, "theirs", "admin", key="another")
    run = json.loads(server.call(f"{API}/runs/get?run_id={theirs.run}", user="stages"))["run"]
    codes = {
        path: refusal(server, path, body, method=method, user="stages")
        for method, path, body in theirs.changes()
    }

    assert theirs.run == run["info"]["run_id"]
    assert dict.fromkeys(codes, 403) == codes
    assert b"a tree" == server.call(theirs.artifact)
    assert server.call(f"{API}/registered-models/get?name=theirs")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{API}/users/create", {"username": "other", "password": "password12345"}),
        ("PATCH", f"{API}/users/update-admin", {"username": "stages", "is_admin": True}),
        ("PATCH", f"{API}/users/update-password", {"username": "admin", "password": "p" * 12}),
        ("DELETE", f"{API}/users/delete", {"username": "admin"}),
        (
            "POST",
            "api/3.0/mlflow/users/permissions/grant",
            {
                "username": "stages",
                "resource_type": "experiment",
                "resource_id": "0",
                "permission": "MANAGE",
            },
        ),
        ("POST", "api/3.0/mlflow/roles/create", {"name": "a", "workspace": "default"}),
        ("POST", f"{API}/webhooks", {"name": "a", "url": "https://example.org", "events": []}),
    ],
)
def test_stages_cannot_make_users_nor_give_themselves_more(
    server: Server, method: str, path: str, body: Any
) -> None:
    assert 403 == refusal(server, path, body, method=method, user="stages")


def test_what_stages_recorded_as_admin_is_theirs_after_an_upgrade(server: Server) -> None:
    before = record(server, "before", "admin")
    other = record(server, "other", "admin", key="another")
    # As in an installation of before there was such a user.
    server.call(f"{API}/users/delete", {"username": "stages"}, method="DELETE")
    server.compose("restart", "mlflow")
    server.up()

    for method, path, body in before.changes():
        server.call(path, body, method=method, user="stages")
    assert {403} == {
        refusal(server, path, body, method=method, user="stages")
        for method, path, body in other.changes()
    }


def test_a_run_survives_a_restart_and_the_password_in_env_is_the_one_that_counts(
    server: Server,
) -> None:
    run = json.loads(server.call(f"{API}/runs/create", {"experiment_id": "0"}))["run"]["info"]
    metric = {"run_id": run["run_id"], "key": "roc_auc", "value": 0.75, "timestamp": 1}
    server.call(f"{API}/runs/log-metric", metric)
    artifact = run["artifact_uri"].replace("mlflow-artifacts:/", f"{API}-artifacts/artifacts/")
    server.call(f"{artifact}/model.txt", b"a tree", method="PUT")
    before = server.setting("MLFLOW_ADMIN_PASSWORD")
    stages = server.setting("MLFLOW_STAGES_PASSWORD")
    server.change(
        **dict.fromkeys(["MLFLOW_ADMIN_PASSWORD", "MLFLOW_DB_PASSWORD"], "another-one-now"),
        MLFLOW_STAGES_PASSWORD="another-one-too",  # noqa: S106  it is drawn for the test alone
    )
    server.up()
    after = json.loads(server.call(f"{API}/runs/get?run_id={run['run_id']}"))["run"]

    assert 0.75 == after["data"]["metrics"][0]["value"]
    assert b"a tree" == server.call(f"{artifact}/model.txt")
    assert 401 == refusal(server, password=before)
    assert 401 == refusal(server, user="stages", password=stages)
    assert server.call(f"{API}/experiments/search?max_results=1", user="stages")


def test_the_ui_gets_what_it_asks_for(server: Server) -> None:
    run = json.loads(server.call(f"{API}/runs/create", {"experiment_id": "0"}))["run"]["info"]
    query = "query q($id: MlflowGetRunInput!) {mlflowGetRun(input: $id) {run {info {runId}}}}"
    body = {"query": query, "variables": {"id": {"runId": run["run_id"]}}}
    answer = json.loads(server.call("graphql", body))

    assert run["run_id"] == answer["data"]["mlflowGetRun"]["run"]["info"]["runId"]
    assert b'<div id="root"' in server.call("")


def test_a_volume_from_before_mlflow_gets_its_database_also_after_a_crash(server: Server) -> None:
    psql = ["exec", "postgres", "psql", "--username=airflow", "--dbname=airflow", "--command"]
    server.compose("stop", "mlflow")
    server.compose(*psql, "DROP DATABASE mlflow")
    server.compose(*psql, "DROP ROLE mlflow")
    server.compose("kill", "postgres")  # as a power cut does
    server.up()

    assert b"Default" in server.call(f"{API}/experiments/get?experiment_id=0")


def test_mlflow_has_no_access_to_the_database_of_airflow(server: Server) -> None:
    program = (
        "import psycopg2; given = open('/run/secrets/MLFLOW_DB_PASSWORD').read(); "
        "psycopg2.connect(dbname='{}', password=given); print('connected')"
    )
    command = ["docker", "compose", "exec", "mlflow", "python3", "-c"]

    assert "connected\n" == server.run(*command, program.format("mlflow")).stdout
    for name in ("airflow", "postgres"):
        done = server.run(*command, program.format(name), check=False)
        assert f'permission denied for database "{name}"' in done.stderr


def test_a_stage_on_the_network_tracking_reaches_mlflow_and_nothing_else(server: Server) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104  so that it could be reached
        port = listener.getsockname()[1]
        network = json.loads(docker("network", "inspect", f"{server.project}_tracking"))[0]
        here = f"{network['IPAM']['Config'][0]['Gateway']}:{port}"
        gateway = json.loads(docker("network", "inspect", f"{server.project}_front"))[0]["IPAM"]
        there = f"{gateway['Config'][0]['Gateway']}:{port}"
        database = f"{server.address('postgres', 'mlflow-database')}:5432"
        also = ["postgres:5432", database, f"{server.address('mlflow', 'mlflow-database')}:5000"]

        assert set(also) == set(server.reachable("mlflow-database", *also, there))
        assert [there] == server.reachable("front", *also, there)
        assert ["mlflow:5000"] == server.reachable(
            "tracking", "mlflow:5000", *also, here, there, "192.0.2.1:443"
        )
    assert network["Internal"]


def test_no_password_is_logged_or_on_a_command_line(server: Server) -> None:
    seen = server.compose("logs") + server.compose("top")
    secrets = re.findall(r"(?m)^\w+_(?:PASSWORD|KEY|SECRET)=(.+)$", server.env.read_text())

    assert "\n4242 " in seen
    assert "mlflow.server.auth:create_app" in seen
    assert [] == [secret for secret in secrets if secret in seen]


def test_of_the_server_nothing_was_left_out_but_what_runs_jobs() -> None:
    command = ["docker", "run", "--rm", "--interactive", "--read-only", "--tmpfs=/tmp"]
    done = subprocess.run(
        [*command, "--entrypoint=python3", IMAGE, "-"],
        input=SWEEP,
        capture_output=True,
        text=True,
        check=True,
    )

    # The first and the third run in processes of their own, whose environment they want; the last
    # is not there after "pip install mlflow" either.
    assert {
        "mlflow.server.jobs._huey_consumer": "'_MLFLOW_HUEY_INSTANCE_KEY'",
        "mlflow.server.jobs._periodic_tasks_consumer": "No module named 'huey'",
        "mlflow.server.prometheus_exporter": "No module named 'prometheus_flask_exporter'",
    } == json.loads(done.stdout.splitlines()[-1])
