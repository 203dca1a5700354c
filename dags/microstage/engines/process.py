"""Run a job as a process, where no Docker Engine can be had: the engine `venv` of run_stage.

The stage does not know the difference: it gets the roots of its inputs and outputs by environment.
It has its own locked dependencies and its own time limit, but not the walls of a container.
Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from microstage.data_folder import DataFolder
from microstage.errors import USAGE, StageError
from microstage.exits import Exit
from microstage.inputs import variables
from microstage.jobs import Job
from microstage.table import Row

STOP_SECONDS = 2


def find_program(row: Row, images: Path) -> Path:
    """Return the stage.py of a row's image: microstage/<name>:<tag> is in <images>/<name>."""
    program = images / row.image.removeprefix("microstage/").split(":")[0] / "stage.py"
    if not program.is_file():
        raise StageError(
            USAGE, f"{row.image} has no stage.py in {images.name}/; run it as a container."
        )
    return program


def program_id(program: Path, frame: Path) -> str:
    """Return what stands for the image's id: the digest of code, frame and locked packages."""
    folder = program.parent
    files = [
        *sorted(folder.glob("*.py")),
        *sorted(folder.glob("*.j2")),
        folder / "requirements.txt",
        *sorted(frame.glob("*.py")),
    ]
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    return f"venv:{hashlib.sha256(b''.join(digests)).hexdigest()}"


@dataclass(frozen=True)
class ProcessEngine:
    """Runs a job's program to its end, passes its log on line by line."""

    data: DataFolder
    python: Path
    program: Path
    frame: Path  # the package that stages in Python share
    write: Callable[[str], None]

    def __call__(self, job: Job, staging: Path) -> Exit:
        """See microstage.contract.Engine."""
        with tempfile.TemporaryDirectory(prefix="microstage-") as scratch:
            for mount, source in job.sources.items():
                link = Path(scratch, "in", mount)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(self.data.path(source))
            process = self._start(job, Path(scratch), staging)
            last: dict[str, str] = {}
            readers = [
                threading.Thread(target=_follow, args=(name, stream, last, self.write), daemon=True)
                for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
            ]
            for reader in readers:
                reader.start()
            timed_out = False
            try:
                process.wait(job.row.limits.timeout)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                _stop(process)
                for reader in readers:
                    reader.join(STOP_SECONDS)  # no longer: a daemon of the stage may hold the pipe
            # Negative: ended by a signal, for which shells say 128 + n.
            code = process.returncode if process.returncode >= 0 else 128 - process.returncode
            return Exit(code, last.get("stderr", ""), timed_out=timed_out)

    def _start(self, job: Job, scratch: Path, staging: Path) -> subprocess.Popen[str]:
        home = scratch / "tmp"
        home.mkdir()
        return subprocess.Popen(  # noqa: S603
            [self.python, "-s", self.program, *job.command],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                "HOME": str(home),
                "TMPDIR": str(home),
                "MICROSTAGE_IN": f"{scratch}/in",
                "MICROSTAGE_OUT": str(staging),
                "PYTHONPATH": str(self.frame.parent),
                "PYTHONDONTWRITEBYTECODE": "1",
                **variables(job.row),
            },
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a process group of its own, to be stopped as a whole
        )


def _follow(name: str, stream: IO[str], last: dict[str, str], write: Callable[[str], None]) -> None:
    for line in stream:
        if text := line.rstrip():
            write(text)
            last[name] = text


def _stop(process: subprocess.Popen[Any]) -> None:
    """End the process group: SIGTERM, and two seconds later SIGKILL for what is left of it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
