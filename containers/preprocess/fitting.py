"""Learn columns and classes from the raw tables of some days, and make them numeric."""

import csv
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from coding import encode
from columns import all_numbers, learn, mostly_numbers
from csv_tables import csv_line, csv_lines, find_days, read_frames, read_header, write_json
from faults import OUT, WRONG_USAGE, StageError, find_fault, not_a_number, shown, to_number

MAX_CLASSES = 100


def fit(categorical: str, max_categories: int) -> dict[str, Any]:
    """Learn columns and classes, write them and the numeric table; return the summary.

    categorical: names of columns, or target, whose numbers are but names; separated by commas.
    """
    days = find_days()
    tables, targets = ([day / name for day in days] for name in ("data.csv", "target.csv"))
    names = read_header(tables[0])
    for table in tables:
        if odd := set(names).symmetric_difference(read_header(table)):
            raise StageError(f"{shown(table)}: not every day has column {min(odd)!r}: drop it")
    if "target" in names:
        raise StageError(f"{shown(tables[0])} has a column 'target': keep it in target.csv alone")
    try:
        forced = set(next(csv.reader([categorical]), []))
    except csv.Error as error:
        sentence = "--categorical: a name with a line end is not quoted: quote it"
        raise StageError(sentence, WRONG_USAGE) from error
    if odd := forced - {*names, "target"}:
        raise StageError(f"--categorical: {min(odd)!r} is no column of data.csv", WRONG_USAGE)
    columns, profile = learn(tables, names, forced - {"target"}, max_categories)
    daily = [count_labels(target) for target in targets]
    counts = sum(daily, Counter[str]())
    labels = name_classes(counts, targets, "target" in forced)
    found: Counter[str] = Counter()
    for text, n in counts.items():
        found[labels[text]] += n
    classes = sorted(found)
    if all_numbers(classes):
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
    kinds = Counter(column["kind"] for column in columns)
    return {
        "rows": counts.total(),
        "days": len(days),
        "numeric": kinds["numeric"],
        "categorical": kinds["categorical"],
        "classes": len(classes),
        "rare_values": int(profile.other.sum()),
    }


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
    numeric = all_numbers(counts)
    missing = {text for text in counts if numeric and math.isnan(to_number(text))}
    if missing := missing.union(counts.keys() & {"", "nan", "NaN"}):
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
    if whole := re.fullmatch(r"\s*([+-]?)0*(\d+)\s*", text, re.ASCII):
        return str(int(whole[1] + whole[2]))  # exact beyond 53 bits; int() takes 4300 digits
    value = float(text)
    return repr(int(value) if value.is_integer() else value)
