"""A pipeline whose data takes as long to make as a test says; what is seen of its containers."""

import datetime as dt
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack import meanwhile
from story import Story

HERE = Path(__file__).parent
KILL_TASK = """
import os, signal
for pid in filter(str.isdecimal, os.listdir("/proc")):
    with open(f"/proc/{pid}/cmdline") as file:
        name = file.read()
    if name.startswith("airflow worker -- ") and "LocalExecutor" not in name:
        os.kill(int(pid), signal.SIGKILL)
        print("killed")
"""


class Slow(Story):
    """The pipeline, and what is seen of its containers."""

    image = ""

    @property
    def file(self) -> Path:
        return self.stack.root / "dags/pipelines/slow.toml"

    def takes(self, seconds: int, long: dt.date | None = None, mib: int = 0, busy: int = 0) -> None:
        """Let each day take so long and so much, from the next task on; one a minute more."""
        params = f'seconds = {seconds}, long = "{long}", mib = {mib}, busy = {busy}'
        row = f'image = "{self.image}"\nparams = {{ {params} }}'
        self.file.write_text(f"[pipeline]\n\n[stages.generate]\n{row}\n")

    def kill_task(self) -> None:
        """End the process that runs a task, as the kernel does when memory is short."""
        command = ["docker", "compose", "exec", "-T", "scheduler", "python3", "-c", KILL_TASK]
        assert "killed" in self.stack.run(*command).stdout

    def build(self, image: str, *options: str) -> None:
        subprocess.run(["docker", "build", "-qt", image, *options, HERE / "slow"], check=True)

    def containers(self) -> set[str]:
        return set(self.stack.containers("label=microstage.pipeline=slow"))

    def running(self) -> set[str]:
        return set(self.stack.containers("label=microstage.pipeline=slow", "status=running"))

    def host(self, day: dt.date) -> str:
        """Return the container that the data of a day is from."""
        return str(self.json(f"raw/{day}/summary.json")["host"])

    def left(self) -> list[str]:
        """Return what is in the staging directory."""
        return sorted(path.name for path in (self.data / ".staging").glob("*"))

    @contextmanager
    def watched(self) -> Iterator[set[str]]:
        """Collect the containers that are there meanwhile."""
        seen: set[str] = set()
        with meanwhile(lambda: seen.update(self.containers()), 0.5):
            yield seen
