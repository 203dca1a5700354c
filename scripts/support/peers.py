"""Stages beside what a person would write with the fastest libraries: seconds and memory."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from support import REPOSITORY
from support.environment import environment
from support.watched import EVERY, Measured, measured

from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.pipelines import Pipeline

PEERS = REPOSITORY / "scripts" / "peers"
PROGRAM = PEERS / "steps.py"

# The kinds of work that the peers' program does too.
COMPARED = (
    *("fit-columns", "split-rows", "train-model"),
    *("validate-model", "transform-rows", "predict-rows"),
)


def python() -> Path:
    """Return the Python that has the peers' packages. Raises StageError (75)."""
    return environment(PEERS.name, PEERS / "requirements.txt")


def peer(command: Path, work: str, data: Path) -> tuple[float, int]:
    """Run the peers' program for a kind of work; return its seconds and peak of memory in bytes."""
    (data / "peers").mkdir(exist_ok=True)
    started, held = time.perf_counter(), 0
    with subprocess.Popen([command, PROGRAM, work, data]) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
            held = max(held, int(found[1]) * 1024 if found else 0)
            time.sleep(EVERY)
    if process.returncode:
        raise StageError(1, f"The peers' {work} ended with {process.returncode}, see above.")
    return time.perf_counter() - started, held


def lines(pipeline: Pipeline, data: DataFolder, rows: int, runs: int) -> Iterator[str]:
    """Run every stage `runs` times, each time before its peer; yield its line of the table."""
    command = python()
    for row in pipeline.rows.values():
        if row.network:
            continue
        ours = [measured(pipeline, data, row, rows)]
        if row.work not in COMPARED:
            continue
        theirs = [peer(command, row.work, data.root)]
        for _ in range(runs - 1):
            ours.append(measured(pipeline, data, row, rows, force=True))
            theirs.append(peer(command, row.work, data.root))
        yield line(row.stage, ours, theirs)


def line(stage: str, ours: list[Measured], theirs: list[tuple[float, int]]) -> str:
    """Return a stage's line: medians of seconds, highest memory, and the ratios of the two."""
    seconds, inside = median(run.seconds for run in ours), median(run.inside for run in ours)
    other = median(run[0] for run in theirs)
    held, other_held = max(run.held for run in ours), max(run[1] for run in theirs)
    return (
        f"| {stage} | {seconds:.1f} | {inside:.1f} | {other:.1f} | {seconds / other:.2f} "
        f"| {held / 1e6:.0f} | {other_held / 1e6:.0f} | {held / other_held:.2f} |"
    )
