"""fit: learn columns and classes from the raw tables of some days, and make them numeric."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from classes import count_classes, count_labels, name_classes
from coding import encode
from columns import learn
from csv_tables import csv_line, csv_lines, has_rows, raw_days, read_frames
from profiles import Profile
from stageframe import OUT, WRONG_USAGE, StageError, shown, write_json
from stageframe.csv_files import read_header
from stageframe.rows import (
    FEW_ROWS,
    Digests,
    RowDigests,
    from_texts,
    kept,
    share_of,
    to_texts,
)


def fit(categorical: str, max_categories: int) -> dict[str, Any]:
    """Learn columns and classes, write them and the numeric table; return the summary.

    categorical: names of columns, or target, whose numbers are but names; separated by commas.
    """
    days = days_with_rows()
    tables, targets = ([day / name for day in days] for name in ("data.csv", "target.csv"))
    names = read_names(tables)
    forced = parse_names(categorical, [*names, "target"])
    columns, profile, warnings = learn(tables, names, forced - {"target"}, max_categories)
    daily = [count_labels(target) for target in targets]
    counts = sum(daily, Counter[str]())
    labels = name_classes(counts, targets, "target" in forced)
    classes = count_classes(counts, labels)
    cells = [csv_line([label]) for label in classes]
    code = {text: [*classes].index(label) for text, label in labels.items()}
    share, digests = share_of(counts.total()), dict[str, dict[str, str]]()
    with (OUT / "train_data.csv").open("wb") as file:
        file.write(csv_line([*names, "target"]) + b"\n")
        for day in days:
            codes = read_codes(day / "target.csv", code)
            found = write_day(file, day / "data.csv", columns, codes, cells, profile)
            some = kept(found, share)
            digests[day.name] = to_texts(found[some], codes[some])
    warnings += tell_repeated(digests) + tell_variants(classes)
    for warning in warnings:
        print(f"warning: {warning}", flush=True)
    rows_of = zip(days, daily, strict=True)
    fitted = {
        "version": 1,
        "columns": profile.described(),
        "classes": [*classes],
        "days": [{"day": day.name, "rows": texts.total()} for day, texts in rows_of],
        "class_counts": [*classes.values()],
        "digests": {"share": share, "days": digests},
    }
    write_json(OUT / "preprocess.json", fitted)
    kinds = Counter(column["kind"] for column in columns)
    noted = {"warnings": "; ".join(warnings)} if warnings else {}
    return {
        "rows": counts.total(),
        "days": len(days),
        "numeric": kinds["numeric"],
        "categorical": kinds["categorical"],
        "classes": len(classes),
        "rare_values": int(profile.other.sum()),
        **noted,
    }


def tell_repeated(digests: dict[str, dict[str, str]]) -> list[str]:
    """Return a warning of each day whose rows are those of an earlier one; digests: as to_texts."""
    first = dict[tuple[str, ...], str]()
    return [
        f"{day} has the rows of {before} again: deliver each day's own rows"
        for day, texts in digests.items()
        if len(from_texts(texts)[0]) >= FEW_ROWS
        and (before := first.setdefault(tuple(texts.values()), day)) != day
    ]


def tell_variants(classes: dict[str, int]) -> list[str]:
    """Return a warning of each class that differs from another in case or an end mark alone."""
    first = dict[str, str]()
    return [
        f"the classes {before!r} and {label!r} are two: spell them alike, if they are one"
        for label in classes
        if (before := first.setdefault(label.casefold().rstrip(" .,;:!"), label)) != label
    ]


def read_codes(target: Path, code: dict[str, int]) -> np.ndarray:
    """Return the codes of a day's targets, int (rows,); code: of each text."""
    frames = read_frames(target, ["target"])
    return np.array([code[text] for frame in frames for text in frame["target"].tolist()], int)


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
    if odd := names.difference(known):
        raise StageError(f"--categorical: {min(odd)!r} is no column of data.csv", WRONG_USAGE)
    return names


def write_day(
    file: BinaryIO,
    table: Path,
    columns: list[dict[str, Any]],
    codes: np.ndarray,
    cells: list[bytes],
    profile: Profile,
) -> Digests:
    """Write a day's rows, add them to the profile, and return their digests, uint64 (rows,).

    table: data.csv; codes: of the targets, int (rows,); cells: what is written for each class.
    """
    targets = map(cells.__getitem__, codes)
    digest, digests = RowDigests(columns), [np.zeros(0, np.uint64)]
    for x, unknown in encode(table, columns):
        file.writelines(b"%b,%b\n" % row for row in zip(csv_lines(x), targets, strict=False))
        digests.append(digest(x))
        profile.add(x, unknown)
    if (rows := sum(map(len, digests))) != len(codes):
        raise StageError(
            f"{shown(table)} has {rows} rows, target.csv beside it {len(codes)}:"
            " give each row its target"
        )
    return np.concatenate(digests)
