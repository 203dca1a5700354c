"""What an installation's services take of the CPUs while nothing is asked of them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker

from support.command import UNAVAILABLE

from microstage.endpoint import endpoint
from microstage.errors import NO_INPUT, StageError

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
ENGINE = "the engine"
ALL = "in all"


def idle(project: str, seconds: float) -> dict[str, float]:
    """Return the core-seconds a second of each running service, of the engine, and in all.

    Raises StageError: 66 no service runs, 69 the engine is not on this machine.
    """
    client = docker.APIClient(**endpoint().arguments, version="auto")
    labels = {"label": f"{PROJECT}={project}"}
    found = {each["Labels"][SERVICE]: each["Id"] for each in client.containers(filters=labels)}
    if not found:
        raise StageError(
            NO_INPUT, f"No service of {project} runs; start them with: docker compose up --wait"
        )
    began, before = time.monotonic(), _used(client, found)
    time.sleep(seconds)
    after, took = _used(client, found), time.monotonic() - began
    rates = {name: (after[name] - before[name]) / took for name in sorted(found)}
    rates[ENGINE] = (after[ENGINE] - before[ENGINE]) / took
    return {**rates, ALL: sum(rates.values())}


def others(project: str) -> int:
    """Return how many containers run on the engine that are not of this project."""
    client = docker.APIClient(**endpoint().arguments, version="auto")
    running = client.containers()
    return sum(each["Labels"].get(PROJECT) != project for each in running)


def _used(client: docker.APIClient, containers: Mapping[str, str]) -> dict[str, float]:
    """Return the seconds of CPU that containers, by name, and the engine have had so far."""
    used = {}
    for name, container in containers.items():
        stats = client.stats(container, stream=False, one_shot=True)
        used[name] = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    used[ENGINE] = _engine(set(containers.values()))
    return used


def _engine(containers: set[str]) -> float:
    """Return the CPU of the engine's processes, and of what they started that has ended.

    Of the processes that hold a container each, those of these containers. A health check is begun
    by one, so that the seconds of checks are here, too, as well as with the service: it is no less
    than that.
    """
    processes = dict(_processes())
    engine = [pid for pid, (name, _) in processes.items() if name in ("dockerd", "containerd")]
    if not engine:
        raise StageError(
            UNAVAILABLE,
            "No dockerd is to be seen among the processes here, so what the engine takes is not "
            "known; run this on the engine's own machine.",
        )
    shims = [
        pid
        for pid, (name, command) in processes.items()
        if name.startswith("containerd-shim") and containers & set(command)
    ]
    return sum(map(_seconds, [*engine, *shims]))


def _processes() -> Iterator[tuple[int, tuple[str, list[str]]]]:
    """Yield number, name and command line of each process of this machine that is to be seen."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            yield int(folder.name), (name, (folder / "cmdline").read_text().split("\0"))
        except OSError:
            continue  # it has ended


def _seconds(pid: int) -> float:
    """Return what a process and its ended children have had of the CPUs; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    ticks = re.split(r"\s+", text.rpartition(")")[2].strip())[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def table(now: Mapping[str, float], before: Mapping[str, float]) -> Iterator[str]:
    """Yield a Markdown table; `before`: the same of another time, {} where there is none."""
    names = [*dict.fromkeys([*before, *now])]
    names.sort(key=[*sorted({*names} - {ENGINE, ALL}), ENGINE, ALL].index)
    columns = {"before": before, "now": now} if before else {"now": now}
    yield "| core-seconds a second | " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name in names:
        cells = [f"{each[name]:.3f}" if name in each else "" for each in columns.values()]
        yield f"| {name} | " + " | ".join(cells) + " |"
