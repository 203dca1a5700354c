"""Work on the parts of something in as many processes as a stage may use CPUs."""

import fcntl
import itertools
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn, TypeVar

PIPE = 2**20  # bytes that one process can send before another has to take them
P = TypeVar("P")
R = TypeVar("R")
Results = Generator[R, None, None]  # closed, it ends the processes


def cpus() -> int:
    """Return how many CPUs the stage may use: OMP_NUM_THREADS, but no more than there are."""
    there = len(os.sched_getaffinity(0))
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(there, int(asked))) if asked.isdecimal() else there


def worked(parts: Callable[[], Iterable[P]], work: Callable[[P], R], processes: int) -> Results[R]:
    """Yield `work(part)` of each part, in order; an exception of either is raised in its turn.

    Each process goes through all parts and works on every n-th: `parts` has to yield the same each
    time, and to be quick beside `work`. What `work` changes stays in its process, and what it
    returns is pickled. One process is this one, and no other.
    """
    if processes < 2:
        yield from map(work, parts())
        return
    children: list[int] = []
    files: list[BinaryIO] = []
    try:
        for turn in range(processes):
            reader, writer = os.pipe()
            with suppress(OSError):  # a user may have so many of these pages, and no more
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
            files.append(os.fdopen(reader, "rb"))
            if not (child := os.fork()):
                for file in files:  # that others may notice when it is this process that reads
                    os.close(file.fileno())
                _work(parts, slice(turn, None, processes), work, writer)
            children.append(child)
            os.close(writer)
        for file in itertools.cycle(files):
            found, error = _receive(file)
            if error:
                raise error
            if not found:
                return
            yield from found
    finally:
        for file in files:
            file.close()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _work(
    parts: Callable[[], Iterable[P]], turns: slice, work: Callable[[P], Any], writer: int
) -> NoReturn:
    """Be a process that sends what `work` makes of parts: [result] of each, and [] in the end."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(writer, "wb") as file:
            try:
                for part in itertools.islice(parts(), turns.start, None, turns.step):
                    _send(file, [work(part)])
                _send(file, [])
            except Exception as error:
                error.add_note(traceback.format_exc())
                _send(file, [], error)
    finally:
        os._exit(0)


def _send(file: BinaryIO, found: list[Any], error: Exception | None = None) -> None:
    pickle.dump((found, error), file, pickle.HIGHEST_PROTOCOL)
    file.flush()


def _receive(file: BinaryIO) -> tuple[list[Any], Exception | None]:
    try:
        received: tuple[list[Any], Exception | None] = pickle.load(file)  # noqa: S301 - our own
    except (EOFError, pickle.UnpicklingError) as error:
        # It was killed, as the kernel does where memory runs out.
        raise MemoryError from error
    return received
