"""Several days in one run: each in a process of its own, forked when all is imported.

So a day finds what a run of that day alone finds, and nothing of the days before it; Python and its
packages start once. Which days, and where their files are: docs/contract.md.
"""

import gc
import importlib
import os
import selectors
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from stageframe.errors import INPUT_MISSING, StageError
from stageframe.files import ALL_IN, ALL_OUT, IN, LINKS, OUT, read_json, write_json

MAX_LINE = 3000  # bytes: an endless line must not fill our memory
LOOK = 0.1  # seconds between two looks at a day that says nothing
Main = Callable[[Sequence[str]], NoReturn]


def each_day(main: Main, modules: Sequence[str] = ()) -> None:
    """Have `main` do each day with its command, one after the other.

    modules: what days import when they need it, so that it is imported once, too.
    """
    listed = ALL_IN / "days.json"
    if not listed.exists():
        raise StageError(f"{listed} is missing: it says which days there are", INPUT_MISSING)
    days: dict[str, list[str]] = read_json(listed, "days", version=1)["days"]
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # that no day copies what it would only look at
    LINKS.mkdir()
    try:
        with _Running() as running:
            for day, command in days.items():
                _do(day, command, main, running)
    finally:
        shutil.rmtree(LINKS, ignore_errors=True)


class _Running:
    """The process of the day that is done now, which ends with us."""

    def __init__(self) -> None:
        self.process = 0

    def __enter__(self) -> "_Running":
        self._before = [(each, signal.getsignal(each)) for each in (signal.SIGTERM, signal.SIGINT)]
        for number, handler in self._before:
            if handler != signal.SIG_IGN:
                signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _end(self, number: int, _frame: FrameType | None) -> NoReturn:
        self.kill()
        os._exit(128 + number)

    def kill(self) -> None:
        """End the process, and what it may have left."""
        if self.process:
            with suppress(OSError):
                os.killpg(self.process, signal.SIGKILL)


def _do(day: str, command: Sequence[str], main: Main, running: _Running) -> None:
    """Do one day, and write how it ended; nothing, if it was killed: then it was not done."""
    for link, folder in ((IN, ALL_IN), (OUT, ALL_OUT)):
        link.unlink(missing_ok=True)
        link.symlink_to(folder / day)
    temporary = LINKS / "tmp"
    temporary.mkdir()
    pipes = [os.pipe(), os.pipe()]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    process = os.fork()
    if not process:
        running.__exit__()
        _be(command, main, [writer for _, writer in pipes], temporary)
    running.process = process
    with suppress(OSError):  # it has done so itself, or is gone
        os.setpgid(process, process)
    for _, writer in pipes:
        os.close(writer)
    lines = [_Lines(day, stream.buffer) for stream in (sys.stdout, sys.stderr)]
    code = _follow(running, dict(zip([reader for reader, _ in pipes], lines, strict=True)))
    running.process = 0
    shutil.rmtree(temporary, ignore_errors=True)
    if code >= 0:
        part = ALL_OUT / f"{day}.part"
        with suppress(OSError):  # the disk is full
            write_json(part, {"code": code, "last_line": lines[1].last})
            part.rename(ALL_OUT / f"{day}.json")


def _be(command: Sequence[str], main: Main, outputs: list[int], temporary: Path) -> NoReturn:
    """Be the process of a day, and end as Python ends a program."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number, writer in enumerate(outputs, 1):
            os.dup2(writer, number)
            os.close(writer)
        os.environ["TMPDIR"] = str(temporary)
        tempfile.tempdir = None  # where that is may have been asked for before
        main(command)
    except SystemExit as end:  # without a code
        if end.code is None:
            code = 0
        else:
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)


def _follow(running: _Running, outputs: "dict[int, _Lines]") -> int:
    """Pass on what a day says, until it has ended and all that it has left; return its code.

    It is below 0 if a signal has ended it.
    """
    code = None
    with selectors.DefaultSelector() as selector:
        for reader in outputs:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(LOOK)
            for key, _ in ready:
                chunk = os.read(key.fd, 2**16)
                outputs[key.fd].write(chunk)
                if not chunk:
                    selector.unregister(key.fd)
                    os.close(key.fd)
            if not ready and code is None:  # what a day has left may hold its outputs open
                found, status = os.waitpid(running.process, os.WNOHANG)
                if found:
                    code = os.waitstatus_to_exitcode(status)
                    running.kill()
    if code is None:
        code = os.waitstatus_to_exitcode(os.waitpid(running.process, 0)[1])
    running.kill()
    return code


class _Lines:
    """An output of a day on its way to ours: each line is preceded by the day."""

    def __init__(self, day: str, stream: BinaryIO) -> None:
        self.last = ""  # that is not blank
        self._start = f"{day}  ".encode()
        self._stream = stream
        self._rest = b""

    def write(self, chunk: bytes) -> None:
        """Pass whole lines on; b"" is the end."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        if rest and (not chunk or len(rest) > MAX_LINE):
            lines.append(rest)
            rest = b""
        self._rest = rest
        for line in lines:
            self.last = line.decode("utf-8", "replace").rstrip() or self.last
        with suppress(OSError):  # who read it has gone
            self._stream.write(b"".join(self._start + line + b"\n" for line in lines))
            self._stream.flush()
