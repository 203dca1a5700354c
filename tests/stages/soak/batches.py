"""Runs many cases in one container, as the days of `IMAGE days`: each in a process of its own.

What the platform does with the days of a backfill: Python and its packages start once. Of a case
that never ends the container is stopped, and the others go on in another one.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.models.containers import Container
from harness import Engine, write_files
from soak.drawn import Case, Files
from warm import PACKAGES

from microstage.sharing import COMMAND
from microstage.table import UNSPEAKABLE, Limits

# Each case would import for itself what a verb imports only when it needs it.
PRELOAD = """
import contextlib, importlib, runpy, sys
packages, sys.argv, sys.path[0] = sys.argv[1], ["/app/stage.py", *sys.argv[2:]], "/app"
for name in packages.split(","):
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(name)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PATIENCE = 60  # seconds that a case may take, on a busy machine
BATCH = 250  # cases of a container
# Less than any row of the table has.
LIMITS = Limits(cpus=1, memory=2**30, pids=64, timeout=3600)


@dataclass(frozen=True)
class Ending:
    """How a case has ended: `code` is None where it never did, or was killed."""

    code: int | None
    line: str
    out: Path


def run_batch(
    engine: Engine, image: str, cases: Mapping[str, Case], whole: Files, **options: Any
) -> Iterator[tuple[str, Ending]]:
    """Yield how each case has ended; what it wrote is gone with the next batch."""
    folder = engine.new("soak")
    (folder / "in").mkdir()
    try:
        kept = folder / "whole"
        write_files(kept, whole)
        (folder / "in").chmod(0o755)
        for name, case in cases.items():
            (folder / "in" / name).mkdir()
            case.put(folder / "in" / name, whole, kept)
        left = dict(cases)
        while left:
            out = engine.new("soak-out")
            try:
                ended = run_together(engine, image, left, folder / "in", out, **options)
                yield from ended.items()
                left = {name: case for name, case in left.items() if name not in ended}
            finally:
                shutil.rmtree(out, ignore_errors=True)
    finally:
        shutil.rmtree(folder)


def run_together(
    engine: Engine, image: str, cases: Mapping[str, Case], inputs: Path, out: Path, **options: Any
) -> dict[str, Ending]:
    """Return how cases have ended: all of them, or those up to one that stopped all."""
    for name in cases:
        (out / name).mkdir()
        (out / name).chmod(0o777)
    commands = {name: case.command for name, case in cases.items()}
    (inputs / "days.json").write_text(json.dumps({"version": 1, "days": commands}))
    options = {"inputs": {"": inputs}, "out": out, "limits": LIMITS, **options}
    command = [PRELOAD, ",".join(PACKAGES.get(image, ())), COMMAND]
    if image in PACKAGES:
        options["entrypoint"] = ["python3", "-c"]
    with engine.start(image, command[0 if image in PACKAGES else 2 :], **options) as container:
        stuck = follow(container, out)
        last = container.logs(tail=3).decode("utf-8", "replace")
    found = {name: read_ending(out / f"{name}.json") for name in cases}
    names = [*cases]
    # Those before the last one that has ended were begun, and so was the next one.
    begun = max((i + 2 for i, name in enumerate(names) if found[name]), default=1)
    ended = {}
    for name in names[:begun]:
        words = f"it did not end within {PATIENCE} s" if stuck and name == names[begun - 1] else ""
        code, line = found[name] or (None, words or f"it was killed; {last}")
        ended[name] = Ending(code, line, out / name)
    return ended


def read_ending(path: Path) -> tuple[int, str] | None:
    """Return code and last line of a case, None where it was killed."""
    if not path.exists():
        return None
    said = json.loads(path.read_bytes())
    return int(said["code"]), str(said["last_line"])


def follow(container: Container, out: Path) -> bool:
    """Wait until the container has ended; True if one case took too long, and it was killed."""
    seen, since = 0, time.monotonic()
    while True:
        container.reload()
        if container.status == "exited":
            return False
        now = sum(1 for _ in out.glob("*.json"))
        if now > seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            container.kill()
            return True
        time.sleep(0.2)


def run_alone(
    engine: Engine, image: str, cases: Mapping[str, Case], whole: Files, **options: Any
) -> Iterator[tuple[str, Ending]]:
    """Likewise, each in a container of its own, of an image that does one day at a time."""
    for name, case in cases.items():
        folder = engine.new("soak")
        try:
            write_files(folder / "whole", whole)
            (folder / "in").mkdir()
            case.put(folder / "in", whole, folder / "whole")
            # No command line can have these, but a file of days can.
            command = [UNSPEAKABLE.sub("", word) for word in case.command]
            result = engine.execute(
                image,
                command,
                inputs={"": folder / "in"},
                limits=LIMITS,
                timeout=PATIENCE,
                **options,
            )
            yield name, Ending(result.code, result.last_error, result.out)
            shutil.rmtree(result.out, ignore_errors=True)
        finally:
            shutil.rmtree(folder)
