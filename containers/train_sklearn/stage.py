"""Train scikit-learn's gradient boosting on the numeric table that preprocess wrote."""

import argparse
import csv
import errno
import hashlib
import itertools
import json
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
FIELDS = 2**19  # of a CSV table, read at a time
MAX_CATEGORIES = 255  # of a column: scikit-learn keeps a byte for each value

# scikit-learn would count the cores with a program, cat, that a small image does not have.
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
# Threads that wait must sleep: where others use the cores too, spinning makes them far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


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
    parser = Parser(prog="train_sklearn", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fit = verbs.add_parser("fit", allow_abbrev=False, help="train on split/train.csv")
    fit.set_defaults(run=run_fit)
    for name, kind, default, text in (
        ("--seed", between(int, 0, 2**31 - 1), 17, "of every random choice"),
        ("--rounds", between(int, 1, 100_000), 100, "trees, or trees per class if more than two"),
        ("--learning-rate", between(float, 1e-6, 1), 0.05, "weight of each tree"),
        ("--leaves", between(int, 2, 131_072), 15, "most leaves of a tree"),
        ("--leaf-rows", between(int, 1, 10**9), 50, "fewest rows of a leaf"),
        ("--l2", between(float, 0, 1e9), 5.0, "weight of the penalty on large leaves"),
        ("--columns", between(float, 1e-6, 1), 0.8, "share of the features that a split may use"),
    ):
        fit.add_argument(name, type=kind, default=default, help=f"{text} (default: {default})")
    return parser.parse_args(argv)


def run_fit(args: argparse.Namespace) -> dict[str, Any]:
    """Train on split/train.csv, write the model and what describes it; return the summary."""
    prepared, table = IN / "processed" / "preprocess.json", IN / "split" / "train.csv"
    spec = read_json(prepared, "columns", "classes", "days")
    names = [column["name"] for column in spec["columns"]]
    categories = [len(column.get("categories", [])) for column in spec["columns"]]
    for name, count in zip(names, categories, strict=True):
        if count > MAX_CATEGORIES:
            raise StageError(
                f"{shown(prepared)}: column {name!r} has {count} categories, this trainer takes"
                f" {MAX_CATEGORIES}: preprocess with --max-categories {MAX_CATEGORIES}"
            )
    blocks = list(read_table(table, names, spec["classes"]))
    x, y = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    blocks.clear()
    if len(np.unique(y)) < 2:
        raise StageError(f"{shown(table)} has rows of one class only: train on more rows or days")
    params = {k: v for k, v in vars(args).items() if k not in ("verb", "run")}
    print(f"training {args.rounds} rounds on {len(y)} rows of {len(names)} features", flush=True)
    # Two seconds of imports: not before a signal can end the stage, nor for --help or bad data.
    import sklearn  # noqa: PLC0415
    import treelite  # noqa: PLC0415

    model = to_treelite(train(x, y, categories, len(spec["classes"]), params))
    with table.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    days = days_of(len(y), spec["days"])
    categorical = [c["name"] for c in spec["columns"] if c["kind"] == "categorical"]
    description = {
        "version": 1,
        "format": "treelite",
        "features": names,
        "categorical": categorical,
        "classes": spec["classes"],
        "trained_on": {"days": days, "rows": len(y), "sha256": sha256},
        "params": params,
        "versions": {
            "scikit-learn": sklearn.__version__,
            "treelite": treelite.__version__,
            "numpy": np.__version__,
        },
    }
    (OUT / "model.txt").write_bytes(model.serialize_bytes())
    (OUT / "preprocess.json").write_bytes(prepared.read_bytes())
    write_json(OUT / "model.json", description)
    return {
        "rows": len(y),
        "days": len(days),
        "features": len(names),
        "categorical": len(categorical),
        "classes": len(spec["classes"]),
        "trees": model.num_tree,
    }


def train(
    x: np.ndarray, y: np.ndarray, categories: list[int], classes: int, params: dict[str, Any]
) -> Any:
    """Return a fitted HistGradientBoostingClassifier, the same however many threads run.

    x: float64 (rows, features), NaN = missing, changed in place; y: codes of the classes (rows,);
    categories: how many each feature has, 0 = numeric.
    https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    rows, features = x.shape
    # scikit-learn fails on a column without a value among the 200,000 rows that it draws to bin
    # it: a column that is next to empty is made constant, and so never split.
    few = np.count_nonzero(~np.isnan(x), axis=0) < max(params["leaf_rows"], rows / 5000)
    x[:, few & (np.array(categories) == 0)] = 0
    # It takes a category that it has not seen for missing, which treelite does not, and has no
    # place for a class that it has not seen. So rows without weight show it the rest of both.
    unseen = [np.setdiff1d(np.arange(count), x[:, j]) for j, count in enumerate(categories)]
    labels = np.setdiff1d(np.arange(classes), y)
    extra = np.full((max(map(len, [*unseen, labels])), features), np.nan)
    for j, codes in enumerate(unseen):
        extra[: len(codes), j] = codes
    weight = None
    if len(extra):
        x = np.vstack([x, extra])
        y = np.r_[y, labels, np.zeros(len(extra) - len(labels), int)]
        weight = np.r_[np.ones(rows), np.zeros(len(extra))]
    model = HistGradientBoostingClassifier(
        learning_rate=params["learning_rate"],
        max_iter=params["rounds"],
        max_leaf_nodes=params["leaves"],
        min_samples_leaf=params["leaf_rows"],
        l2_regularization=params["l2"],
        max_features=params["columns"],
        categorical_features=[count > 0 for count in categories],
        early_stopping=False,
        random_state=params["seed"],
    )
    return model.fit(x, y, weight)


def to_treelite(model: Any) -> Any:
    """Return a fitted classifier as a treelite.Model whose raw scores are its own, bit for bit."""
    import treelite.sklearn  # noqa: PLC0415

    with np.errstate(invalid="ignore"):  # treelite casts the category "missing" to an integer
        exported = treelite.sklearn.import_model(model)
    header = exported.get_header_accessor()
    base = np.array(header.get_field("base_scores"))
    # scikit-learn adds the trees to the base score, treelite the base score to their sum, and
    # floats depend on the order. A base score that is a part of the first trees comes first.
    for i, score in enumerate(base):
        tree = exported.get_tree_accessor(i)
        tree.set_field("leaf_value", tree.get_field("leaf_value") + score)
    header.set_field("base_scores", np.zeros_like(base))
    return exported


def days_of(rows: int, days: list[dict[str, Any]]) -> list[str]:
    """Return the days trained on: the oldest ones that add up to `rows`, or else all."""
    ends = list(itertools.accumulate(day["rows"] for day in days))
    return [day["day"] for day in days[: ends.index(rows) + 1 if rows in ends else None]]


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object of version 1 that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or value.get("version") != 1 or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} is not version 1 with {', '.join(keys)}: write it again")
    return value


def read_table(
    path: Path, names: list[str], classes: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a CSV table in blocks: float64 (rows, features), NaN = empty; class codes (rows,).

    The columns are `names`, then `target`. Raises StageError where the table is not like that.
    """
    columns = [*names, "target"]
    code = {label: i for i, label in enumerate(classes)}
    rows = 0
    try:
        with path.open("rb") as file:
            quoted = any(b'"' in block for block in iter(lambda: file.read(2**20), b""))
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, []) != columns:
                raise ValueError
            records = (
                ((",".join(record[:-1]), "", record[-1]) for record in reader)
                if quoted
                else (line.rstrip("\r\n").rpartition(",") for line in file)
            )
            while block := list(itertools.islice(records, max(1, FIELDS // len(columns)))):
                x = to_floats([features for features, _, _ in block])
                if x.shape != (len(block), len(names)) or np.isinf(x).any():
                    raise ValueError
                yield x, np.array([code[label] for _, _, label in block])
                rows += len(block)
    except (ValueError, LookupError, csv.Error) as error:
        raise StageError(explain(path, columns, code)) from error
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def to_floats(lines: list[str]) -> np.ndarray:
    """Return lines of comma separated numbers as float64 (rows, columns), NaN = empty."""
    # np.loadtxt is the fastest reader here, but it has to be told where values are missing:
    # wherever a separator follows a separator.
    text = "\n".join(["", *lines, ""]).encode()
    symbols = np.frombuffer(text, np.uint8)
    separators = (symbols == ord(",")) | (symbols == ord("\n"))
    gaps = np.flatnonzero(separators[:-1] & separators[1:]) + 1
    pieces = itertools.pairwise([1, *gaps.tolist(), len(text) - 1])
    text = b"nan".join([text[start:end] for start, end in pieces])
    return np.loadtxt(text.decode().split("\n"), delimiter=",", comments=None, ndmin=2)


def explain(path: Path, columns: list[str], classes: Container[str]) -> str:
    """Return what is wrong with the first row that is wrong."""
    where = f"{shown(path)}, header"
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        records = csv.reader(file, strict=True)
        try:
            header = next(records, [])
            if not header:
                return f"{shown(path)} is empty: provide a header and rows"
            if header != columns:
                odd = [
                    name for name in [*columns, *header] if (name in columns) != (name in header)
                ]
                what = f"column {odd[0]!r} is in one alone" if odd else "the order differs"
                return f"{where}: not the columns that the model has ({what}): prepare it again"
            for row, record in enumerate(records, 1):
                where = f"{shown(path)}, row {row}"
                if what := fault(record or [""], columns, classes):
                    return f"{where}: {what}"
        except csv.Error as error:
            return f"{where}: {error}: repair the quotes"
    return f"{shown(path)} changed while it was read: run the stage again"


def fault(record: list[str], columns: list[str], classes: Container[str]) -> str:
    """Return what is wrong with a row of a table, or ""."""
    if len(record) != len(columns):
        return f"it has {len(record)} fields, not {len(columns)}: complete the row"
    for name, text in zip(columns, record, strict=True):
        if re.search("[\udc80-\udcff]", text):  # what surrogateescape makes of other bytes
            return f"column {name!r} is not UTF-8: save the file as UTF-8"
        if name == "target" and text not in classes:
            return f"target {text!r} is none of the classes at fit: correct it"
        if name != "target" and not is_number(text):
            return f"column {name!r} holds {text[:50]!r}, not a finite number: correct it"
    return ""


def is_number(text: str) -> bool:
    """Return whether a field is a finite number, or missing."""
    try:
        return text.isascii() and "_" not in text and not math.isinf(float(text or "nan"))
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
