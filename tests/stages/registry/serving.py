"""The image serve as a test sees it: a container in front of the registry's MLflow."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import Mount
from registry.server import ENVIRONMENT, Mlflow

from microstage.table import Limits
from microstage.walls import hardening

IMAGE = "microstage/serve:1.0.0"
SECONDS = 60  # to load a version, on a busy machine
FOLDER = "/var/lib/serve"
# As much as docker-compose.yml gives it.
LIMITS = Limits(cpus=2, memory=2**30, pids=128, timeout=120)


class Serving:
    """One server, which may be started again with what it has kept."""

    def __init__(self, mlflow: Mlflow) -> None:
        self.mlflow = mlflow
        self.volume = f"microstage-serve-{uuid.uuid4().hex[:8]}"
        self._started: list[Container] = []

    def start(self, *options: str, **changes: str) -> None:
        """Start it anew, with these variables changed."""
        self._stop()
        walls: dict[str, Any] = hardening(LIMITS)
        walls["user"] = "65532:65532"
        walls["environment"] = {**ENVIRONMENT, "SERVE_MODEL": self.mlflow.name, **changes}
        walls["network_mode"] = self.mlflow.network
        mounts = [Mount(FOLDER, self.volume)]
        command = ["--every=0.3", *options]
        containers = self.mlflow.engine.client.containers
        self.container = containers.create(IMAGE, command, mounts=mounts, **walls)
        self._started.append(self.container)
        self.container.start()
        deadline = time.monotonic() + SECONDS
        while True:
            self.container.reload()
            network = self.container.attrs["NetworkSettings"]["Networks"][self.mlflow.network]
            self.url = f"http://{network['IPAddress']}:8080"
            with suppress(requests.RequestException):
                self.told()
                return
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def _stop(self) -> None:
        while self._started:
            self._started.pop().remove(force=True)

    def remove(self) -> None:
        """Remove it, and what it has kept."""
        self._stop()
        with suppress(NotFound):  # it was never started
            self.mlflow.engine.client.volumes.get(self.volume).remove()

    def log(self) -> str:
        """What it has written."""
        return str(self.container.logs().decode())

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=30)

    def told(self) -> dict[str, Any]:
        """What it says of itself."""
        found: dict[str, Any] = self.get("/version").json()
        return found

    def post(self, body: bytes | str, media_type: str) -> requests.Response:
        data = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": media_type} if media_type else {}
        return requests.post(f"{self.url}/invocations", data, headers=headers, timeout=30)

    def ask(self, **content: object) -> requests.Response:
        return self.post(json.dumps(content), "application/json")

    def until(self, **expected: object) -> dict[str, Any]:
        """Wait until it says this of itself; a text may be a part of what it says."""
        deadline = time.monotonic() + SECONDS
        while True:
            told = self.told()
            if all(says(told.get(key), value) for key, value in expected.items()):
                return told
            assert time.monotonic() < deadline, (told, self.log())
            time.sleep(0.1)


def says(found: object, expected: object) -> bool:
    return found == expected or (
        isinstance(found, str) and isinstance(expected, str) and expected in found
    )


@contextmanager
def serving(mlflow: Mlflow) -> Iterator[Serving]:
    """A server of this test's model, not started yet."""
    server = Serving(mlflow)
    try:
        yield server
    finally:
        server.remove()
