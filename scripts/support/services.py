"""The services of this installation, by docker compose, and programs in their containers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from support import REPOSITORY
from support.command import UNAVAILABLE

from microstage.errors import StageError

PATIENCE = 2  # seconds in which a program that has closed its output ends


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
def program(*arguments: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of docker meanwhile. Raises StageError (69), with its last line, if it fails.

    Where that is why what is done with it fails, too, its own words are told.
    """
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
            raise failed(arguments, errors) from error
        finally:
            if not whole:
                running.kill()
            with suppress(BrokenPipeError):
                running.__exit__(None, None, None)  # closes its pipes, and waits for it
            running.wait()
        if running.returncode:
            raise failed(arguments, errors)


def ended_badly(running: subprocess.Popen[bytes]) -> bool:
    """Tell whether a program has failed by itself, or does so now."""
    with suppress(BrokenPipeError):
        if running.stdin:
            running.stdin.close()
    try:
        return running.wait(PATIENCE) != 0
    except subprocess.TimeoutExpired:
        return False


def failed(arguments: Sequence[str], errors: IO[bytes]) -> StageError:
    """Return what a command said last."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    named = " ".join(["docker", *arguments])
    return StageError(UNAVAILABLE, f"{named[:90]} failed: {lines[-1].strip()}")
