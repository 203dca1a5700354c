"""The command line of a stage: verbs with parameters, and how it ends."""

import argparse
import atexit
import errno
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from stageframe.errors import INPUT_MISSING, TRY_AGAIN, WRONG_USAGE, StageError, one_line
from stageframe.files import IN, LINKS, OUT, SEVERAL_DAYS, require_files, shown, write_json
from stageframe.signals import end_on_signal

Summary = dict[str, Any]
N = TypeVar("N", int, float)
_REQUIRED: Any = object()
_NO_TEXT = re.compile("[\\0\\ud800-\\udfff]")


class Parameter(NamedTuple):
    """A parameter of a verb: `Parameter("leaf-rows", whole(1), 50, "fewest rows of a leaf")`.

    On the command line it is `--leaf-rows 50`, for the verb's function the argument `leaf_rows`.
    `kind` makes a value of its text, and raises ValueError or argparse.ArgumentTypeError for one
    that is wrong. Without a default it must be given; a default of None is not spoken of.
    """

    name: str
    kind: Callable[[str], Any]
    default: Any = _REQUIRED
    help: str = ""
    metavar: str | None = None


class Program:
    """A stage: its verbs, and how it is run."""

    def __init__(
        self,
        name: str,
        description: str | None,
        epilog: str | None = None,
        *,
        later: Sequence[str] = (),
    ) -> None:
        """`name` is the image's; what `description` and `epilog` say is printed by --help.

        later: modules that verbs import when they need them, as they take a while. Several days in
        one run have them imported once, before the first.
        """
        self._later = later
        self._parser = _Parser(
            prog=name,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._verbs = self._parser.add_subparsers(dest="verb", required=True)
        self._functions: dict[str, Callable[..., Summary]] = {}

    def verb(
        self, name: str, function: Callable[..., Summary], text: str, *parameters: Parameter
    ) -> None:
        """Let the stage do `name`: call `function` with the parameters by name.

        What the function returns is the summary, one flat JSON object; `text` is its help.
        """
        parser = self._verbs.add_parser(name, allow_abbrev=False, help=text, description=text)
        self._functions[name] = function
        for parameter in parameters:
            given: dict[str, Any] = {"type": parameter.kind, "metavar": parameter.metavar}
            if parameter.default is _REQUIRED:
                parser.add_argument(
                    f"--{parameter.name}", required=True, help=parameter.help, **given
                )
                continue
            spoken = parameter.help
            if parameter.default not in (None, ""):
                spoken += f" (default: {parameter.default})"
            parser.add_argument(
                f"--{parameter.name}", default=parameter.default, help=spoken.strip(), **given
            )

    def main(self) -> NoReturn:
        """Run what the command line names, and end the process with the exit code.

        `days` is no verb, but several days, each with a command line of its own.
        """
        if SEVERAL_DAYS:
            from stageframe.days import each_day  # noqa: PLC0415 - others do not wait for it

            def one(command: Sequence[str]) -> NoReturn:
                _end(lambda: self.run(command))

            _end(lambda: _told(lambda: each_day(one, self._later)))
        _end(self.run)

    def run(self, argv: Sequence[str] | None = None) -> int:
        """Run the verb that the command line names; return the exit code of the contract.

        With a code other than 0, the last line on stderr is one sentence for the user.
        """
        end_on_signal()
        words = sys.argv[1:] if argv is None else argv
        for word in words:
            if _NO_TEXT.search(word):  # a package that gets it would fail on it
                self._parser.error(f"{ascii(word)[:100]} is no text in UTF-8")
        given = vars(self._parser.parse_args(words))
        function = self._functions[given.pop("verb")]

        def work() -> None:
            require_files()
            write_json(OUT / "summary.json", function(**given))

        return _told(work)


def _told(work: Callable[[], None]) -> int:
    """Return the exit code of what is done; of a failure, with its sentence on stderr."""
    try:
        work()
        return 0
    except StageError as error:
        code, sentence = error.code, str(error)
    except MemoryError:
        code, sentence = TRY_AGAIN, "memory ran out: give the stage more, or fewer rows"
    except OSError as error:
        code, sentence = _explain(error)
    except Exception as error:
        # Nobody has thought of it: its trace for who mends the stage, and then for its user a word.
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        code, sentence = 1, f"the stage has a fault ({what}): report it, with what it has read"
    print(one_line(sentence), file=sys.stderr)
    return code


def _end(run: Callable[[], int]) -> NoReturn:
    """End the process with the exit code that `run` returns.

    At once: Python would take apart all that was imported, which with pandas or scikit-learn
    is a fifth of a small run. https://docs.python.org/3/library/os.html#os._exit
    """
    try:
        code = run()
    except SystemExit as end:  # argparse's have a code; of others Python knows what they mean
        if not isinstance(end.code, int):
            raise
        code = end.code
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # who read it has gone
            stream.flush()
    os._exit(code)


def _explain(error: OSError) -> tuple[int, str]:
    """Return the exit code and the sentence of what the operating system refused."""
    if str(error.filename).startswith(f"{IN}/"):
        if isinstance(error, PermissionError):
            return INPUT_MISSING, _who_may_read(Path(error.filename))
        what = f"{shown(error.filename)}: {error.strerror}"
        return INPUT_MISSING, f"{what}: run the stage that writes it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TRY_AGAIN, "the disk of the output is full: free some space"
    # Of several days in one run, each says what it says alone.
    said = str(error).replace(str(LINKS), "")
    return TRY_AGAIN, f"{said}: check the disk, then try again"


def _who_may_read(path: Path) -> str:
    """Return the sentence for an input that this uid may not read: whose it is, and what to do."""
    # What is not to be seen is in a folder that is closed.
    closed = next(place for place in (path, *path.parents) if os.path.lexists(place))
    found, uid = closed.stat(), os.geteuid()
    rights = "rx" if stat.S_ISDIR(found.st_mode) else "r"
    # The system looks at one of the three alone.
    group = found.st_gid in {os.getegid(), *os.getgroups()}
    whom = "u" if found.st_uid == uid else "g" if group else "o"
    return (
        f"{shown(closed)} cannot be read by uid {uid}, as which this stage runs: it belongs to uid "
        f"{found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}; let uid {uid} read it, by "
        f"chmod {whom}+{rights} or chown"
    )


class _Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{one_line(message)}: see --help\n")


# Kinds of parameters: what makes a value of a text, or says why it cannot.


def whole(low: int = 0, high: int = 2**31 - 1) -> Callable[[str], int]:
    """Return the kind: a whole number from `low` to `high`, both included."""
    return _between(int, low, high)


def number(low: float, high: float) -> Callable[[str], float]:
    """Return the kind: a number from `low` to `high`, both included."""
    return _between(float, low, high)


def share(text: str) -> float:
    """Be the kind: a number from 0 to 1, both included."""
    return number(0, 1)(text)


def one_of(*texts: str) -> Callable[[str], str]:
    """Return the kind: one of these texts."""

    def parse(text: str) -> str:
        if text not in texts:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(texts)}")
        return text

    return parse


def calendar_day(text: str) -> date:
    """Be the kind: a day as YYYY-MM-DD, without the other forms that ISO 8601 has."""
    with suppress(ValueError):
        if str(day := date.fromisoformat(text)) == text:
            return day
    raise argparse.ArgumentTypeError(f"{text!r} is not a day written YYYY-MM-DD")


def _between(kind: type[N], low: N, high: N) -> Callable[[str], N]:
    def parse(text: str) -> N:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    parse.__name__ = kind.__name__  # argparse says: invalid int value
    return parse
