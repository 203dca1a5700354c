"""What holds of every service of the running stack: its walls, its secrets, its networks."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from images import VERSION
from stack import ROOT, Stack, docker

from support.settings import read_env

SECRET = re.compile(r"\w+_(PASSWORD|KEY|SECRET|CERT)|ALERT_SMTP|ALERT_URL")
AIRFLOW = {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_SECRET_KEY"}
TOKENS = "AIRFLOW_SIGNING_KEY"
ALERTS = {"ALERT_SMTP", "ALERT_URL"}
MLFLOW = {"MLFLOW_DB_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY"}
GIVEN: dict[str, set[str]] = {
    "owner": set(),
    "secrets": set(),
    "postgres": {"POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD"},
    "mlflow": MLFLOW | {"MLFLOW_STAGES_PASSWORD"},
    "airflow-init": {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY"},
    "api-server": AIRFLOW
    | {TOKENS, "AIRFLOW_WORKER_SECRET", "AIRFLOW_ADMIN_PASSWORD", "OIDC_CLIENT_SECRET"},
    "guard": {"MLFLOW_TRACKING_PASSWORD"},
    "scheduler": AIRFLOW | {TOKENS} | ALERTS,
    "dag-processor": AIRFLOW | ALERTS,
    "triggerer": AIRFLOW | ALERTS,
    "reports": set(),
    "mail": set(),
}

PORTS = {
    "postgres": (5432,),
    "mlflow": (5000,),
    "api-server": (8080,),
    "scheduler": (8974,),
    "triggerer": (8794,),
    "reports": (8000,),
    "mail": (1025, 8025),
}
# A network leads both ways; Airflow's own services are one group.
GROUP = {"api-server", "scheduler", "triggerer"}
REACHED = {
    "postgres": {"mlflow", *GROUP},
    "mlflow": {"postgres"},
    "api-server": {"postgres", "scheduler", "triggerer"},
    "guard": set(),
    "scheduler": {"postgres", "api-server", "triggerer", "mail"},
    "triggerer": {"postgres", "api-server", "scheduler", "mail"},
    "dag-processor": {"postgres", "mail", *GROUP},
    "reports": set(),
    "mail": {"scheduler", "triggerer"},
}
CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return ""
    return address
with ThreadPoolExecutor(32) as pool:
    print(*filter(None, pool.map(reach, sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def services(stack: Stack) -> dict[str, dict[str, Any]]:
    """What the engine says of the container of each service."""
    ids = stack.run("docker", "compose", "ps", "--all", "--quiet").stdout.split()
    found: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
    return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}


def addresses(service: dict[str, Any]) -> list[str]:
    """Where it can be found; on `tracking` by stages alone.

    This machine has no way into that network: what goes there goes outside, to whoever answers.
    """
    networks = service["NetworkSettings"]["Networks"].items()
    return [each["IPAddress"] for name, each in networks if not name.endswith("_tracking")]


# Gives the logs to whom Airflow runs as, which root alone can.
ROOT_BRIEFLY = {"owner": ["CHOWN", "DAC_READ_SEARCH"]}


@pytest.mark.parametrize("name", GIVEN)
def test_a_service_runs_as_a_normal_user_behind_walls(
    services: dict[str, dict[str, Any]], name: str
) -> None:
    host = services[name]["HostConfig"]

    root = services[name]["Config"]["User"].split(":")[0] in {"", "0", "root"}
    assert root == (name in ROOT_BRIEFLY)
    assert host["ReadonlyRootfs"]
    assert (["ALL"], False) == (host["CapDrop"], host["Privileged"])
    assert ROOT_BRIEFLY.get(name) == host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert {""} == {host[kind] for kind in ("PidMode", "UTSMode", "UsernsMode")}
    assert "private" == host["IpcMode"]


def test_the_one_that_is_root_sees_two_volumes_and_nobody(
    services: dict[str, dict[str, Any]],
) -> None:
    owner = services["owner"]

    assert {"/mark", "/logs"} == {mount["Destination"] for mount in owner["Mounts"]}
    assert "none" == owner["HostConfig"]["NetworkMode"]
    assert ("exited", 0) == (owner["State"]["Status"], owner["State"]["ExitCode"])


def test_every_service_is_looked_at(services: dict[str, dict[str, Any]]) -> None:
    assert set(GIVEN) == set(services)
    assert set(REACHED) == {name for name, each in services.items() if each["State"]["Running"]}


def test_the_engine_shows_no_secret_of_any_service(
    stack: Stack, services: dict[str, dict[str, Any]]
) -> None:
    secrets = {k: v for k, v in read_env(stack.root).items() if SECRET.fullmatch(k) and v != "none"}
    shown = json.dumps(services)

    assert {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY", "MLFLOW_STAGES_PASSWORD"} <= set(secrets)
    assert [] == [name for name, value in secrets.items() if value in shown]


@pytest.mark.parametrize("name", GIVEN)
def test_a_service_is_given_the_secrets_that_it_needs(
    services: dict[str, dict[str, Any]], name: str
) -> None:
    mounts = [mount["Destination"] for mount in services[name]["Mounts"]]
    given = {path.removeprefix("/run/secrets/") for path in mounts if "/secrets/" in path}

    assert GIVEN[name] == given


def test_the_files_that_services_are_given_are_as_env_says(stack: Stack) -> None:
    for service in ("mlflow", "scheduler"):
        for name in GIVEN[service]:
            read = ["python3", "-c", f"print(open('/run/secrets/{name}').read(), end='')"]
            found = stack.run("docker", "compose", "exec", "-T", service, *read).stdout

            # Airflow wants a key in a file of its own kind.
            pem = f"-----BEGIN PRIVATE KEY-----\n{stack.setting(name)}\n-----END PRIVATE KEY-----"
            assert (pem if name == TOKENS else stack.setting(name)) == found


@pytest.fixture(scope="module")
def reached(services: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Which others each service reaches; asked for all at once, as a wall takes long to answer."""

    def by(name: str) -> set[str]:
        others = {
            f"{address}:{port}": other
            for other, ports in PORTS.items()
            for address in addresses(services[other])
            for port in ports
            if other != name
        }
        beside = f"--network=container:{services[name]['Id']}"
        program = ["--entrypoint=python3", f"microstage/base:{VERSION}", "-c", CONNECT]
        return {
            others[address] for address in docker("run", "--rm", beside, *program, *others).split()
        }

    with ThreadPoolExecutor(len(REACHED)) as pool:
        return dict(zip(REACHED, pool.map(by, REACHED), strict=True))


@pytest.mark.parametrize("name", REACHED)
def test_a_service_reaches_those_that_it_talks_with_and_no_other(
    reached: dict[str, set[str]], name: str
) -> None:
    assert REACHED[name] == reached[name]


def test_what_needs_no_way_out_has_none(services: dict[str, dict[str, Any]]) -> None:
    ways = {
        name: any(out(network) for network in each["NetworkSettings"]["Networks"])
        for name, each in services.items()
    }

    assert {*GROUP, "dag-processor"} == {name for name, way in ways.items() if way}


def out(network: str) -> bool:
    """Whether what is on a network can get an answer from outside of this machine."""
    if network == "none":
        return False
    found = json.loads(docker("network", "inspect", network))[0]
    masked = found["Options"].get("com.docker.network.bridge.enable_ip_masquerade", "true")
    return not found["Internal"] and masked == "true"


def test_the_compose_file_names_every_secret_of_env() -> None:
    example = (ROOT / ".env.example").read_text()
    files = ("docker-compose.yml", "docker-compose.workers.yml")
    compose = "".join((ROOT / file).read_text() for file in files)
    expected = {name for name in re.findall(r"(?m)^(\w+)=", example) if SECRET.fullmatch(name)}

    named = re.findall(r"(?m)^  (\w+): \{ file: \.secrets/(\w+) \}$", compose)
    assert [(name, name) for name in sorted(expected)] == sorted(named)
    # In the labels of `secrets`, which are on no container, and nowhere else.
    used = re.findall(r"(?m)^ +(\S+) \$\{(\w+)", compose)
    assert expected == {name for _, name in used if name in expected}
    assert [] == [name for key, name in used if name in expected and key != f"{name}:"]


def test_what_services_take_at_rest_is_measured_for_each_of_them(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "idle.json"
    first = stack.run("scripts/measure_idle", "--seconds", "5", "--save", file).stdout
    second = stack.run("scripts/measure_idle", "--seconds", "1", "--beside", file).stdout
    rates = json.loads(file.read_text())

    assert {*REACHED, "the engine", "in all"} == set(rates)
    assert all(rate >= 0 for rate in rates.values())
    assert rates["in all"] == pytest.approx(sum(rates.values()) / 2)
    assert f"| scheduler | {rates['scheduler']:.3f} |" in first
    assert f"| scheduler | {rates['scheduler']:.3f} | " in second
