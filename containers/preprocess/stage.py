"""Make raw tables numeric, the same way for training and for prediction, and split them."""

import argparse
import csv
import errno
import io
import itertools
import json
import math
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import orjson
import pandas as pd

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
BLOCK = 2**22  # bytes of a table that are worked on at a time
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")  # among numbers; among texts only ""
NOT_TEXT = re.compile("[\\0\\udc80-\\udcff]")  # what "surrogateescape" makes of other encodings
MAX_CLASSES = 100
MAX_TEXTS = 100_000  # of a column, counted exactly: more would take memory without end
SAMPLE = 2**20  # fields of numeric columns that their deciles are taken from


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
    parser = Parser(prog="preprocess", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fit, split, transform = (
        verbs.add_parser(verb, allow_abbrev=False, help=text)
        for verb, text in (
            ("fit", "learn the columns from raw/<day>/, write the numeric table"),
            ("split", "part processed/ into train.csv and val.csv"),
            ("transform", "make raw/<day>/data.csv numeric as model/preprocess.json says"),
        )
    )
    fit.set_defaults(run=run_fit)
    split.set_defaults(run=run_split)
    transform.set_defaults(run=run_transform)
    text = "most categories of a column; rarer ones become missing (default: 255)"
    fit.add_argument("--max-categories", type=between(int, 1, 65_535), default=255, help=text)
    text = "names of columns, or target, whose numbers are but names; separated by commas"
    fit.add_argument("--categorical", default="", metavar="NAMES", help=text)
    text = "of the days, the newest; of one day, rows of each class (default: 0.2)"
    split.add_argument("--val-fraction", type=between(float, 0.001, 0.999), default=0.2, help=text)
    text = "of the choice of rows (default: 17)"
    split.add_argument("--seed", type=between(int, 0, 2**31 - 1), default=17, help=text)
    return parser.parse_args(argv)


def run_fit(args: argparse.Namespace) -> dict[str, Any]:
    """Learn columns and classes, write them and the numeric table; return the summary."""
    days = find_days()
    tables, targets = ([day / name for day in days] for name in ("data.csv", "target.csv"))
    names = read_header(tables[0])
    for table in tables:
        if odd := set(names).symmetric_difference(read_header(table)):
            raise StageError(f"{shown(table)}: not every day has column {min(odd)!r}: drop it")
    if "target" in names:
        raise StageError(f"{shown(tables[0])} has a column 'target': keep it in target.csv alone")
    forced = set(next(csv.reader([args.categorical]), []))
    if odd := forced - {*names, "target"}:
        raise StageError(f"--categorical: {min(odd)!r} is no column of data.csv", WRONG_USAGE)
    counts, sample = survey(tables, names, forced - {"target"})
    columns = []
    for name in names:
        texts = counts.get(name, Counter())
        if name not in forced and mostly_numbers(texts):
            raise StageError(find_fault(tables, not_a_number([name])))
        columns.append(describe(name, texts, name in forced, args.max_categories))
    profile = Profile(columns, counts, sample)
    daily = [count_labels(target) for target in targets]
    labels = name_classes(sum(daily, Counter()), targets, "target" in forced)
    found: Counter[str] = Counter()
    for text, n in sum(daily, Counter()).items():
        found[labels[text]] += n
    classes = sorted(found)
    if all(map(is_number, classes)):
        classes.sort(key=float)
    cells = {text: csv_line([label]) for text, label in labels.items()}
    with (OUT / "train_data.csv").open("wb") as file:
        file.write(csv_line([*names, "target"]) + b"\n")
        for table, target, texts in zip(tables, targets, daily, strict=True):
            column = (
                cells[text]
                for frame in read_frames(target, ["target"])
                for text in frame["target"].tolist()
            )
            rows = 0
            for x, unknown in encode(table, columns):
                file.writelines(b"%b,%b\n" % row for row in zip(csv_lines(x), column, strict=False))
                rows += len(x)
                profile.add(x, unknown)
            if rows != texts.total():
                raise StageError(
                    f"{shown(table)} has {rows} rows, target.csv beside it {texts.total()}:"
                    " give each row its target"
                )
    rows_of = zip(days, daily, strict=True)
    fitted = {
        "version": 1,
        "columns": profile.described(),
        "classes": classes,
        "days": [{"day": day.name, "rows": texts.total()} for day, texts in rows_of],
        "class_counts": [found[label] for label in classes],
    }
    write_json(OUT / "preprocess.json", fitted)
    categorical = sum(column["kind"] == "categorical" for column in columns)
    return {
        "rows": sum(texts.total() for texts in daily),
        "days": len(days),
        "numeric": len(columns) - categorical,
        "categorical": categorical,
        "classes": len(classes),
        "rare_values": int(profile.other.sum()),
    }


def run_transform(_args: argparse.Namespace) -> dict[str, Any]:
    """Write data.csv, numeric as model/preprocess.json says; return the summary."""
    columns = read_json(IN / "model" / "preprocess.json", "columns")["columns"]
    names = [column["name"] for column in columns]
    tables = [day / "data.csv" for day in find_days()]
    rows, unseen, extra = 0, 0, set[str]()
    with (OUT / "data.csv").open("wb") as file:
        file.write(csv_line(names) + b"\n")
        for table in tables:
            header = set(read_header(table))
            if missing := [name for name in names if name not in header]:
                raise StageError(
                    f"{shown(table)}: column {missing[0]!r} of the model is missing: add it"
                )
            extra |= header.difference(names)
            for x, unknown in encode(table, columns):
                file.write(b"\n".join([*csv_lines(x), b""]))
                rows += len(x)
                unseen += int(unknown.sum())
    if extra:
        print(f"warning: the model does not know the columns {sorted(extra)}: they are ignored")
    return {
        "rows": rows,
        "days": len(tables),
        "unseen_values": unseen,
        "ignored_columns": len(extra),
    }


def run_split(args: argparse.Namespace) -> dict[str, Any]:
    """Part train_data.csv by time, or a single day by class; return the summary."""
    table = IN / "processed" / "train_data.csv"
    days = read_json(IN / "processed" / "preprocess.json", "days")["days"]
    ends = np.cumsum([day["rows"] for day in days])
    names = read_header(table)
    if names[-1] != "target":
        raise StageError(f"{shown(table)}: its last column is not target: run fit again")
    if len(days) > 1:
        newest = min(max(round(args.val_fraction * len(days)), 1), len(days) - 1)
        chosen = np.arange(ends[-1]) >= ends[-newest - 1]
    else:
        targets = pd.concat([frame["target"] for frame in read_frames(table, ["target"])])
        chosen = choose(pd.factorize(targets)[0], args.val_fraction, args.seed)
    rows = 0
    with (OUT / "train.csv").open("wb") as train, (OUT / "val.csv").open("wb") as val:
        for file in (train, val):
            file.write(csv_line(names) + b"\n")
        for block, stops in read_blocks(table, len(names)):
            starts = [0, *(stops[:-1] + 1).tolist()]
            sides = chosen[rows : rows + len(stops)].tolist()
            for start, stop, validates in zip(starts, stops.tolist(), sides, strict=False):
                (val if validates else train).write(block[start : stop + 1])
            rows += len(stops)
    if rows != ends[-1]:
        raise StageError(
            f"{shown(table)} has {rows} rows, preprocess.json {ends[-1]}: run fit again"
        )
    if not chosen.any():
        raise StageError(f"{shown(table)}: no class has two rows: provide more rows")
    return {
        "train_rows": int((~chosen).sum()),
        "val_rows": int(chosen.sum()),
        "by": "time" if len(days) > 1 else "class",
    }


def choose(codes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return which rows validate, bool (rows,): this fraction of each class, at random.

    codes: int (rows,). A class with two rows or more has rows on both sides.
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(codes), bool)
    for code in np.unique(codes):
        rows = random.permutation(np.flatnonzero(codes == code))
        if len(rows) > 1:
            chosen[rows[: min(max(round(fraction * len(rows)), 1), len(rows) - 1)]] = True
    return chosen


def find_days() -> list[Path]:
    """Return the folders raw/<day>, in the order of time."""
    days = sorted(path for path in (IN / "raw").iterdir() if path.is_dir())
    if not days:
        raise StageError("raw has no folder of a day: generate one", INPUT_MISSING)
    for day in days:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day.name, re.ASCII):
            raise StageError(f"{shown(day)} is no day: name it like 2013-01-31")
    return days


def survey(
    tables: list[Path], names: list[str], text: Collection[str]
) -> tuple[dict[str, Counter[str]], dict[str, np.ndarray]]:
    """Return what there is in each column: in all rows if it holds texts, in some of them if not.

    text: columns that are read as text from the start. Returns how often each value occurs in
    each column that holds, somewhere, other than numbers; and of each other column the values,
    float64 (rows of the sample,), of the same rows chosen at random, all if they are few.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in text}
    numeric = [name for name in names if name not in text]
    sample = np.empty((max(SAMPLE // max(len(numeric), 1), 1000), len(numeric)))
    random = np.random.default_rng(0)
    rows = 0
    for table in tables:
        for frame in read_frames(table, text):
            other = [name for name in numeric if frame[name].dtype.kind not in "iuf"]
            if other:  # what came before was read as numbers: start again
                return survey(tables, names, [*text, *other])
            x = frame[numeric].to_numpy(float)
            if np.isinf(x).any():
                raise StageError(find_fault([table], not_a_number(numeric)))
            # Algorithm R (Vitter 1985, https://doi.org/10.1145/3147.3165): each row takes a place
            # as likely as any other; of two that take the same one, NumPy keeps the later.
            place = np.arange(rows, rows + len(x))
            late = place >= len(sample)
            place[late] = random.integers(0, place[late] + 1)
            chosen = place < len(sample)
            sample[place[chosen]] = x[chosen]
            rows += len(x)
            for name, seen in counts.items():
                seen.update(frame[name].tolist())
                if len(seen) > 2 * MAX_TEXTS:
                    counts[name] = Counter(dict(seen.most_common(MAX_TEXTS)))
    return counts, dict(zip(numeric, sample[:rows].T, strict=True))


class Profile:
    """What the rows are like, column by column: data of another day can be compared with it."""

    def __init__(
        self,
        columns: list[dict[str, Any]],
        texts: dict[str, Counter[str]],
        sample: dict[str, np.ndarray],
    ) -> None:
        """Choose the bins: of numbers by what `survey` returned; of categories, one for each."""
        self._columns = columns
        self._edges = []
        for column in columns:
            if column["kind"] == "categorical":
                self._edges.append(np.arange(1.0, len(column["categories"])))
            elif column["name"] in sample:
                values = sample[column["name"]]
                self._edges.append(decile_edges(*np.unique(values, return_counts=True)))
            else:  # numbers that pandas cannot hold, and were read as texts
                found = texts[column["name"]].items()
                pairs = sorted((float(text), n) for text, n in found if text not in MISSING)
                self._edges.append(decile_edges(*np.array(pairs).reshape(-1, 2).T))
        self._counts = [np.zeros(len(edges) + 1, int) for edges in self._edges]
        self._missing = np.zeros(len(columns), int)
        self.other = np.zeros(len(columns), int)

    def add(self, x: np.ndarray, unknown: np.ndarray) -> None:
        """Count rows as `encode` yields them."""
        empty = np.isnan(x)
        self._missing += empty.sum(axis=0) - unknown
        self.other += unknown
        for j, edges in enumerate(self._edges):
            bins = edges.searchsorted(x[~empty[:, j], j], side="right")
            self._counts[j] += np.bincount(bins, minlength=len(edges) + 1)

    def described(self) -> list[dict[str, Any]]:
        """Return the columns with their profiles, as preprocess.json has them."""
        described = []
        for j, column in enumerate(self._columns):
            counts, missing = self._counts[j].tolist(), int(self._missing[j])
            if column["kind"] == "numeric":
                profile = {"edges": self._edges[j].tolist(), "counts": counts, "missing": missing}
            else:
                counts = counts[: len(column["categories"])]  # of none there is a bin all the same
                profile = {"counts": counts, "other": int(self.other[j]), "missing": missing}
            described.append({**column, "profile": profile})
        return described


def decile_edges(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return what parts these values into tenths, float64 (edges,): 9 edges, rising, or fewer.

    values: float64 (values,), sorted; counts: how often each occurs; NaN are left out. A bin
    begins at its edge, which is one of the values. One that makes up more than a tenth has a bin
    of its own, so that a flag, or a column that is mostly 0, has its bins too. A single value has
    no edge.
    """
    values, counts = values[~np.isnan(values)], counts[~np.isnan(values)]
    if not len(values):
        return values
    total = np.cumsum(counts)
    deciles, times = np.unique(
        np.searchsorted(10 * total, total[-1] * np.arange(1, 10)), return_counts=True
    )
    after = deciles[(times > 1) | (deciles == 0)] + 1
    begins = np.union1d(deciles[deciles > 0], after[after < len(values)])
    edges: np.ndarray = values[begins] + 0.0  # no -0.0
    return edges


def mostly_numbers(texts: Counter[str]) -> bool:
    """Return whether more values are numbers than other texts, but not all."""
    words = sum(n for text, n in texts.items() if text not in MISSING and not is_number(text))
    numbers = sum(n for text, n in texts.items() if text not in MISSING) - words
    return 0 < words < numbers


def describe(name: str, texts: Counter[str], forced: bool, limit: int) -> dict[str, Any]:
    """Return a column of preprocess.json: categorical if forced, or if not all are numbers."""
    if not forced and all(text in MISSING or is_number(text) for text in texts):
        return {"name": name, "kind": "numeric"}
    frequent = sorted((text for text in texts if text), key=lambda text: (-texts[text], text))
    return {"name": name, "kind": "categorical", "categories": sorted(frequent[:limit])}


def count_labels(target: Path) -> Counter[str]:
    """Return how often each label occurs in a day's target.csv."""
    if (names := read_header(target)) != ["target"]:
        raise StageError(f"{shown(target)} has columns {names}: it must have one, target")
    counts: Counter[str] = Counter()
    for frame in read_frames(target, names):
        counts.update(frame["target"].tolist())
        if len(counts) > MAX_CLASSES:
            raise StageError(
                f"{shown(target)} has more than {MAX_CLASSES} different targets: group them into"
                " classes, a number cannot be predicted"
            )
    return counts


def name_classes(counts: Counter[str], targets: list[Path], forced: bool) -> dict[str, str]:
    """Return the class of each label: the label itself; of a number, unless forced, its value."""
    numeric = all(text in MISSING or is_number(text) for text in counts)
    missing = MISSING if numeric else ("", "nan", "NaN")
    if not counts.keys().isdisjoint(missing):
        what = "the target is missing: give the row one, or remove it from both files"
        raise StageError(find_fault(targets, lambda _, text: what if text in missing else None))
    if not forced and mostly_numbers(counts):
        raise StageError(find_fault(targets, not_a_number(["target"])))
    labels = {text: text if forced or not numeric else plain(text) for text in counts}
    if len(set(labels.values())) < 2:
        raise StageError(
            f"{shown(targets[0])}: all targets are {min(labels)!r}: provide rows of another class"
        )
    return labels


def plain(text: str) -> str:
    """Return a number as one writes it: 1 for 1.0, 01 and 1e0."""
    if re.fullmatch(r"\s*[+-]?\d+\s*", text, re.ASCII):
        return str(int(text))  # exact beyond 53 bits
    value = float(text)
    return repr(int(value) if value.is_integer() else value)


def encode(path: Path, columns: list[dict[str, Any]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a raw table in blocks: float64 (rows, columns), and the texts that are no category.

    A categorical value is its index in the column's categories; NaN = missing or no category. How
    many texts of each column are no category is int (columns,).
    """
    names = [column["name"] for column in columns]
    known = {c["name"]: pd.Index(c["categories"]) for c in columns if c["kind"] == "categorical"}
    numeric = [name for name in names if name not in known]
    for frame in read_frames(path, known, names):
        x = np.empty((len(frame), len(names)))
        unknown = np.zeros(len(names), int)
        for j, name in enumerate(names):
            values = frame[name]
            if name in known:
                codes = known[name].get_indexer(values)
                x[:, j] = np.where(codes < 0, np.nan, codes)
                unknown[j] = ((codes < 0) & (values != "")).sum()
            elif values.dtype.kind in "iuf":
                x[:, j] = values
            elif all(map(is_number, texts := [str(value) for value in values])):
                x[:, j] = [float(text) for text in texts]  # such as integers beyond 64 bits
            else:
                x[:, j] = np.inf
        if np.isinf(x).any():
            raise StageError(find_fault([path], not_a_number(numeric)))
        yield x, unknown


def csv_line(fields: Sequence[str]) -> bytes:
    """Return a row of CSV without its line end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(fields)
    return text.getvalue().removesuffix("\r\n").encode()


def csv_lines(x: np.ndarray) -> list[bytes]:
    """Return rows of CSV for float64 (rows, columns): shortest exact numbers, NaN = empty."""
    # A JSON library is the fastest writer of floats that there is: 10 times pandas' speed.
    text = orjson.dumps(x, option=orjson.OPT_SERIALIZE_NUMPY)
    for found, wanted in ((b"null", b""), (b".0,", b","), (b".0]", b"]")):
        text = text.replace(found, wanted)
    return text[2:-2].split(b"],[")


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object of version 1 that has these keys."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or value.get("version") != 1 or not value.keys() >= set(keys):
        raise StageError(f"{shown(path)} is not version 1 with {', '.join(keys)}: write it again")
    return value


def read_header(path: Path) -> list[str]:
    """Return the names of a table's columns."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        names = next(csv.reader(file), [])
    if not names:
        raise StageError(f"{shown(path)} is empty: provide a header and rows")
    for name in names:
        if not name.strip():
            raise StageError(
                f"{shown(path)}: a column has no name: name it, or leave out the index"
            )
        if names.count(name) > 1:
            raise StageError(f"{shown(path)}: two columns are called {name!r}: rename one")
        if NOT_TEXT.search(name):
            raise StageError(f"{shown(path)}: column {name!r} is not UTF-8: save it as UTF-8")
    return names


def read_frames(
    path: Path, text: Collection[str], wanted: list[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Yield a table in blocks, of all columns or those wanted; those in `text` as they came."""
    names = read_header(path)
    for block, _ in read_blocks(path, len(names)):
        yield pd.read_csv(
            io.BytesIO(block),
            header=None,
            names=names,
            usecols=wanted,
            index_col=False,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values={name: MISSING for name in names if name not in text},
            skip_blank_lines=False,
            low_memory=False,
        )


def read_blocks(path: Path, width: int) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yield the rows below the header in blocks of whole rows, and where in the block each ends.

    Each row is sure to have `width` fields: pandas would fill up one that is cut short.
    """
    rows = 0
    try:
        with path.open("rb") as file:
            read_rows(file, 0)
            while block := read_rows(file, BLOCK):
                block = block.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n"
                block.decode()
                ends = row_ends(block, width)
                yield block, ends
                rows += len(ends)
    except ValueError as error:
        raise StageError(find_fault([path], otherwise=f"below row {rows}: {error}")) from error
    if not rows:
        raise StageError(f"{shown(path)} has a header but no rows: provide rows")


def read_rows(file: BinaryIO, size: int) -> bytes:
    """Return `size` bytes and what is left of the row; a line end in quotes does not end a row."""
    lines = [file.read(size) + file.readline()]
    if lines[0].count(b'"') % 2:
        for line in itertools.islice(file, 10_000):
            lines.append(line)
            if line.count(b'"') % 2:
                break
    return b"".join(lines)


def row_ends(block: bytes, width: int) -> np.ndarray:
    """Return the index of each row's line end; ValueError if not all rows have `width` fields."""
    symbols = np.frombuffer(block, np.uint8)
    commas, ends, returns, quotes = (symbols == ord(symbol) for symbol in ',\n\r"')
    if quotes.any():
        inside = np.logical_xor.accumulate(quotes)
        edges = commas | ends | quotes
        opening, closing = (np.flatnonzero(quotes & side) for side in (inside, ~inside))
        if inside[-1] or not (edges[opening - 1].all() and edges[closing + 1].all()):
            raise ValueError(
                "a quote is open, not doubled, or in a field that is not quoted: correct it"
            )
        commas, ends, returns = (found & ~inside for found in (commas, ends, returns))
    if returns.any():
        raise ValueError("a line ends in a carriage return alone: save it with line feeds")
    where = np.flatnonzero(ends)
    counts = np.diff(np.searchsorted(np.flatnonzero(commas), where), prepend=0)
    if (counts != width - 1).any() or b"\0" in block:
        raise ValueError("a row is not whole: correct it")
    return where


def find_fault(
    paths: list[Path],
    fault: Callable[[str, str], str | None] = lambda _name, _text: None,
    otherwise: str = "",
) -> str:
    """Return what is wrong with the first row that is wrong; `fault` tells of a column's text."""
    for path in paths:
        where = shown(path)
        try:
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                records = csv.reader(file, strict=True)
                names = next(records)
                for row, record in enumerate(records, 1):
                    where = f"{shown(path)}, row {row}"
                    fields = record or [""]
                    if len(fields) != len(names):
                        return f"{where} has {len(fields)} fields, not {len(names)}: complete it"
                    for name, text in zip(names, fields, strict=True):
                        if NOT_TEXT.search(text):
                            return f"{where}: column {name!r} is not UTF-8: save it as UTF-8"
                        if what := fault(name, text):
                            return f"{where}: {what}"
        except csv.Error as error:
            return f"{where}: {error}: repair the quotes"
    return f"{shown(paths[0])}: {otherwise or 'it changed while it was read'}"


def not_a_number(names: Collection[str]) -> Callable[[str, str], str | None]:
    """Return a `fault` that tells of texts in these columns that are no finite numbers."""

    def fault(name: str, text: str) -> str | None:
        if name not in names or text in MISSING or is_number(text):
            return None
        return (
            f"column {name!r} holds {text[:50]!r}, not a finite number: correct it, or name the"
            " column in fit's --categorical"
        )

    return fault


def is_number(text: str) -> bool:
    """Return whether a field is a finite number, or missing."""
    try:
        return text.isascii() and "_" not in text and not math.isinf(float(text or "nan"))
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
