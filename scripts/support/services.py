"""The services of this installation, by docker compose, and programs in their containers."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from support import REPOSITORY
from support.command import UNAVAILABLE

from microstage.errors import StageError

# Last lines of programs that say why in the line before.
NO_REASONS = ("age: report", "Run 'docker", "See 'docker")
HINTS = {
    "is not running": "start it with: docker compose up --wait",
    "executable file not found": "make the images anew: ./build_images.sh",
}
PATIENCE = 2  # seconds in which a program that has closed its output ends


def images_of(file: Path) -> list[str]:
    """Return the images that a compose file names."""
    return re.findall(r"(?m)^ +image: (\S+)", file.read_text("utf-8"))


def compose(*arguments: str, given: bytes = b"") -> str:
    """Return what a command of docker compose prints. Raises StageError (69) where it fails."""
    return docker("compose", *arguments, given=given)


def docker(*arguments: str, given: bytes = b"") -> str:
    """Return what a command of docker prints. Raises StageError (69) where it fails."""
    with program(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        out, _ = running.communicate(given)
    return str(out, "utf-8")


def service(*command: str, name: str) -> Sequence[str]:
    """Return the command that runs a program in a service's container, which runs already."""
    return ("compose", "exec", "-T", name, *command)


def beside(*command: str, name: str) -> Sequence[str]:
    """Return the command that runs a program as a service of its own would be, and removes it."""
    entrypoint, *arguments = command
    run = ("compose", "run", "--rm", "--no-deps", "-T", f"--entrypoint={entrypoint}")
    return (*run, name, *arguments)


@contextmanager
def program(
    *arguments: str, named: str = "", code: int = UNAVAILABLE, **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of docker meanwhile; by another name, to people. Raises StageError (`code`).

    Where its failure is why what is done with it fails, too, its own last line is told.
    """
    named = named or " ".join(["docker", *arguments[:5]])
    with tempfile.TemporaryFile() as errors:
        try:
            running = subprocess.Popen(
                ["docker", *arguments], cwd=REPOSITORY, stderr=errors, **streams
            )
        except FileNotFoundError:
            raise StageError(UNAVAILABLE, "There is no docker command on this machine.") from None
        whole = False
        try:
            yield running
            whole = True
        except (BrokenPipeError, StageError) as error:
            if not ended_badly(running):
                raise
            raise failed(named, code, running, errors) from error
        finally:
            if not whole:
                running.kill()
            with suppress(BrokenPipeError):
                running.__exit__(None, None, None)  # closes its pipes, and waits for it
            running.wait()
        if running.returncode:
            raise failed(named, code, running, errors)


def ended_badly(running: subprocess.Popen[bytes]) -> bool:
    """Tell whether a program has failed by itself, or does so now."""
    with suppress(BrokenPipeError):
        if running.stdin:
            running.stdin.close()
    try:
        return running.wait(PATIENCE) != 0
    except subprocess.TimeoutExpired:
        return False


def failed(
    named: str, code: int, running: subprocess.Popen[bytes], errors: IO[bytes]
) -> StageError:
    """Return what a command said last."""
    errors.seek(0)
    lines = [line for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    said = [line.strip() for line in lines if not line.startswith(NO_REASONS)] or ["no reason"]
    # Docker's own, which has not run it: https://docs.docker.com/engine/containers/run/#exit-status
    absent = running.returncode in (125, 126, 127)
    todo = [hint for words, hint in HINTS.items() if words in said[-1]]
    sentence = "; ".join([f"{named} failed: {said[-1]}", *todo])
    return StageError(UNAVAILABLE if absent else code, sentence)
