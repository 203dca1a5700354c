"""What each way of knowing users costs the API server: bytes in the image, seconds, memory."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from statistics import median

from support import REPOSITORY
from support.airflow_api import Airflow

from microstage.errors import StageError

PROJECT = "measure-auth"
# Run in Airflow's image: the size of what nothing but these packages asks for.
SIZE = r"""
import re, sys
from importlib.metadata import distributions
from importlib.util import cache_from_source
from pathlib import Path

def name(text):
    return re.sub("[-_.]+", "-", re.match(r"[\w.-]+", text)[0]).lower()

found = {name(each.metadata["Name"]): each for each in distributions()}
asks = {
    one: {name(text) for text in each.requires or [] if "extra ==" not in text} & set(found)
    for one, each in found.items()
}
def closure(todo, without=frozenset()):
    seen = set()
    while todo := todo - seen - without:
        seen |= todo
        todo = set().union(*(asks[one] for one in todo))
    return seen

chosen = set(sys.argv[1:])
asked_for = set(found) - set().union(*asks.values()) - chosen
alone = closure(chosen) - closure(asked_for, chosen)
files = {Path(file.locate()) for one in alone for file in found[one].files or []}
files |= {Path(cache_from_source(file)) for file in files if file.suffix == ".py"}
print(sum(file.stat().st_size for file in files if file.is_file()))
"""
# Run in the container: what its processes have had of the CPUs.
CPU = """
import glob, os
stats = [open(path).read().rpartition(")")[2].split() for path in glob.glob("/proc/[0-9]*/stat")]
print(sum(int(ticks) for stat in stats for ticks in stat[11:13]) / os.sysconf("SC_CLK_TCK"))
"""
PACKAGES = {"fab": ["apache-airflow-providers-fab", "authlib"], "simple": []}


def compose(*arguments: str, auth: str = "fab") -> str:
    """Run a command of the measured project; return what it prints. Raises StageError (1)."""
    done = subprocess.run(
        ["docker", "compose", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, "AIRFLOW_AUTH": auth},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise StageError(1, f"docker compose {arguments[0]} failed: {said[-1]}")
    return done.stdout


def measure(runs: int) -> None:
    """Start the API server in both ways, in turns; print a table of medians."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        os.environ["AIRFLOW_PORT"] = str(listener.getsockname()[1])
    seconds, cpu, memory = ({auth: list[float]() for auth in PACKAGES} for _ in range(3))
    try:
        compose("up", "--wait", "postgres")
        compose("run", "--rm", "airflow-init")
        for run in range(runs + 1):
            for auth in PACKAGES:
                began = time.monotonic()
                compose("up", "--wait", "--no-deps", "--force-recreate", "api-server", auth=auth)
                if run:  # the first one makes the roles
                    seconds[auth].append(time.monotonic() - began)
                    python = ("exec", "-T", "api-server", "python3", "-c", CPU)
                    cpu[auth].append(float(compose(*python)))
                    memory[auth].append(used())
        print("| `AIRFLOW_AUTH` | in the image, MB | start, s | of CPU, s | memory, MB |")
        print("|---|---:|---:|---:|---:|")
        for auth, packages in PACKAGES.items():
            size = in_image(packages) / 1e6 if packages else 0
            start, busy, held = (median(each[auth]) for each in (seconds, cpu, memory))
            print(f"| `{auth}` | {size:.0f} | {start:.1f} | {busy:.1f} | {held:.0f} |")
    finally:
        compose("down", "--volumes", "--remove-orphans")


def used() -> float:
    """Return the megabytes that the API server has, once somebody has logged in and looked."""
    Airflow().call("GET", "/api/v2/dags")
    container = compose("ps", "--quiet", "api-server").strip()
    said = subprocess.run(
        ["docker", "stats", "--no-stream", "--format={{.MemUsage}}", container],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    number, unit = re.findall(r"^([\d.]+)(\w+)", said)[0]
    return float(number) * {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit] / 1e6


def in_image(packages: list[str]) -> int:
    """Return the bytes in the image of what nothing but these packages asks for."""
    python = ["run", "--rm", "--no-deps", "-T", "--entrypoint=python3", "api-server", "-c", SIZE]
    return int(compose(*python, *packages).split()[-1])
