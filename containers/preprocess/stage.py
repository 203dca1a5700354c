"""Make raw tables numeric, the same way for training and for prediction, and split them."""

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from coding import transform
from csv_tables import write_json
from faults import IN, INPUT_MISSING, OUT, TRY_AGAIN, WRONG_USAGE, StageError, shown
from fitting import fit
from splitting import split


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


def between(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Return an argparse type: a number of that kind from `low` to `high`, both included."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    parse.__name__ = kind.__name__
    return parse


def end_on_signal() -> None:
    """End at once on SIGTERM and SIGINT, as PID 1 and inside a long C call too.

    Python runs handlers in the main thread only, once its C call is over; the wake-up descriptor
    is written at once, whichever thread the signal reached.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    # PID 1 ignores every signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=lambda: os._exit(128 + os.read(reader, 1)[0]), daemon=True).start()


def main(argv: Sequence[str]) -> int:
    """Run one verb; return the exit code, with one sentence on stderr when it is not 0."""
    end_on_signal()
    args = parse_arguments(argv)
    try:
        write_json(OUT / "summary.json", args.run(args))
        return 0
    except StageError as error:
        code, sentence = error.code, str(error)
    except MemoryError:
        code, sentence = TRY_AGAIN, "memory ran out: give the stage more, or fewer rows"
    except OSError as error:
        if str(error.filename).startswith(f"{IN}/"):
            code = INPUT_MISSING
            sentence = f"{shown(error.filename)}: {error.strerror}: run the stage that writes it"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            code, sentence = TRY_AGAIN, "the disk of the output is full: free some space"
        else:
            code, sentence = TRY_AGAIN, f"{error}: check the disk, then try again"
    print(" ".join(sentence.split()), file=sys.stderr)
    return code


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parameters of one verb, and in `run` the function that does it."""
    parser = Parser(prog="preprocess", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fitting, splitting, transforming = (
        verbs.add_parser(verb, allow_abbrev=False, help=text)
        for verb, text in (
            ("fit", "learn the columns from raw/<day>/, write the numeric table"),
            ("split", "part processed/ into train.csv and val.csv"),
            ("transform", "make raw/<day>/data.csv numeric as model/preprocess.json says"),
        )
    )
    fitting.set_defaults(run=lambda args: fit(args.categorical, args.max_categories))
    splitting.set_defaults(run=lambda args: split(args.val_fraction, args.seed))
    transforming.set_defaults(run=lambda _: transform())
    text = "most categories of a column; rarer ones become missing (default: 255)"
    fitting.add_argument("--max-categories", type=between(int, 1, 65_535), default=255, help=text)
    text = "names of columns, or target, whose numbers are but names; separated by commas"
    fitting.add_argument("--categorical", default="", metavar="NAMES", help=text)
    text = "of the days, the newest; of one day, rows of each class (default: 0.2)"
    kind = between(float, 0.001, 0.999)
    splitting.add_argument("--val-fraction", type=kind, default=0.2, help=text)
    text = "of the choice of rows (default: 17)"
    splitting.add_argument("--seed", type=between(int, 0, 2**31 - 1), default=17, help=text)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
