"""A stage for the tests of the guard: each verb tells what a container can see or reach."""

import os
import socket
import time
from pathlib import Path

from stageframe import Parameter, Program, whole
from stageframe.files import IN, OUT

program = Program("guarded", __doc__)


def _done(**summary: object) -> dict[str, object]:
    (OUT / "result.txt").write_text("a result\n")
    return summary


def look() -> dict[str, object]:
    """Tell which files are below /in, and what is in /out before anything is written there."""
    files = sorted(
        str(Path(folder, name).relative_to(IN))
        for folder, _, names in os.walk(IN, followlinks=True)
        for name in names
        if ".sources" not in folder
    )
    return _done(files=" ".join(files), there=" ".join(sorted(p.name for p in OUT.iterdir())))


def reach(host: str, port: int) -> dict[str, object]:
    """Tell whether an address answers."""
    try:
        with socket.create_connection((host, port), timeout=3):
            reached = True
    except OSError:
        reached = False
    print(f"reached: {reached}", flush=True)
    return _done(reached=reached)


def variables() -> dict[str, object]:
    """Tell the environment's variables that are of the row."""
    return _done(**{name: os.environ.get(name, "") for name in ("SERVICE_USER", "SERVICE_TOKEN")})


def wait(seconds: int) -> dict[str, object]:
    """Say nothing for a while, and then a word."""
    time.sleep(seconds)
    print("a word", flush=True)
    return _done()


program.verb("look", look, look.__doc__ or "")
program.verb(
    "reach",
    reach,
    reach.__doc__ or "",
    Parameter("host", str, "169.254.169.254"),
    Parameter("port", whole(), 80),
)
program.verb("variables", variables, variables.__doc__ or "")
program.verb("wait", wait, wait.__doc__ or "", Parameter("seconds", whole(), 1))

if __name__ == "__main__":
    program.main()
