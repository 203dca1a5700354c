"""What it costs to answer with a model: the image serve, and MLflow's own server of models."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.environment import CACHE, Command, find_uv
from support.load import Load, load
from support.services import compose, docker
from support.settings import setting
from support.stages import run_stage

from microstage.contract import Run
from microstage.errors import StageError
from microstage.jobs import resolve
from microstage.pipelines import load_pipeline

PROJECT, DAY, CLIENTS = "measure-serve", "2013-01-06", 8
# What makes a version, by the kind of work.
WORK = (
    *("generate-data", "fit-columns", "split-rows", "train-model"),
    *("validate-model", "track-model"),
)
SIZES = (1, 100)  # rows of a request
SECONDS = 60  # to load a model, on a busy machine


def measure(seconds: float) -> None:
    """Run both, and print a table. Raises StageError."""
    ports = dict.fromkeys(("MLFLOW_PORT", "SERVE_PORT", "OWN_PORT"), "")
    for name in ports:
        ports[name] = str(free_port())
    pipeline = load_pipeline()
    os.environ |= {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "MICROSTAGE_INSTALL": PROJECT,
        "SERVE_MODEL": pipeline.model,
        **ports,
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_TRACKING_USERNAME": "stages",
        "MLFLOW_TRACKING_PASSWORD": setting("MLFLOW_STAGES_PASSWORD"),
    }
    tracking = f"http://localhost:{ports['MLFLOW_PORT']}"
    ours, theirs = (f"http://127.0.0.1:{ports[name]}" for name in ("SERVE_PORT", "OWN_PORT"))
    try:
        compose("up", "--wait", "mlflow")
        with tempfile.TemporaryDirectory(prefix="measure-serve-") as scratch:
            folder = Path(scratch)
            bodies = train(folder / "data", pipeline)
            source = promote(tracking, pipeline.model)
            compose("--profile", "serve", "up", "--wait", "serve")
            wait(f"{ours}/health")
            environment = install(folder / "environment", tracking, source)
            uri = f"models:/{pipeline.model}@production"
            with stock(environment, uri, tracking, theirs, folder / "log") as process:
                print_table(seconds, bodies, environment, (ours, theirs), process)
    finally:
        compose("--profile", "serve", "down", "--volumes", "--remove-orphans")


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def train(data: Path, pipeline: Any) -> dict[int, bytes]:
    """Make a version; return bodies of requests by how many rows of its day they ask for."""
    for row in pipeline.rows.values():
        if row.work in WORK:
            job = resolve(pipeline, row.stage, DAY, window="1")
            run_stage(data, job, Run("measure_serve", PROJECT, row.stage), venv=False)
    raw = next(data.glob(f"**/raw/{DAY}/data.csv")).read_text("utf-8").splitlines()
    header, *rows = (line.split(",") for line in raw[: max(SIZES) + 1])
    split = [[value(field) for field in row] for row in rows]
    return {
        size: json.dumps({"dataframe_split": {"columns": header, "data": split[:size]}}).encode()
        for size in SIZES
    }


def value(field: str) -> float | str | None:
    """Return a field of CSV as JSON has it."""
    with suppress(ValueError):
        return float(field)
    return field or None


def promote(tracking: str, name: str) -> str:
    """Let version 1 be in production; return where its files are."""
    where = "api/2.0/mlflow/registered-models/alias"
    asked = {"name": name, "alias": "production", "version": "1"}
    ask(f"{tracking}/{where}", json.dumps(asked).encode())
    found = json.loads(ask(f"{tracking}/{where}?name={name}&alias=production"))
    return str(found["model_version"]["source"]).removeprefix("mlflow-artifacts:/")


def ask(url: str, body: bytes | None = None) -> bytes:
    """Return what a server says, to the user of the stages."""
    user = f"stages:{os.environ['MLFLOW_TRACKING_PASSWORD']}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
    headers |= {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - of this machine
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
        said: bytes = answer.read()
        return said


def wait(url: str) -> None:
    """Wait until a server is there. Raises StageError (1)."""
    deadline, said = time.monotonic() + SECONDS, "nothing"
    while time.monotonic() < deadline:
        try:
            ask(url)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
        except OSError as error:
            said = f"{error}"
        else:
            return
        time.sleep(0.2)
    raise StageError(1, f"{url} has not been well in {SECONDS} s, but said: {said}")


def install(folder: Path, tracking: str, source: str) -> Path:
    """Make an environment of what a version's requirements.txt names, MLflow among it."""
    base = f"{tracking}/api/2.0/mlflow-artifacts/artifacts/{source}"
    lines = folder.with_suffix(".txt")
    lines.write_bytes(ask(f"{base}/requirements.txt"))
    uv = find_uv(CACHE)
    commands: list[Command] = [
        [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder],
        [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", "-r", lines],
    ]
    for command in commands:
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
            raise StageError(1, "The environment with MLflow could not be made, see above")
    return folder


@contextmanager
def stock(environment: Path, uri: str, tracking: str, url: str, log: Path) -> Iterator[int]:
    """Let MLflow serve the version; give the id of its first process."""
    port = url.rpartition(":")[2]
    command: Command = [environment / "bin" / "mlflow", "models", "serve", "-m", uri, "-p", port]
    command += ["--env-manager", "local"]
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    own = {**os.environ, "MLFLOW_TRACKING_URI": tracking, "PATH": path}
    with log.open("wb") as file:
        server = subprocess.Popen(
            command, cwd=REPOSITORY, env=own, stdout=file, stderr=file, start_new_session=True
        )
    try:
        wait(f"{url}/ping")
        yield server.pid
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def print_table(
    seconds: float, bodies: dict[int, bytes], environment: Path, urls: tuple[str, str], pid: int
) -> None:
    """Measure both in turns, and print what came out."""
    first = [Load(0, 0, 0)] * len(urls)
    many, one = dict.fromkeys(SIZES, first), dict.fromkeys(SIZES, first)
    for size, body in bodies.items():
        places = [f"{url}/invocations" for url in urls]
        same = [json.loads(ask(place, body))["predictions"] for place in places]
        if same[0] != same[1]:
            raise StageError(1, f"The answers to {size} rows are not the same")
        many[size] = [load(place, body, CLIENTS, seconds) for place in places]
        one[size] = [load(place, body, 1, seconds) for place in places]
    container = compose("ps", "--quiet", "serve").strip()
    inspected = json.loads(docker("inspect", "--size", container))[0]
    image = json.loads(docker("image", "inspect", inspected["Image"]))[0]["Size"]
    table: list[tuple[str, tuple[float, float], int]] = [
        ("MB", (image / 1e6, size_of(environment) / 1e6), 0),
        ("memory, MB", (held(inspected["State"]["Pid"]) / 1e6, held(pid) / 1e6), 0),
    ]
    for size in SIZES:
        rows = "1 row" if size == 1 else f"{size} rows"
        ours, theirs = many[size]
        table.append((f"{rows}: requests/s", (ours.a_second, theirs.a_second), 0))
        ours, theirs = one[size]
        table.append((f"{rows}: p50, ms", (ours.p50, theirs.p50), 1))
        table.append((f"{rows}: p99, ms", (ours.p99, theirs.p99), 1))
    print("| | serve | mlflow models serve | ratio |")
    print("|---|---:|---:|---:|")
    for name, (ours_is, theirs_is), digits in table:
        print(f"| {name} | {ours_is:.{digits}f} | {theirs_is:.{digits}f} ", end="")
        print(f"| {ours_is / theirs_is:.2f} |")


def size_of(folder: Path) -> int:
    """Return the bytes of the files of an environment."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def held(pid: int) -> int:
    """Return the bytes of memory of a process and of those that it has started, of their own."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    return (int(found[1]) * 1024 if found else 0) + sum(held(int(child)) for child in children)
