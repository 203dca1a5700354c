"""fit: learn columns and classes from the raw tables of some days, and make them numeric."""

import csv
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from coding import Encoded, encode
from columns import learn
from csv_tables import csv_rows, has_rows, raw_days
from profiles import Counts, Profile
from sketches import Sketch, as_texts, sketch
from stageframe import OUT, WRONG_USAGE, StageError, shown, write_json
from stageframe.csv_files import csv_line, read_header
from stageframe.near_rows import EXACT, RowMarks, describe
from stageframe.rows import FEW_ROWS, from_texts, share_of
from stageframe.sources import FILE, write_sources
from stageframe.tasks import CLASSIFICATION
from targets import Targets, read_targets


def fit(task: str, categorical: str, max_categories: int) -> dict[str, Any]:
    """Learn columns and targets, write them and the numeric table; return the summary.

    categorical: names of columns, or target, whose numbers are but names; separated by commas.
    """
    days = days_with_rows()
    tables, paths = ([day / name for day in days] for name in ("data.csv", "target.csv"))
    names = read_names(tables)
    forced = parse_names(categorical, [*names, *(["target"] if task == CLASSIFICATION else [])])
    columns, profile, looks, warnings = learn(tables, names, forced - {"target"}, max_categories)
    targets = read_targets(paths, task, forced="target" in forced)
    rows = sum(targets.rows)
    near = describe(*looks, rows)
    share, marks = share_of(rows), RowMarks(columns, near)
    digests: dict[str, dict[str, dict[str, str]]] = {kind: {} for kind in marks.kinds}
    with (OUT / "train_data.csv").open("wb") as file:
        file.write(f"{csv_line([*names, 'target'])}\n".encode())
        for day in days:
            y = targets.read(day / "target.csv")
            keep = partial(sketch, marks, share)
            found = write_day(file, day / "data.csv", columns, targets, y, profile, keep)
            for kind, texts in as_texts(found).items():
                digests[kind][day.name] = texts
    exact = digests.pop(EXACT)
    warnings += tell_repeated(exact, numbers=targets.numbers) + targets.warnings()
    for warning in warnings:
        print(f"warning: {warning}", flush=True)
    parts = [{"day": day.name, "rows": n} for day, n in zip(days, targets.rows, strict=True)]
    fitted = {
        "version": 1,
        **({} if task == CLASSIFICATION else {"task": task}),
        "columns": profile.described(),
        **targets.described(),
        "days": parts,
        "digests": {"share": share, "days": exact, "near": {**near, "days": digests}},
    }
    write_json(OUT / "preprocess.json", fitted)
    write_sources(OUT / FILE, Path(__file__).parent)
    kinds = Counter(column["kind"] for column in columns)
    noted = {"warnings": "; ".join(warnings)} if warnings else {}
    return {
        "rows": rows,
        "days": len(days),
        "numeric": kinds["numeric"],
        "categorical": kinds["categorical"],
        **targets.summary(),
        "rare_values": int(profile.other.sum()),
        **noted,
    }


def tell_repeated(digests: dict[str, dict[str, str]], *, numbers: bool) -> list[str]:
    """Return a warning of each day whose rows are those of an earlier one.

    digests: as to_texts; numbers: what the targets are.
    """
    first = dict[tuple[str, ...], str]()
    return [
        f"{day} has the rows of {before} again: deliver each day's own rows"
        for day, texts in digests.items()
        if len(from_texts(texts, numbers=numbers)[0]) >= FEW_ROWS
        and (before := first.setdefault(tuple(texts.values()), day)) != day
    ]


def days_with_rows() -> list[Path]:
    """Return the folders raw/<day> but for days without rows: nothing can be learned from these."""
    days = []
    for day in raw_days():
        if any(has_rows(day / name) for name in ("data.csv", "target.csv")):
            days.append(day)
        else:
            print(f"{shown(day)} has no rows: it is left out", flush=True)
    if not days:
        raise StageError("raw has no day with rows: provide rows")
    return days


def read_names(tables: list[Path]) -> list[str]:
    """Return the names of the columns, which all tables have; the order is that of the first."""
    names = read_header(tables[0])
    for table in tables:
        if odd := set(names).symmetric_difference(read_header(table)):
            raise StageError(f"{shown(table)}: not every day has column {min(odd)!r}: drop it")
    if "target" in names:
        raise StageError(f"{shown(tables[0])} has a column 'target': keep it in target.csv alone")
    return names


def parse_names(text: str, known: list[str]) -> set[str]:
    """Return the names that --categorical gives, a row of CSV."""
    try:
        names = set(next(csv.reader([text]), []))
    except csv.Error as error:
        sentence = "--categorical: a name with a line end is not quoted: quote it"
        raise StageError(sentence, WRONG_USAGE) from error
    if "target" in names.difference(known):
        sentence = "--categorical target is for classes: leave it out, or --task regression"
        raise StageError(sentence, WRONG_USAGE)
    if odd := names.difference(known):
        raise StageError(f"--categorical: {min(odd)!r} is no column of data.csv", WRONG_USAGE)
    return names


def write_day(
    file: BinaryIO,
    table: Path,
    columns: list[dict[str, Any]],
    targets: Targets,
    y: np.ndarray,
    profile: Profile,
    keep: Callable[[np.ndarray, np.ndarray], Sketch],
) -> list[Sketch]:
    """Write a day's rows, add them to the profile, and return what is kept of each block of them.

    table: data.csv; y: the targets of its rows, (rows,), as `targets` read them; keep: makes a
    sketch of rows and targets.
    """
    rows, sketches = 0, [keep(np.empty((0, len(columns))), y[:0])]

    def written(block: Encoded) -> tuple[bytes, int, Sketch, Counts]:
        some = y[block.before :][: len(block.x)]
        own = targets.written(some)
        lines = (
            b"\n".join([*map(b",".join, zip(rows.splitlines(), own, strict=False)), b""])
            for rows in csv_rows(block.x)
        )
        return (
            b"".join(lines),
            len(block.x),
            keep(block.x[: len(some)], some),
            profile.count(block.x, block.unknown),
        )

    for text, number, some, counts in encode(table, columns, written):
        file.write(text)
        rows += number
        sketches.append(some)
        profile.add(counts)
    if rows != len(y):
        raise StageError(
            f"{shown(table)} has {rows} rows, target.csv beside it {len(y)}:"
            " give each row its target"
        )
    return sketches
