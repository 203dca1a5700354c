"""Inside a container: runs /app/stage.py again and again, with its packages loaded already.

usage: warm_server.py SOCKET PACKAGE...

A request is a line of JSON: `command`, the roots `in` and `out`, and where to write `stdout` and
`stderr`; the answer is the exit code. Nothing that one run does is left to the next but files.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

PROGRAM = "/app/stage.py"


def main(address: str, packages: list[str]) -> None:
    """Answer requests until the container is stopped."""
    for package in packages:
        with suppress(ModuleNotFoundError):
            importlib.import_module(package)
    gc.freeze()  # that no run copies what it would only look at
    sys.path[0] = str(Path(PROGRAM).parent)  # as python3 /app/stage.py has it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no child here is waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        Path(address).chmod(0o777)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    answer(connection)
                    return


def answer(connection: socket.socket) -> None:
    """Run what one request asks for; in the process of the run itself, do not return."""
    with connection.makefile("r", encoding="utf-8") as lines:
        if not (line := lines.readline()):  # it was only asked whether somebody listens
            return
        request = json.loads(line)
    with tempfile.TemporaryDirectory() as folder:
        running = os.fork()
        if running == 0:
            run(temporary=folder, **request)
        _, status = os.waitpid(running, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def run(command: list[str], temporary: str, **paths: str) -> NoReturn:
    """Be the program; it ends with the exception that Python ends a program with."""
    os.environ.update(MICROSTAGE_IN=paths["in"], MICROSTAGE_OUT=paths["out"], TMPDIR=temporary)
    tempfile.tempdir = None  # where that is was asked for before
    for number, name in ((1, "stdout"), (2, "stderr")):
        with Path(paths[name]).open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv = [PROGRAM, *command]
    runpy.run_path(PROGRAM, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
