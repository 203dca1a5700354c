"""scripts/run_stage --watch and --debug: a stage by its sources, at each save; nothing stays."""

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dags_harness import DAY, wait_for
from debug_client import DebugClient

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_STAGE = str(REPOSITORY / "scripts" / "run_stage")
ROWS = ["--param", "rows=50"]
Containers = Callable[[], list[Any]]


class Loop:
    """scripts/run_stage in the background, and all that it has said."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [RUN_STAGE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.said.extend(iter(self.process.stdout.readline, ""))

    def text(self) -> str:
        return "".join(self.said)

    def wait_for(self, words: str, times: int = 1) -> None:
        wait_for(lambda: self.text().count(words) >= times or self.process.poll() is not None, 60)
        assert self.text().count(words) >= times, self.text()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


@contextmanager
def running(*arguments: str) -> Iterator[Loop]:
    loop = Loop(*arguments)
    try:
        yield loop
    finally:
        loop.close()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run puts what it needs for a moment."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def folder(data: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of `generate`, which has published a day of 50 rows."""
    monkeypatch.delenv("DOCKER_HOST")  # the guard lets no sources in
    command = [RUN_STAGE, "generate", "--ds", DAY, *ROWS]
    subprocess.run(command, check=True, capture_output=True)
    return shutil.copytree(REPOSITORY / "containers/generate", tmp_path / "generate")


def replace(path: Path, old: str, new: str) -> None:
    """Save a file as many editors do: beside it, and then in its place."""
    text = path.read_text()
    assert old in text
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text.replace(old, new))
    aside.rename(path)


def everything(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_each_save_runs_it_and_shows_what_differs(
    folder: Path, data: Path, scratch: Path, containers: Containers
) -> None:
    before = everything(data)
    program = folder / "generate.py"
    with running("generate", "--watch", "--folder", str(folder), *ROWS) as loop:
        loop.wait_for(f"nothing differs from raw/{DAY}")
        replace(program, '"region": 0.03', '"region": 0.5')
        loop.wait_for("region differs")
        (folder / "requirements.txt").touch()
        loop.wait_for("./build_images.sh generate, and the next save runs in the new one.")
        loop.wait_for("region differs", 2)
        replace(program, "ones = 0", "ones = nothing")
        loop.wait_for("exit code 1 after")
        replace(program, "ones = nothing", "ones = 0")
        loop.wait_for("region differs", 3)

        assert 0 == loop.interrupt()
    text = loop.text()

    assert f"beside raw/{DAY}:" in text
    assert "data.csv: 50 rows" in text
    assert " new gaps\n" in text
    assert ": region " in text
    assert " → gap\n" in text
    assert "saved: generate.py\n" in text
    assert "name 'nothing' is not defined" in text
    assert before == everything(data)
    assert ([], []) == (containers(), list(scratch.iterdir()))


def test_ended_in_the_middle_of_a_run_it_leaves_nothing(
    folder: Path, data: Path, scratch: Path, containers: Containers
) -> None:
    before = everything(data)
    replace(folder / "stage.py", "program = ", "__import__('time').sleep(60)\nprogram = ")
    with running("generate", "--watch", "--folder", str(folder), *ROWS) as loop:
        (container,) = wait_for(lambda: [c for c in containers() if c.status == "running"])
        walls = container.attrs["HostConfig"]

        assert 0 == loop.interrupt()
    assert "Traceback" not in loop.text()
    assert before == everything(data)
    assert ([], []) == (containers(), list(scratch.iterdir()))
    assert ("none", True, ["ALL"]) == tuple(
        walls[name] for name in ("NetworkMode", "ReadonlyRootfs", "CapDrop")
    )


def test_a_debugger_attaches_and_stops_where_it_is_told_to(
    folder: Path, scratch: Path, containers: Containers
) -> None:
    lines = (folder / "generate.py").read_text().splitlines()
    line = 1 + lines.index("    ones = 0")
    port = free_port()
    arguments = ["generate", "--debug", str(port), "--folder", str(folder), *ROWS]
    with running(*arguments) as loop:
        loop.wait_for(f"waits for a debugger at 127.0.0.1:{port}")
        (container,) = containers()
        with DebugClient(port, folder) as client:
            client.attach("generate.py", line)
            stopped = client.event("stopped")
            trace = client.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"]
            told = client.ask("evaluate", expression="rows", frameId=trace[0]["id"])
            client.ask("continue", threadId=stopped["threadId"])
            client.event("terminated")

        assert 0 == loop.process.wait(60), loop.text()
    assert "breakpoint" == stopped["reason"]
    assert (str(folder / "generate.py"), line) == (trace[0]["source"]["path"], trace[0]["line"])
    assert "50" == told["result"]
    assert {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]} == (
        container.attrs["HostConfig"]["PortBindings"]
    )
    assert f"nothing differs from raw/{DAY}" in loop.text()
    assert ([], []) == (containers(), list(scratch.iterdir()))


def test_ended_while_it_waits_for_a_debugger_it_leaves_nothing(
    folder: Path, scratch: Path, containers: Containers
) -> None:
    arguments = ["generate", "--debug", str(free_port()), "--folder", str(folder), *ROWS]
    with running(*arguments) as loop:
        loop.wait_for("waits for a debugger")

        assert 130 == loop.interrupt()
    assert "Traceback" not in loop.text()
    assert ([], []) == (containers(), list(scratch.iterdir()))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.usefixtures("test_image")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nope", "--watch"], 64, "no stage 'nope'"),
        (["ok", "--watch"], 66, "ok has published nothing whose inputs are still there"),
        (["reads", "--watch", "--ds", DAY], 66, f"raw/{DAY} does not exist"),
        (["service", "--watch"], 64, "service works on a service, which each save would change"),
        (["ok", "--watch", "--ds", DAY], 66, "has no folder containers/test-stage"),
        (["ok", "--watch", "--ds", DAY, "--folder", "tests/dags/stage"], 64, "starts no file"),
        (["lua", "--debug", "--ds", DAY], 64, "is not started by Python"),
        (["python", "--debug", "80", "--ds", DAY], 64, "a port from 1024"),
        (["python", "--watch", "--ds", DAY, "--engine", "venv"], 64, "not --engine venv"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    table: Callable[..., None],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("SERVICE_URL", "http://service")
    table(
        ok={},
        reads={"reads": {"raw": "raw/{ds}"}, "image": "microstage/generate:1.0.0"},
        service={"network": "tracking"},
        lua={"image": "microstage/split_lua:1.0.0"},
        python={"image": "microstage/generate:1.0.0"},
    )
    refused(arguments, code, sentence)


def test_a_port_that_is_taken_the_guard_and_no_engine_are_said(
    folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        refused(["generate", "--debug", port], 64, f"The port {port} is taken on this machine")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    refused(["generate", "--watch"], 75, "The Docker Engine at unix:///nowhere.sock does not")


@pytest.mark.usefixtures("data")
def test_through_the_guard_it_says_so() -> None:
    refused(["generate", "--watch", "--ds", DAY], 64, "The guard lets no sources into a container")


def refused(arguments: list[str], code: int, sentence: str) -> None:
    done = subprocess.run(
        [RUN_STAGE, *arguments],
        cwd=REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (code, True) == (done.returncode, sentence in done.stderr), done.stderr
    assert "Traceback" not in done.stderr
