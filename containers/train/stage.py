"""Train a LightGBM classifier on the numeric table that preprocess wrote."""

import argparse
import csv
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import lightgbm
import numpy as np

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


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


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/").removeprefix(f"{OUT}/")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, the same bytes for the same value."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


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
    parser = Parser(prog="train", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fit = verbs.add_parser("fit", allow_abbrev=False, help="train on split/train.csv")
    fit.set_defaults(run=run_fit)
    fit.add_argument("--seed", type=between(int, 0, 2**31 - 1), default=17)
    fit.add_argument("--rounds", type=between(int, 1, 100_000), default=200)
    fit.add_argument("--learning-rate", type=between(float, 1e-6, 1), default=0.05)
    fit.add_argument("--leaves", type=between(int, 2, 131_072), default=31)
    return parser.parse_args(argv)


def run_fit(args: argparse.Namespace) -> dict[str, Any]:
    """Train on split/train.csv and return the summary."""
    with (IN / "split" / "train.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        table = [row for row in rows]
    classes = sorted({row[-1] for row in table})
    x = np.array([[float(v or "nan") for v in row[:-1]] for row in table])
    y = np.array([classes.index(row[-1]) for row in table])
    booster = lightgbm.train(
        {"objective": "multiclass", "num_class": len(classes), "num_leaves": args.leaves},
        lightgbm.Dataset(x, y),
        num_boost_round=args.rounds,
    )
    booster.save_model(OUT / "model.txt")
    return {"rows": len(table), "features": len(header) - 1}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
