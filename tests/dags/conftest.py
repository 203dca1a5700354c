"""A real Airflow on SQLite and a real Docker Engine; only the stage is a small one of shell."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from dags_harness import DAY, DAYS_IMAGE, IMAGE, INSTALL, wait_for
from guard.calls import Calls
from guard.compose import OURS
from guard.engine import Engine
from guard.provided import provide_volume
from guard.serve import Server
from guard.settings import Settings
from guard.tables import Tables
from shipped import write_pipelines

from microstage.data_folder import DataFolder
from microstage.engines.container import find_image
from microstage.images import name_of_pin

HERE = Path(__file__).resolve().parent
DAGS = HERE.parents[1] / "dags"
HOME = tempfile.mkdtemp(prefix="airflow-")
BUNDLES = [
    {
        "name": path.name,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(path)},
    }
    for path in (DAGS, HERE / "tiny")
]

# Airflow reads its environment when it is first imported, which the test modules do.
os.environ.update(
    AIRFLOW_HOME=HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(BUNDLES),
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=f"{HOME}/logs",
    MICROSTAGE_INSTALL=INSTALL,
    PYTHONPATH=os.pathsep.join([str(DAGS), os.environ.get("PYTHONPATH", "")]),
)
RAW = dict(os.environ)  # by which the engine itself is found
# The shipped pipelines, whatever a user has swapped in them.
SHIPPED = write_pipelines(Path(HOME, "dags"))
os.environ["MICROSTAGE_STAGES"] = str(SHIPPED)
for name in ("MICROSTAGE_HOST_DATA", "AIRFLOW_VAR_MODEL_PATH"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def airflow_database() -> Iterator[None]:
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True
    )
    yield
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(environment=RAW)
    yield client
    client.close()


@pytest.fixture(scope="session")
def test_image(engine: docker.DockerClient) -> Iterator[str]:
    # Another one than that of tests that run beside these, which take away its names.
    own = {"org.microstage.test": INSTALL}
    image, _ = engine.images.build(path=str(HERE / "stage"), tag=IMAGE, rm=True, labels=own)
    image_id = find_image(engine.api, IMAGE).id
    image.tag(*name_of_pin(image_id).split(":"))  # as scripts/swap_stage does
    yield image_id
    for name in (name_of_pin(image_id), IMAGE):
        engine.images.remove(name, force=True)


@pytest.fixture(scope="session")
def days_image(engine: docker.DockerClient, test_image: str) -> Iterator[str]:
    """The same, with the label that says that it does several days in one run."""
    labels = {"org.microstage.days": "1"}
    engine.images.build(path=str(HERE / "stage"), tag=DAYS_IMAGE, rm=True, labels=labels)
    yield DAYS_IMAGE
    engine.images.remove(DAYS_IMAGE, force=True)


@pytest.fixture(scope="session")
def tiny(airflow_database: None) -> dict[str, Any]:
    """The DAGs of the test stage."""
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - after the environment

    bag = DagBag(HERE / "tiny")
    assert {} == bag.import_errors
    return dict(bag.dags)


@pytest.fixture
def containers(engine: docker.DockerClient) -> Callable[[], list[Any]]:
    """The containers of this test session's installation."""
    # The engine's list, and a look at each: one of them may be gone in between.
    return lambda: engine.containers.list(
        all=True, filters={"label": f"microstage.install={INSTALL}"}, ignore_removed=True
    )


@pytest.fixture(autouse=True)
def nothing_left_behind(containers: Callable[[], list[Any]]) -> Iterator[None]:
    """Whatever a test does, no container may be there after it."""
    yield
    left = containers()
    for container in left:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True)

    assert [] == [container.labels["microstage.stage"] for container in left]


@pytest.fixture
def data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: docker.DockerClient
) -> Iterator[Path]:
    """An empty data folder, and a guard between it and the engine, as tasks have one."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("MICROSTAGE_DATA", str(folder))
    settings = Settings(
        str(folder), "{}:{}".format(*DataFolder.at(folder).owner), most=64, install=INSTALL
    )
    asyncio.run(provide_volume(Engine(settings.engine), settings))
    try:
        with guarding(settings) as socket:
            monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
            yield folder
    finally:
        left = engine.containers.list(
            all=True, filters={"label": f"{OURS}={INSTALL}"}, ignore_removed=True
        )
        for container in left:
            container.remove(force=True)
        engine.volumes.get(settings.volume).remove()


@contextlib.contextmanager
def guarding(settings: Settings) -> Iterator[Path]:
    """The guard of the checkout, in a thread: it reads the table that the test has written."""
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        socket = Path(folder, "docker.sock")
        ours = Engine(settings.engine)
        server = Server(ours, Calls(settings, ours, Tables(print)))
        loop = asyncio.new_event_loop()
        serving = loop.create_task(server.serve(str(socket)))
        thread = threading.Thread(target=loop.run_until_complete, args=[ended(serving)])
        thread.start()
        try:
            wait_for(socket.exists)
            yield socket
        finally:
            loop.call_soon_threadsafe(serving.cancel)
            thread.join()
            loop.close()


async def ended(task: asyncio.Task[None]) -> None:
    """Wait until a task has been cancelled, and those of its connections."""
    with contextlib.suppress(asyncio.CancelledError):
        await task
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write a table of stages: table(name={"verb": ..., ...}) with defaults for the rest."""
    path = tmp_path / "stages.toml"
    monkeypatch.setenv("MICROSTAGE_STAGES", str(path))

    def write(**rows: dict[str, Any]) -> None:
        text = ["[networks.tracking]", 'env = ["SERVICE_URL"]']
        for name, row in rows.items():
            whole = {
                "image": IMAGE,
                "verb": name,
                "reads": {},
                "writes": {"to": f"{name}/{{ds}}", "files": ["result.txt"]},
                "params": {},
                **row,
                "limits": {"cpus": 1, "memory": "64m", "pids": 16, "timeout": "30s"}
                | row.get("limits", {}),
            }
            text.append(f"[stages.{name}]")
            text += [f"{key} = {_toml(value)}" for key, value in whole.items()]
        path.write_text("\n".join(text))

    return write


@pytest.fixture
def pipeline_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for files of pipelines, beside the shipped table."""
    folder = tmp_path / "dags/pipelines"
    folder.mkdir(parents=True)
    (folder.parent / "stages.toml").write_bytes(SHIPPED.read_bytes())
    monkeypatch.setenv("MICROSTAGE_STAGES", str(folder.parent / "stages.toml"))
    return folder


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {_toml(item)}' for key, item in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def run_stage(
    data: Path, table: Callable[..., None], test_image: str
) -> Callable[..., dict[str, Any]]:
    """Run the operator on one row: run_stage("ok", reads=..., limits=...); returns its XCom."""
    from microstage.operator import StageOperator  # noqa: PLC0415 - after the environment

    def run(verb: str, attempt: int = 1, operator: Any = None, **row: Any) -> dict[str, Any]:
        table(stage={"verb": verb, **row})
        operator = operator or StageOperator(task_id="stage", ds=DAY, force=False)
        ti = SimpleNamespace(
            dag_id="test", run_id="manual", task_id="stage", map_index=-1, try_number=attempt
        )
        summary: dict[str, Any] = operator.execute({"ti": ti})
        return summary

    return run
