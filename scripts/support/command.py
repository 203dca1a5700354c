"""The command line of a script: usage, and one sentence and an exit code for every failure."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from support import REPOSITORY
from support.settings import setting

from microstage.errors import USAGE, StageError
from microstage.pipelines import DEFAULT
from microstage.publishing import os_failure

UNAVAILABLE = 69  # sysexits.h: something that is not ours is not to be had here
INTERRUPTED = 130  # as shells count SIGINT


class Parser(argparse.ArgumentParser):
    """A parser that ends with the contract's code for wrong usage."""

    def __init__(self, name: str, description: str | None) -> None:
        super().__init__(
            prog=f"scripts/{name}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")

    def add_pipeline(self) -> None:
        """Let it know --pipeline."""
        text = "the pipeline: a file of dags/pipelines (that of dags/stages.toml)"
        self.add_argument("--pipeline", default=DEFAULT, metavar="NAME", help=text)

    def add_data(self) -> None:
        """Let it know --data, the data folder of all pipelines."""
        folder = setting("MICROSTAGE_DATA") or str(REPOSITORY / "data")
        self.add_argument("--data", type=Path, default=folder, help="the data folder (%(default)s)")


def end(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run a script and end with its exit code; what it cannot do is one sentence on stderr."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
        sys.exit(code)
    except StageError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
    except PermissionError as error:
        print(refused := os_failure(error), file=sys.stderr)
        sys.exit(refused.code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever reads has enough, as `head` has. https://docs.python.org/3/library/signal.html
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
