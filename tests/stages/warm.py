"""Runs stages in containers that stay, so that a test does not wait for Python and its packages.

A run is what it is in a container of its own, with the same image, user and walls, but for its
roots, which the environment names, and its limits, which are those of all runs. What a container
adds is for contract/ and the other users of harness.Engine to see.
"""

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock

from harness import LIMITS, Engine, Input, Result, fail, write_files

SERVER = Path(__file__).with_name("warm_server.py")
SECONDS = 60  # until a container answers, on a busy machine

# The images that are run so, and what takes them longest to import.
PACKAGES = {
    "generate": ["numpy"],
    "monitor": ["numpy", "matplotlib.figure", "matplotlib.backends.backend_svg", "jinja2"],
    "predict": ["numpy", "treelite", "sklearn.metrics"],
    "preprocess": ["numpy", "pandas"],
    "registry": ["mlflow.tracking"],
    "train": ["lightgbm"],
    "train_sklearn": ["sklearn.ensemble"],
    "train_xgboost": ["xgboost"],
}

# What stages set before they import it.
BEFORE = {
    "OMP_WAIT_POLICY": "passive",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


class WarmEngine:
    """An Engine's images, each in one container that starts when it is first asked for."""

    def __init__(
        self,
        engine: Engine,
        scratch: Path,
        stack: ExitStack,
        *,
        network: str = "none",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`scratch`, which they see as /out, is for the files of all runs; `stack` removes both."""
        self._engine = engine
        self._scratch = scratch
        self._stack = stack
        self._network = network
        self._environment = environment or {}
        scratch.chmod(0o777)
        stack.callback(shutil.rmtree, scratch)
        shutil.copy(SERVER, scratch)
        self._sockets: dict[str, Path] = {}
        self._lock = Lock()

    def run(
        self, image: str, command: Sequence[str], inputs: Mapping[str, Input] | None = None
    ) -> Result:
        """Run to the end, and show how it ended where the test fails."""
        result = self.execute(image, command, inputs)
        print(result.log)
        return result

    def execute(
        self, image: str, command: Sequence[str], inputs: Mapping[str, Input] | None = None
    ) -> Result:
        """Run to the end. Several threads may call it."""
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._scratch))
        folder.chmod(0o777)
        for name, files in (inputs or {}).items():
            provide(folder / "in" / name, files)
        out = folder / "out"
        out.mkdir()
        out.chmod(0o777)
        request = {
            "command": list(command),
            **{name: f"/out/{folder.name}/{name}" for name in ("in", "out", "stdout", "stderr")},
        }
        started = time.monotonic()
        code = self._answer(image, json.dumps(request))
        seconds = time.monotonic() - started
        stdout, stderr = (
            (folder / name).read_bytes().decode("utf-8", "replace") for name in ("stdout", "stderr")
        )
        log = f"{image} {' '.join(command)}: exit code {code}\n{stdout}{stderr}"
        return Result(code, stdout, stderr, out, seconds=seconds, log=log)

    def _answer(self, image: str, request: str) -> int:
        with self._lock:
            address = self._sockets.get(image) or self._start(image)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMITS.timeout)
            connection.connect(str(address))
            connection.sendall(request.encode() + b"\n")
            answer = connection.recv(100)
        if not answer:
            fail(f"the container of {image} broke off while it ran {request}")
        return int(answer)

    def _start(self, image: str) -> Path:
        address = self._scratch / f"{image}.socket"
        command = [f"/out/{SERVER.name}", f"/out/{address.name}", *PACKAGES[image]]
        environment = {"OMP_NUM_THREADS": str(int(LIMITS.cpus)), **BEFORE, **self._environment}
        container = self._stack.enter_context(
            self._engine.start(
                image,
                command,
                out=self._scratch,
                entrypoint=["python3"],
                network_mode=self._network,
                environment=environment,
            )
        )
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(address))
                self._sockets[image] = address
                return address
            time.sleep(0.05)
        said = container.logs(tail=20).decode()
        return fail(f"the container of {image} does not answer: {said}")


def provide(folder: Path, files: Input) -> None:
    """Put inputs into a folder, by links where that can be done."""
    if isinstance(files, Path):
        shutil.copytree(files, folder, copy_function=link, dirs_exist_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder, files)


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
