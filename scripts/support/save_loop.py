"""How long it takes from a save in a stage's folder to what differs then, by the images of now."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import IO

from support import REPOSITORY
from support.command import UNAVAILABLE
from support.sources import folder_of

from microstage.errors import StageError
from microstage.pipelines import load_pipeline

DAY = "2013-01-06"
RUN_STAGE = REPOSITORY / "scripts/run_stage"


def measure_saves(runs: int) -> None:
    """Save a line of each Python stage `runs` times; print a table of medians. No image is built.

    The rows of the default pipeline, but for those that work on a service, on one day of generated
    data. Raises StageError where a stage fails.
    """
    print("| stage | from a save to the difference, s |\n|---|---:|")
    with tempfile.TemporaryDirectory(prefix="measure-saves-") as made:
        work = Path(made)
        (work / "data").mkdir()
        for row in load_pipeline().rows.values():
            if row.network:
                continue
            given = [row.stage, "--data", str(work / "data"), "--model", f"models/{DAY}"]
            _run([*given, "--ds", DAY])
            source = folder_of(row.image)
            if not (source / "stage.py").exists():
                continue
            folder = shutil.copytree(source, work / row.stage / source.name)
            with _watching([*given, "--watch", "--folder", str(folder)]) as said:
                _next_run(said)
                seconds = [_saved(folder, number, said) for number in range(runs)]
            print(f"| {row.stage} | {median(seconds):.1f} |", flush=True)


def _run(arguments: list[str]) -> None:
    done = subprocess.run([RUN_STAGE, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(done.returncode, done.stderr.strip().splitlines()[-1])


@contextmanager
def _watching(arguments: list[str]) -> Iterator[IO[str]]:
    """Yield what the loop prints."""
    loop = subprocess.Popen(
        [RUN_STAGE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert loop.stdout  # noqa: S101 - by the pipe
    try:
        yield loop.stdout
    finally:
        loop.send_signal(signal.SIGINT)
        loop.communicate()


def _saved(folder: Path, number: int, said: IO[str]) -> float:
    """Return the seconds until a save has been run."""
    with (folder / "stage.py").open("a") as file:
        file.write(f"# changed: {number}\n")
    began = time.perf_counter()
    _next_run(said)
    return time.perf_counter() - began


def _next_run(said: IO[str]) -> None:
    """Wait for the line that ends a run."""
    for line in said:
        if found := re.search(r": exit code (\d+) after ", line):
            if found[1] == "0":
                return
            print(line, next(said, ""), sep="", file=sys.stderr)
            break
    raise StageError(UNAVAILABLE, "A run of the loop failed, see above.")
