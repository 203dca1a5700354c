"""An engine of the tests' own, with a guard in front of it and somebody else's containers on it."""

import copy
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import docker
import pytest
from guarded import (
    BASE,
    DAY,
    GUARD_IMAGE,
    GUARD_UID,
    HERE,
    IMAGE,
    INSTALL,
    METADATA,
    TABLE,
    UID,
    Place,
    own_engine,
    wait_for,
    why_not,
)
from kinds import kind

from microstage.contract import Run
from microstage.engines.container import ContainerEngine, find_image
from microstage.publishing import prepare


@contextmanager
def _filled() -> Iterator[Place]:
    """An engine with the images and the data, and no guard yet."""
    if reason := why_not():
        pytest.skip(f"{reason}: the guard is not tested here")
    root = Path(tempfile.mkdtemp(prefix="g-", dir="/tmp"))  # short: a socket's path is
    root.chmod(0o755)
    try:
        with own_engine(root) as place:
            _fill(place)
            yield place
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def bare() -> Iterator[Place]:
    """The same, for all tests."""
    with _filled() as place:
        yield place


@pytest.fixture
def filled() -> Callable[[], AbstractContextManager[Place]]:
    """What makes another one, for one test."""
    return _filled


def _fill(place: Place) -> None:
    here = docker.from_env(version="auto").api
    for name in (GUARD_IMAGE, BASE):
        place.engine.load_image(here.get_image(name))
    built = place.engine.build(path=str(HERE / "stage"), tag=IMAGE, rm=True, decode=True)
    assert [] == [line["error"] for line in built if "error" in line]
    bare = place.engine.create_container(BASE, command=["python3"])["Id"]
    place.engine.commit(bare, repository="microstage/unlabelled", tag="1")
    place.engine.remove_container(bare)
    for folder in (place.data, place.guard.parent, place.dags / "pipelines"):
        folder.mkdir(parents=True)
    os.chown(place.data, UID, UID)
    os.chown(place.guard.parent, GUARD_UID, 0)
    place.guard.parent.chmod(0o770)
    (place.dags / "stages.toml").write_text(TABLE)
    (place.dags / "pipelines" / "flights.toml").write_text("")
    for name in ("raw/2013-01-05", f"raw/{DAY}", "models/one", f"same/{DAY}", "flights/raw/x"):
        (place.data / name).mkdir(parents=True)
        (place.data / name / "file").write_text(name)
    place.engine.create_network(f"{INSTALL}_tracking", internal=True)
    place.engine.create_network("somebody_elses")


@pytest.fixture(scope="session")
def place(bare: Place) -> Place:
    """The same, guarded."""
    if told := bare.refusal(bare.start_guard()):
        (pytest.fail if kind() == "docker" else pytest.skip)(told)
    return bare


@pytest.fixture(scope="session")
def bystander(place: Place) -> str:
    """A container of somebody else's, which claims to be of this installation."""
    client = place.engine
    mine = {"microstage.install": INSTALL, "microstage.stage": "look"}
    made = client.create_container(
        IMAGE, command=["wait", "--seconds", "100000"], labels=mine, name="bystander"
    )
    client.start(made["Id"])
    return str(made["Id"])


class Recorder(docker.APIClient):
    """Keeps what it would send to make a container, instead of sending it."""

    body: dict[str, Any]

    def create_container_from_config(self, config: Any, *_: Any, **__: Any) -> Any:
        self.body = json.loads(json.dumps({k: v for k, v in config.items() if v is not None}))
        raise KeyboardInterrupt


@pytest.fixture(scope="session")
def body(place: Place) -> Callable[..., dict[str, Any]]:
    """Return what a task sends to make a container of a row, with an /out that is there."""

    @cache
    def recorded(stage: str, who: Run, params: str) -> dict[str, Any]:
        job = place.job(stage, model="models/one", window=2, params=json.loads(params))
        client = Recorder(f"unix://{place.guard}", version="auto")
        image = find_image(client, job.row.image)
        engine = ContainerEngine(lambda: client, place.folder(), image, who, print)
        staging = prepare(place.folder(), place.data / job.target, who.key)
        with pytest.raises(KeyboardInterrupt):
            engine(job, staging)
        return client.body

    def made(
        stage: str = "look", params: Mapping[str, Any] | None = None, **run: Any
    ) -> dict[str, Any]:
        who = Run(**{"dag": "d", "run": "r", "task": stage, **run})
        return copy.deepcopy(recorded(stage, who, json.dumps(params or {})))

    return made


@pytest.fixture(scope="session")
def metadata(place: Place) -> Iterator[str]:
    """A service at the address where clouds have theirs, in the engine's namespace."""
    engine = (place.root / "engine.pid").read_text()
    inside = ["nsenter", "--target", engine, "--net"]
    subprocess.run([*inside, "ip", "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
    serve = ["python3", "-m", "http.server", "--bind", METADATA, "80"]
    server = subprocess.Popen([*inside, *serve], stderr=subprocess.DEVNULL)
    try:
        probe = f"import socket; socket.create_connection(('{METADATA}', 80), 1)"
        wait_for(
            lambda: (
                not subprocess.run(
                    [*inside, "python3", "-c", probe], check=False, stderr=subprocess.DEVNULL
                ).returncode
            )
        )
        yield METADATA
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(autouse=True)
def installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a task of the guarded installation."""
    monkeypatch.setenv("MICROSTAGE_INSTALL", INSTALL)


@pytest.fixture(autouse=True)
def nothing_of_a_stage_left(bare: Place) -> Iterator[None]:
    """Whatever a test does, no container of the guard's is there after it."""
    yield
    left = bare.engine.containers(all=True, filters={"label": "org.microstage.guard"})
    for each in left:
        bare.engine.remove_container(each["Id"], force=True)

    assert [] == [each["Labels"]["microstage.stage"] for each in left]
