"""An engine of the tests' own with a guard in front of it, and how both are asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import pytest
from kinds import KINDS, kind, machine, programs

from microstage.contract import Run, run_job
from microstage.data_folder import DataFolder
from microstage.engines import container
from microstage.images import Image, name_of_pin
from microstage.jobs import Job, resolve
from microstage.pipelines import load_pipeline

HERE = Path(__file__).resolve().parent
API = "v1.45"
INSTALL, UID, GUARD_UID = "guarded", 1234, 65531
IMAGE = "microstage/guarded:1"
BASE = "microstage/base:1.0.0"
GUARD_IMAGE = "microstage/guard:1.0.0"
SWAPPED = "microstage/swapped:1"
SECRET = "Only-the-guard-has-this-one"  # noqa: S105 - it is drawn by nobody
METADATA = "169.254.169.254"  # where clouds tell their machines what is theirs
DAY = "2013-01-06"
LIMITS = '{ cpus = 1, memory = "64m", pids = 16, timeout = "60s" }'

TABLE = f"""
[networks.tracking]
env = ["SERVICE_USER", "SERVICE_TOKEN"]

[stages.look]
image = "{IMAGE}"
verb = "look"
reads = {{ raw = "raw/{{day}}", model = "{{model}}", same = "same/{{ds}}" }}
optional = ["same"]
writes = {{ to = "looked/{{ds}}", files = ["result.txt"] }}
params = {{}}
limits = {LIMITS}

[stages.day]
like = "look"
reads = {{ raw = "raw/{{ds}}" }}
writes = {{ to = "days/{{ds}}" }}

[stages.reach]
like = "look"
verb = "reach"
reads = {{}}
writes = {{ to = "reached/{{ds}}" }}
network = true

[stages.variables]
like = "reach"
verb = "variables"
writes = {{ to = "variables/{{ds}}" }}
network = "tracking"

[stages.wait]
like = "reach"
verb = "wait"
writes = {{ to = "waited/{{ds}}" }}
network = false

[stages.long]
like = "wait"
limits = {{ timeout = "1h" }}
writes = {{ to = "long/{{ds}}" }}

[stages.absent]
like = "wait"
image = "microstage/absent:1"
writes = {{ to = "absent/{{ds}}" }}

[stages.unlabelled]
like = "wait"
image = "microstage/unlabelled:1"
writes = {{ to = "unlabelled/{{ds}}" }}
"""


@dataclass
class Place:
    """An engine of its own, its guard, and their folders."""

    root: Path
    process: subprocess.Popen[bytes] | None = None
    machine: subprocess.Popen[bytes] | None = None

    @property
    def raw(self) -> str:
        return f"unix://{self.root}/engine.sock"

    @property
    def guard(self) -> Path:
        return self.root / "guard" / "docker.sock"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def dags(self) -> Path:
        return self.root / "dags"

    @cached_property
    def engine(self) -> docker.APIClient:
        """A client that nobody guards."""
        return docker.APIClient(self.raw, version="auto")

    def make_namespaces(self) -> None:
        """Make what the engine is in, which outlives it, as a machine does."""
        command = ["unshare", "--net", "--mount", "--propagation", "private", "bash", "-c"]
        command += [machine()]
        self.machine = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.machine.stdout
        self.machine.stdout.readline()

    def start_engine(self, *options: str) -> None:
        """Start the engine, and wait until it answers."""
        if not self.machine:
            self.make_namespaces()
        assert self.machine
        command = ["nsenter", f"--target={self.machine.pid}", "--net", "--mount"]
        command += [*KINDS[kind()](self.root), *options]
        with (self.root / "engine.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.process = process
        wait_for(lambda: process.poll() is not None or engine_answers(self))
        if process.poll() is not None:
            pytest.fail(f"no engine: {(self.root / 'engine.log').read_text()[-2000:]}")
        (self.root / "engine.sock").chmod(0o660)  # for its group, as packages set it up

    def stop_engine(self) -> None:
        """Stop the engine, and with it every container."""
        if self.process:
            self.process.terminate()
            self.process.wait(60)

    def client(self) -> docker.APIClient:
        """A client as tasks have it."""
        return docker.APIClient(f"unix://{self.guard}", version="auto")

    def containers(self) -> dict[str, str]:
        """Every container of the engine, and its state."""
        return {each["Id"]: each["State"] for each in self.engine.containers(all=True)}

    def start_guard(self, **settings: str) -> str:
        """Start a guard as docker-compose.yml does; return its id."""
        given = {
            "MICROSTAGE_UID": str(UID),
            "MICROSTAGE_GID": str(UID),
            "MICROSTAGE_HOST_DATA": str(self.data),
            "MICROSTAGE_INSTALL": INSTALL,
            "MICROSTAGE_STAGES": "/dags/stages.toml",
            "SERVICE_USER": "stages",
            "SERVICE_TOKEN": SECRET,
            **settings,
        }
        client = self.engine
        binds = [
            f"{self.root}/engine.sock:/var/run/docker.sock",
            f"{self.guard.parent}:/run/guard",
            f"{self.dags}:/dags:ro",
        ]
        host = client.create_host_config(
            binds=binds,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            init=True,
        )
        created = client.create_container(
            GUARD_IMAGE, environment=given, host_config=host, user=f"{GUARD_UID}:0"
        )
        client.start(created["Id"])
        return str(created["Id"])

    def wait_for_guard(self) -> None:
        """Wait until it answers."""
        wait_for(self.answers)

    def refusal(self, guard: str) -> str:
        """Wait until a guard answers; return what it said if it has ended instead."""
        wait_for(lambda: self.answers() or not self.runs(guard))
        return "" if self.runs(guard) else self.engine.logs(guard).decode()

    def runs(self, container: str) -> bool:
        return bool(self.engine.inspect_container(container)["State"]["Running"])

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except Exception:
            return False

    def job(self, stage: str, ds: str = DAY, **options: Any) -> Job:
        """A row of the table, for a day."""
        return resolve(load_pipeline("default", self.dags / "stages.toml"), stage, ds, **options)

    def folder(self) -> DataFolder:
        return DataFolder.at(self.data)

    def run(
        self,
        job: Job,
        *,
        connect: Callable[[], Any] | None = None,
        image: Image | None = None,
        **run: Any,
    ) -> Any:
        """Run a job as an operator does, through the guard; image: what it takes the row's for."""
        connect = connect or self.client
        who = Run(**{"dag": "d", "run": "r", "task": job.row.stage, **run})
        image = image or container.find_image(connect(), job.row.image)
        with container.ContainerEngine(connect, self.folder(), image, who, print) as engine:
            return run_job(
                self.folder(),
                job,
                image_id=image.id,
                run=who,
                engine=engine,
                log=print,
                force=True,
                resume=engine.resume,
            )


def build(place: Place, version: str) -> Image:
    """Make an image of the name SWAPPED, another one for each version."""
    made = place.engine.build(
        path=str(HERE / "stage"), tag=SWAPPED, rm=True, labels={"version": version}, decode=True
    )
    assert [] == [line["error"] for line in made if "error" in line]
    return container.find_image(place.engine, SWAPPED)


def keep(place: Place, image: Image, pin: str) -> None:
    """Give an image the name that keeps what is pinned so, as scripts/swap_stage does."""
    name, _, tag = name_of_pin(pin).partition(":")
    place.engine.tag(image.store_id, name, tag)


def run_of(place: Place, filled: str, **run: Any) -> tuple[Any, str]:
    """Run a row that is filled by this image; return the summary, and what is recorded of it."""
    table = place.dags / "stages.toml"
    before = table.read_text()
    try:
        table.write_text(before.replace("microstage/absent:1", filled))
        job = place.job("absent")
        summary = place.run(job, **run)
        manifest = json.loads((place.data / job.target / "manifest.json").read_text())
    finally:
        table.write_text(before)
    return summary, manifest["image_id"]


def run_pinned(place: Place) -> Any:
    """Pin a row as swap_stage does, build the name anew, run the row; return the summary."""
    first = build(place, "1")
    keep(place, first, first.id)
    place.engine.remove_image(SWAPPED)  # as BuildKit does in containerd
    assert first.id != build(place, "2").id
    summary, made_by = run_of(place, f"{SWAPPED}@{first.id}")
    assert first.id == made_by
    return summary


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until the condition holds; return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def why_not() -> str:
    """Return why no engine can be had here; "" if one can."""
    if os.geteuid() != 0:
        return "an engine of its own takes root"
    if missing := [name for name in programs() if not shutil.which(name)]:
        return f"an engine of its own takes {', '.join(missing)}"
    return ""


@contextmanager
def own_engine(root: Path) -> Iterator[Place]:
    """An engine in network and mount namespaces of its own, so that it meets no other one."""
    place = Place(root)
    try:
        place.start_engine()
        yield place
        for each in place.engine.containers(all=True):
            place.engine.remove_container(each["Id"], force=True)
    finally:
        place.stop_engine()
        # What keeps the namespaces of Podman without root, which is nobody's child.
        for path in root.rglob("pause.pid"):
            os.kill(int(path.read_text()), signal.SIGKILL)
        if place.machine:
            place.machine.kill()
            place.machine.wait()


def engine_answers(place: Place) -> bool:
    try:
        return bool(docker.APIClient(place.raw, version="1.45").ping())
    except Exception:
        return False


def send(place: Place, text: bytes, *, seconds: float = 15) -> tuple[int, bytes]:
    """Send bytes to the guard as they are; return the answer's status, 0 for none, and the rest."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(seconds)
        client.connect(str(place.guard))
        answer = b""
        try:
            client.sendall(text)
            while chunk := client.recv(65536):
                answer += chunk
        except OSError:
            pass
    status, _, rest = answer.partition(b"\r\n")
    return (int(status.split()[1]) if status else 0), rest


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the bytes of a request, as docker-py would send it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def create(body: Mapping[str, Any] | bytes) -> bytes:
    """Return the bytes of a call that makes a container."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST", f"/{API}/containers/create", text, {"Content-Type": "application/json"})
