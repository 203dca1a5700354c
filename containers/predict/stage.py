"""Score data with a trained model, and measure and compare models on data that is new to them."""

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

import numpy as np
from comparison import compare
from files import IN, StageError, read_table, shown
from measures import histogram, measure, require_two_classes
from models import load_model, predict

OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


def between(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    parse.__name__ = "int"
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
        code, sentence = BAD_DATA, str(error)
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
    parser = Parser(prog="predict", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    predict, validate, compare = (
        verbs.add_parser(verb, allow_abbrev=False, help=text)
        for verb, text in (
            ("predict", "score features/data.csv"),
            ("validate", "measure the model on split/val.csv"),
            ("compare", "measure challenger/ and champion/ on the same rows, new to both"),
        )
    )
    predict.set_defaults(run=run_predict)
    validate.set_defaults(run=run_validate)
    compare.set_defaults(run=run_compare)
    text = "times that the rows are drawn again, for the intervals (default: 1000)"
    compare.add_argument("--resamples", type=between(100, 100_000), default=1000, help=text)
    text = "of these draws (default: 17)"
    compare.add_argument("--seed", type=between(0, 2**31 - 1), default=17, help=text)
    return parser.parse_args(argv)


def run_predict(_args: argparse.Namespace) -> dict[str, Any]:
    """Score features/data.csv into predictions.csv; return the summary."""
    model = load_model(IN / "model")
    classes = model.classes
    counts = np.zeros(len(classes), int)
    with (OUT / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["class", *(f"probability_{label}" for label in classes)])
        for x, _ in read_table(IN / "features" / "data.csv", model.features, []):
            scores = predict(model, x)
            best = scores.argmax(axis=1)
            counts += np.bincount(best, minlength=len(classes))
            # csv writes a float as repr does: the shortest text that reads back as the same.
            table.writerows(
                [classes[i], *row] for i, row in zip(best, scores.tolist(), strict=True)
            )
    predicted = {f"predicted_{label}": int(n) for label, n in zip(classes, counts, strict=True)}
    return {"rows": int(counts.sum()), **predicted}


def run_validate(_args: argparse.Namespace) -> dict[str, Any]:
    """Compare the model's scores of split/val.csv with its targets; return the summary."""
    model = load_model(IN / "model")
    table = IN / "split" / "val.csv"
    blocks = read_table(table, model.features, model.classes)
    parts = [(predict(model, x), y) for x, y in blocks]
    scores, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    require_two_classes(y, model.classes)
    metrics, curves = measure(y, scores, model.classes)
    metrics["scores"] = histogram(scores, model.classes)
    write_json(OUT / "metrics.json", metrics)
    for name, (header, rows) in curves.items():
        with (OUT / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def run_compare(args: argparse.Namespace) -> dict[str, Any]:
    """Compare challenger with champion, write the verdict; return it in short."""
    comparison = compare(args.resamples, args.seed)
    write_json(OUT / "comparison.json", comparison)
    ours, theirs = comparison["challenger"], comparison["champion"] or {}
    difference = comparison["difference"] or {}
    return {
        "verdict": comparison["verdict"],
        "reason": comparison["reason"],
        "rows": comparison["rows"],
        "days": len(comparison["days"]),
        "challenger_roc_auc": ours["roc_auc"],
        "champion_roc_auc": theirs.get("roc_auc"),
        "challenger_log_loss": ours["log_loss"],
        "champion_log_loss": theirs.get("log_loss"),
        "difference": difference.get("roc_auc"),
        "low": difference.get("low"),
        "high": difference.get("high"),
        "champion_version": theirs.get("version"),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
