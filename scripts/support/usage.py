"""What stages have used, by the manifests of what is published."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from microstage.data_folder import MANIFEST, DataFolder, read_manifest, walk
from microstage.table import Row

MIB = 2**20
ROOM = 1.5  # times the most that was seen
STEP = 64  # MiB, to which a proposal is rounded up
ENOUGH = 3  # runs, below which nothing is proposed


@dataclass(frozen=True)
class Used:
    """What one run used; memory and CPUs are None where nobody looked."""

    seconds: float
    memory: int | None  # bytes
    cpus: float | None  # busy on average


def runs_of(data: DataFolder, since: dt.datetime) -> dict[str, list[Used]]:
    """Return the runs of each stage that has published something since then."""
    found = defaultdict(list)
    for directory, files in walk(data.root):
        if MANIFEST not in files:
            continue
        try:
            manifest = read_manifest(directory)
            if dt.datetime.fromisoformat(manifest["started"]) < since:
                continue
            seconds, used = float(manifest["seconds"]), manifest.get("used")
            memory = int(used["memory"]) if used else None
            cpus = float(used["cpu_seconds"]) / seconds if used and seconds else None
            found[str(manifest["stage"])].append(Used(seconds, memory, cpus))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not by a stage, or replaced this very moment
    return dict(found)


def line_of(row: Row, runs: Sequence[Used]) -> str:
    """Return the line of a row in the table of scripts/usage."""
    seconds = [run.seconds for run in runs]
    memory = [run.memory / MIB for run in runs if run.memory is not None]
    cpus = [run.cpus for run in runs if run.cpus is not None]
    cells = [
        row.stage,
        str(len(runs)),
        *_both(seconds, 1),
        str(row.limits.timeout),
        *_both(memory, 0),
        str(row.limits.memory // MIB),
        str(proposed(memory)) if len(memory) >= ENOUGH else "",
        *_both(cpus, 1),
        f"{row.limits.cpus:g}",
    ]
    return f"| {' | '.join(cells)} |"


def proposed(memory: Sequence[float]) -> int:
    """Return a limit of memory, for what runs have held; all in MiB."""
    return math.ceil(max(memory) * ROOM / STEP) * STEP


def _both(values: Sequence[float], digits: int) -> list[str]:
    """Return the median and the most."""
    if not values:
        return ["", ""]
    return [f"{value:.{digits}f}" for value in (statistics.median(values), max(values))]
