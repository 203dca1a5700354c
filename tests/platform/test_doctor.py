"""What scripts/doctor finds on an engine, and in a stack: each finding is caused here."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest
from images import VERSION
from stack import ROOT, Stack, docker, wait_until

from support import doctor_engine, doctor_machine, doctor_tasks
from support.findings import Finding, Installation
from support.swaps import present

BASE = f"microstage/base:{VERSION}"
NAME = f"microstage-test-{os.getpid()}-doctor"
ABSENT = "sha256:" + "1" * 64
ROW = """
[stages.{stage}]
image = "{image}"
verb = "fit"
reads = {{}}
writes = {{ to = "{stage}/{{ds}}", files = ["a"] }}
params = {{}}
limits = {{ cpus = 1, memory = "1g", pids = 64, timeout = "1h" }}
"""


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    for file in (".env.example", "docker-compose.yml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".env").write_text(
        f"COMPOSE_PROJECT_NAME={NAME}\nMICROSTAGE_DATA={tmp_path}\nMAIL_PORT=0\n"
    )
    return Installation(tmp_path)


def lines(findings: Iterator[Finding]) -> list[str]:
    return [f"{each.what}; {each.mend}" for each in findings]


# --- the engine


def test_an_engine_that_is_as_it_should_be(installation: Installation) -> None:
    assert [] == lines(doctor_engine.engine(installation))
    assert [] == lines(doctor_engine.versions(installation))
    assert [] == lines(doctor_engine.walls(installation))
    assert [] == lines(doctor_engine.containers(installation))


def test_no_engine(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    found = lines(doctor_engine.engine(installation))

    assert 1 == len(found)
    assert "no Docker Engine answers: " in found[0]
    assert "scripts/install_engine" in found[0]


class Old(BaseHTTPRequestHandler):
    """As much of an old engine, of another kind in all that there is, as says that it is one."""

    def do_GET(self) -> None:
        said = {
            "Version": "20.10.24",
            "ApiVersion": "1.41",
            "MinAPIVersion": "1.12",
            "Components": [{"Name": "Podman Engine"}],
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        }
        body = b"OK" if "_ping" in self.path else json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server asks for it by this name

    def address_string(self) -> str:
        return "nobody"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "old.sock"
    with ThreadingUnixStreamServer(str(path), Old) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield
        server.shutdown()


@pytest.mark.usefixtures("old")
def test_an_engine_that_is_too_old(installation: Installation) -> None:
    found = lines(doctor_engine.versions(installation))

    assert ["Docker Engine 20.10.24 speaks API 1.41, not 1.45"] == [
        line.partition(";")[0] for line in found
    ]


@pytest.mark.usefixtures("old")
def test_an_engine_that_leaves_out_walls(installation: Installation) -> None:
    found = lines(doctor_engine.walls(installation))

    assert 3 == len(found)
    assert "this engine is Podman" in found[0]
    assert "gives users other ids than this machine does" in found[1]
    assert "cannot limit memory, processes, cpus; mount the cgroup controllers" in found[2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "echo Docker Compose version v2.10.1",
            "docker compose is 2.10.1; docker-compose.yml takes",
        ),
        ("exit 1", "docker has no compose; install the package docker-compose"),
    ],
)
def test_a_compose_that_is_too_old_or_broken(
    installation: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    said: str,
) -> None:
    plugin = tmp_path / "config/cli-plugins/docker-compose"
    plugin.parent.mkdir(parents=True)
    about = json.dumps({"SchemaVersion": "0.1.0", "Vendor": "a test"})
    asked = f"[ $1 = docker-cli-plugin-metadata ] && echo '{about}' && exit"
    plugin.write_text(f"#!/bin/sh\n{asked}\n{answer}\n")
    plugin.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(plugin.parents[1]))
    found = lines(doctor_engine.versions(installation))

    assert [True] == [line.startswith(said) for line in found]


def test_a_clock_that_is_another_one_than_the_engines(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [] == lines(doctor_machine.clock(installation))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 300)
    found = lines(doctor_machine.clock(installation))

    assert 1 == len(found)
    assert "the Docker Engine's clock is 300 s behind; set this machine's clock" in found[0]


# --- images


def with_table(folder: Path, monkeypatch: pytest.MonkeyPatch, **images: str) -> None:
    table = folder / "stages.toml"
    rows = [ROW.format(stage=stage, image=image) for stage, image in images.items()]
    table.write_text("[pipeline]\nschedule = {}\n" + "".join(rows))
    monkeypatch.setenv("MICROSTAGE_STAGES", str(table))


def test_images_that_are_there(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = f"microstage/generate:{VERSION}"
    pinned = present(generate).store_id
    with_table(tmp_path, monkeypatch, one=generate, two=f"microstage/gone:1@{pinned}")

    assert [] == lines(doctor_engine.images(installation))


def test_an_image_that_is_missing_and_one_of_another_id(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = f"microstage/train:{VERSION}"
    here = present(train).id
    with_table(tmp_path, monkeypatch, one="microstage/gone:1", two=f"{train}@{ABSENT}")
    gone, other = lines(doctor_engine.images(installation))

    assert "stage one: there is no image microstage/gone:1; ./build_images.sh gone" in gone
    assert f"stage two: {train} is {here[7:19]}, and the pinned 111111111111 is gone; " in other


def test_an_image_that_is_no_stage_and_a_table_that_is_broken(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = f"microstage/postgres:{VERSION}"
    with_table(tmp_path, monkeypatch, one=plain)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/broken.toml").write_text("[stages\n")
    broken, unlabelled = lines(doctor_engine.images(installation))

    assert "pipelines/broken.toml" in broken
    assert f"{plain} has org.microstage.contract=None, not 1; " in unlabelled


# --- containers


def test_containers_that_nobody_waits_for(installation: Installation) -> None:
    past, future = (str(int(time.time()) + seconds) for seconds in (-60, 600))
    made = {
        name: docker(
            "create",
            f"--name={NAME}-{name}",
            f"--label=microstage.install={install}",
            f"--label=microstage.deadline={deadline}",
            BASE,
            "-",
        )
        for name, install, deadline in (
            ("overdue", NAME, past),
            ("stranger", f"{NAME}-gone", past),
            ("alive", NAME, future),
        )
    }
    try:
        found = lines(doctor_engine.containers(installation))
    finally:
        docker("rm", "--force", *made.values())

    ours = sorted(line for line in found if NAME in line)
    assert 2 == len(ours)
    assert f"the container {NAME}-overdue is past its deadline, and no task waits" in ours[0]
    assert f"docker rm --force {made['overdue'][:12]}" in ours[0]
    assert f"{NAME}-stranger is of the installation {NAME}-gone, of which nothing else" in ours[1]


def test_a_service_of_an_image_that_has_been_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scripts").mkdir()
    for file in ("scripts/make_env", ".env.example", "docker-compose.yml"):
        shutil.copy(ROOT / file, tmp_path / file)
    with monkeypatch.context() as nowhere:
        nowhere.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        subprocess.run([tmp_path / "scripts/make_env"], check=True, capture_output=True)
    env = tmp_path / ".env"
    env.write_text(env.read_text().replace("NAME=microstage", f"NAME={NAME}"))
    tag, others = f"{NAME}/mail:1", f"microstage/generate:{VERSION}"
    docker("tag", BASE, tag)
    marks = [f"--label=com.docker.compose.{key}" for key in (f"project={NAME}", "service=mail")]
    made = docker("create", *marks, tag, "-")
    try:
        docker("tag", others, tag)
        found = "\n".join(lines(doctor_engine.services(Installation(tmp_path))))
    finally:
        docker("rm", "--force", made)
        docker("rmi", tag)
    old, new = (
        docker("image", "inspect", "--format={{.Id}}", each)[7:19] for each in (BASE, others)
    )

    assert f"the service mail has {tag} as it was, {old}, now {new}; docker compose up" in found
    assert "the service mail is created (exit code 0); docker compose logs mail" in found
    assert "the service scheduler is not there; docker compose up --wait" in found


def test_a_port_that_another_container_has(installation: Installation) -> None:
    serve = ["--entrypoint=python3", BASE, "-c", "import time; time.sleep(999)"]
    docker("run", "--detach", f"--name={NAME}-port", "--publish=127.0.0.1::80", *serve)
    try:
        port = docker("port", f"{NAME}-port", "80").rpartition(":")[2]
        env = installation.root / ".env"
        env.write_text(env.read_text().replace("MAIL_PORT=0", f"MAIL_PORT={port}"))
        found = lines(doctor_machine.ports(Installation(installation.root)))
    finally:
        docker("rm", "--force", f"{NAME}-port")

    assert [f"port {port} (MAIL_PORT) is taken by the container {NAME}-port"] == [
        line.partition(";")[0] for line in found
    ]


# --- a stack


def doctor(
    stack: Stack, *options: str, unseen: tuple[str, ...] = ()
) -> tuple[int, dict[str, list[str]]]:
    """Return the exit code, and what each check has found; all but `unseen` could look."""
    done = subprocess.run(
        [sys.executable, stack.root / "scripts/doctor", "--json", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert set(unseen) == set(report["not_looked_at"])
    found: dict[str, list[str]] = {}
    for each in report["findings"]:
        found.setdefault(each["check"], []).append(f"{each['what']}; {each['mend']}")
    return done.returncode, found


def test_all_is_well_with_a_stack_that_is_up(stack: Stack) -> None:
    assert (0, {}) == doctor(stack)


def test_services_that_are_away_stuck_or_of_another_image(stack: Stack) -> None:
    compose = ("docker", "compose")
    try:
        stack.run(*compose, "stop", "mail")
        stack.run(*compose, "pause", "reports")
        code, found = doctor(stack)
    finally:
        stack.run(*compose, "unpause", "reports")
        ps = (*compose, "ps", "--format={{.Health}}", "reports")
        wait_until(lambda: stack.run(*ps).stdout.strip() == "healthy")
        stack.run(*compose, "up", "--wait")

    assert (1, {"services"}) == (code, set(found))
    away, stuck = sorted(found["services"])
    assert "the service mail is exited" in away
    assert "the service reports is paused" in stuck
    assert (0, {}) == doctor(stack)


@pytest.mark.parametrize("service", ["api-server", "scheduler"])
def test_a_service_that_hangs(stack: Stack, service: str) -> None:
    ps = ("docker", "compose", "ps", "--format={{.Health}}", service)
    signal = ("docker", "compose", "exec", "-T", service, "bash", "-c")
    unseen = ("tasks",) if service == "api-server" else ()
    try:
        stack.run(*signal, "kill -STOP -1")
        wait_until(lambda: "unhealthy" in stack.run(*ps).stdout)
        code, found = doctor(stack, unseen=unseen)
    finally:
        stack.run(*signal, "kill -CONT -1")
        wait_until(lambda: stack.run(*ps).stdout.strip() == "healthy")
        stack.run("docker", "compose", "up", "--wait")

    assert (1, {"services"}) == (code, set(found))
    assert f"the service {service} is unhealthy; " in "\n".join(found["services"])


class Busy:
    """As much of Airflow as says which tasks run: days pass before the real one says it."""

    def __init__(self, root: Path) -> None:
        pass

    def call(self, method: str, path: str) -> dict[str, Any]:
        assert ("GET", True) == (method, "state=running" in path)
        now = dt.datetime.now(dt.UTC)
        task = {"dag_id": "flights.train_model", "task_id": "train", "state": "running"}
        return {
            "task_instances": [
                {**task, "dag_run_id": "long", "start_date": str(now - dt.timedelta(days=9))},
                {**task, "dag_run_id": "short", "start_date": str(now - dt.timedelta(hours=2))},
            ]
        }


def test_a_task_that_runs_longer_than_any_may(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = installation.root / ".env"
    env.write_text(f"{env.read_text()}AIRFLOW_PORT=0\n")
    monkeypatch.setattr(doctor_tasks, "Airflow", Busy)
    found = lines(doctor_tasks.stuck(Installation(installation.root)))

    assert [
        "flights.train_model.train of long is running for 12960 minutes; "
        "mark it failed in Airflow, or restart the scheduler"
    ] == found


def test_a_task_that_waits_for_ever(stack: Stack) -> None:
    airflow, day = stack.airflow("flights"), dt.date(2013, 3, 1)
    pool = "/api/v2/pools/default_pool"
    before = airflow.call("GET", pool)["slots"]

    def slots(count: int) -> None:
        airflow.call("PATCH", f"{pool}?update_mask=slots", {"name": "default_pool", "slots": count})

    slots(0)
    try:
        run = airflow.trigger("generate_data", day, {})
        wait_until(lambda: any(t["state"] == "scheduled" for t in airflow.tasks(run)))
        code, found = doctor(stack, "--stuck", "0")
        patient = doctor(stack)
    finally:
        slots(before)
    wait_until(lambda: airflow.call("GET", run)["state"] == "success")

    assert (1, {"tasks"}) == (code, set(found))
    assert "flights.generate_data." in found["tasks"][0]
    assert " is scheduled for 0 minutes; see docker compose logs scheduler" in found["tasks"][0]
    assert (0, {}) == patient
