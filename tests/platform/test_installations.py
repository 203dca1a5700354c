"""Two installations on one engine: neither takes what is the other's."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from stack import ROOT, docker

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
VOLUMES = ("installation", "airflow-logs", "postgres-data")


@dataclass(frozen=True)
class Checkout:
    """As much of a clone as has a name, and volumes."""

    root: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def make_env(self, **environment: str) -> str:
        done = self.run("scripts/make_env", **environment)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def get(self, name: str) -> str:
        return self.run("scripts/make_env", "--get", name).stdout.strip()

    def change(self, **settings: object) -> None:
        text = (self.root / ".env").read_text()
        for name, value in settings.items():
            text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        (self.root / ".env").write_text(text)

    def start(self) -> subprocess.CompletedProcess[str]:
        """Run what runs first at each start."""
        return self.run("docker", "compose", "run", "--rm", "--no-deps", "-T", "owner")

    def started(self) -> None:
        done = self.start()
        assert 0 == done.returncode, done.stderr

    def in_volume(self, volume: str, script: str) -> str:
        """Run a line of shell where a volume is the folder /volume."""
        mount = f"--volume={self.get('COMPOSE_PROJECT_NAME')}_{volume}:/volume"
        image = ["--user=0", "--entrypoint=bash", "microstage/postgres:1.0.0", "-c", script]
        return docker("run", "--rm", "--network=none", mount, *image)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name that a new installation has here; nothing of it, or of one like it, is left."""
    name = f"microstage-test-{os.getpid()}-of"
    yield name
    beginning = f"name={name}"
    if found := docker("ps", "--all", "--quiet", "--filter", beginning).split():
        docker("rm", "--force", *found)
    if found := docker("volume", "ls", "--quiet", "--filter", beginning).split():
        docker("volume", "rm", *found)
    if found := docker("network", "ls", "--quiet", "--filter", beginning).split():
        docker("network", "rm", *found)


@pytest.fixture
def first(tmp_path: Path, name: str) -> Checkout:
    return checkout(tmp_path / "first", name)


@pytest.fixture
def second(tmp_path: Path, name: str) -> Checkout:
    return checkout(tmp_path / "second", name)


def checkout(root: Path, name: str) -> Checkout:
    (root / "scripts").mkdir(parents=True)
    for file in ("scripts/make_env", ".env.example", "docker-compose.yml"):
        shutil.copy(ROOT / file, root / file)
    example = (root / ".env.example").read_text()
    default = "COMPOSE_PROJECT_NAME=microstage"
    assert default in example
    (root / ".env.example").write_text(example.replace(default, f"COMPOSE_PROJECT_NAME={name}"))
    return Checkout(root)


def test_a_second_clone_gets_a_name_of_its_own(
    first: Checkout, second: Checkout, name: str
) -> None:
    first.make_env()
    first.started()
    said = second.make_env()

    assert name == first.get("COMPOSE_PROJECT_NAME")
    other = second.get("COMPOSE_PROJECT_NAME")
    assert re.fullmatch(rf"{name}-[0-9a-f]{{4}}", other)
    assert re.search(rf"{name} is another installation, so this one is {other}\n", said)
    assert first.get("INSTALLATION_ID") != second.get("INSTALLATION_ID")
    second.started()
    assert "" == first.make_env() == second.make_env()


def test_it_says_where_the_other_one_is(first: Checkout, second: Checkout, name: str) -> None:
    first.make_env()
    made = first.run("docker", "compose", "create", "--no-build", "owner")
    assert 0 == made.returncode, made.stderr

    assert f"{name} is the installation in {first.root}" in second.make_env()


def test_an_env_made_without_an_engine_is_refused_and_left_as_it_is(
    first: Checkout, second: Checkout, name: str
) -> None:
    second.make_env(**NOWHERE)
    before = (second.root / ".env").read_text()
    first.make_env()
    first.started()
    done = second.run("scripts/make_env")

    assert name == second.get("COMPOSE_PROJECT_NAME")
    assert 1 == done.returncode
    assert f"{name} is another installation, whose volumes this one would take" in done.stderr
    assert f"put another COMPOSE_PROJECT_NAME into {second.root}/.env, such as " in done.stderr
    assert before == (second.root / ".env").read_text()
    other = re.findall(r"such as (\S+)", done.stderr)[0]
    second.change(COMPOSE_PROJECT_NAME=other)
    assert "" == second.make_env()


def test_what_starts_all_the_same_takes_no_volume(first: Checkout, second: Checkout) -> None:
    second.make_env(**NOWHERE)
    first.make_env()
    first.started()
    mark = first.in_volume("installation", "cat /volume/installation")
    done = second.start()

    assert 65 == done.returncode
    assert f"those of the installation whose data is in {first.root}/data" in done.stderr
    assert mark == first.in_volume("installation", "cat /volume/installation")
    first.started()


def test_a_lost_env_is_made_for_the_same_volumes(first: Checkout, name: str) -> None:
    first.make_env()
    first.run("docker", "compose", "create", "--no-build", "owner")
    first.started()
    before = first.get("INSTALLATION_ID")
    (first.root / ".env").unlink()
    first.make_env()

    assert (name, before) == (first.get("COMPOSE_PROJECT_NAME"), first.get("INSTALLATION_ID"))
    first.started()


def test_volumes_of_a_version_that_did_not_mark_them_are_the_envs_that_was_there(
    first: Checkout, second: Checkout, name: str
) -> None:
    first.make_env(**NOWHERE)
    docker(
        "volume", "create", f"--label=com.docker.compose.project={name}", f"{name}_postgres-data"
    )

    assert "" == first.make_env()
    assert "is another installation" in second.make_env()


def test_data_that_was_moved_is_still_its_own(first: Checkout) -> None:
    first.make_env()
    first.started()
    first.change(MICROSTAGE_DATA=first.root / "elsewhere")

    assert "" == first.make_env()
    first.started()
    mark = first.in_volume("installation", "cat /volume/installation")
    assert f"{first.get('INSTALLATION_ID')} {first.root}/elsewhere" == mark


def test_logs_are_of_the_user_that_airflow_runs_as_also_when_that_is_another_one(
    first: Checkout,
) -> None:
    first.make_env()
    first.started()
    deep = "mkdir -p -m 700 /volume/dag_id=a/run_id=b; echo x >/volume/dag_id=a/run_id=b/log; "
    first.in_volume("airflow-logs", f"{deep} chown -R $(stat -c %u:%g /volume) /volume/*")
    first.change(MICROSTAGE_UID=4321, MICROSTAGE_GID=4322)
    first.started()

    owners = first.in_volume("airflow-logs", "find /volume -printf '%U:%G\\n' | sort -u")
    assert "4321:4322" == owners
