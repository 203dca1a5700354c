"""What the contract says of a stage's files beside their names: syntax, columns, rows.

Each function yields one sentence for each thing that is not so.
"""

import csv
import hashlib
import json
import math
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

Inputs = Mapping[str, Path]  # path under /in -> directory
Problems = Iterator[str]


@dataclass(frozen=True)
class Table:
    """A CSV file."""

    file: str
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        i = self.header.index(name)
        return [row[i] for row in self.rows]


def read_table(path: Path) -> Table:
    """Read a CSV file. Raises ValueError, a sentence, where it is not whole."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not CSV in UTF-8: {error}") from None
    if not header or "" in header or len(set(header)) < len(header):
        raise ValueError(f"{path.name} has no header of names that differ: {header}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(
                f"{path.name}, row {number} has {len(row)} fields, its header {len(header)}"
            )
    return Table(path.name, header, rows)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ValueError, a sentence; NaN is none of JSON's numbers."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    try:
        return json.loads(path.read_bytes(), parse_constant=refuse)
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None


def wrong_kinds(out: Path) -> Problems:
    """What is neither a file nor a directory, or has a name that the platform uses."""
    for path in sorted(out.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield f"/out/{path.relative_to(out)} is a symbolic link"
        elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            yield f"/out/{path.relative_to(out)} is a special file"
        if path.name == "manifest.json":
            yield "/out/manifest.json is the platform's to write"


def missing(out: Path, files: tuple[str, ...]) -> Problems:
    for file in files:
        path = out / file
        if not path.exists():
            yield f"there is no /out/{file}"
        elif path.stat().st_size == 0:
            yield f"/out/{file} is empty"


def ill_formed(out: Path) -> Problems:
    for path in sorted(out.rglob("*")):
        try:
            if path.suffix == ".csv":
                read_table(path)
            elif path.suffix == ".json":
                read_json(path)
        except ValueError as error:
            yield str(error)


def not_flat(summary: Path) -> Problems:
    try:
        content = read_json(summary)
    except ValueError as error:
        yield str(error)
        return
    if not isinstance(content, dict) or not content:
        yield "summary.json holds no object with a key"
        return
    for name, value in content.items():
        if isinstance(value, dict | list):
            yield f"summary.json: {name} is {json.dumps(value)[:80]}, not a single value"


def differs(what: str, expected: object, actual: object) -> Problems:
    if expected != actual:
        yield f"{what}: expected {str(expected)[:200]}, found {str(actual)[:200]}"


# What a model of numbers is measured by: the loss that it is trained to keep small.
METRICS = {
    "squared": "rmse",
    "absolute": "mae",
    "poisson": "poisson_deviance",
    "quantile": "pinball_loss",
}


def is_regression(spec: Mapping[str, Any]) -> bool:
    """Whether a preprocess.json or model.json is about numbers to predict."""
    return spec.get("task") == "regression"


def is_within(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def between(bounds: Sequence[float]) -> str:
    return "a number from {} to {}".format(*bounds) if bounds else "a number"


# One function for each kind of work whose files have a format of their own.


def generated(_inputs: Inputs, out: Path) -> Problems:
    data, target = read_table(out / "data.csv"), read_table(out / "target.csv")
    yield from differs("columns of target.csv", ["target"], target.header)
    yield from differs("rows of target.csv, as of data.csv", len(data.rows), len(target.rows))
    if "target" in data.header:
        yield "data.csv has a column target, which would be learned from"
    if len(set(map(tuple, target.rows))) < 2:
        yield "target.csv has one target in all rows, of which nothing can be learned"


def fitted_columns(inputs: Inputs, out: Path) -> Problems:
    days = [name for name in inputs if name.startswith("raw/")]
    data = joined(read_table(inputs[day] / "data.csv") for day in days)
    target = joined(read_table(inputs[day] / "target.csv") for day in days)
    table, fitted = read_table(out / "train_data.csv"), read_json(out / "preprocess.json")
    yield from differs("columns of train_data.csv", [*data.header, "target"], table.header)
    yield from differs("rows of train_data.csv", len(data.rows), len(table.rows))
    yield from numeric(table, data.header, data)
    labels = [fields[0] for fields in target.rows]
    if not same_cells(labels, table.column("target")):
        yield "train_data.csv: the targets are not those of target.csv in their order"
    yield from differs("preprocess.json, version", 1, fitted.get("version"))
    names = [column.get("name") for column in fitted.get("columns", [])]
    yield from differs("preprocess.json, names of columns", data.header, names)
    if is_regression(fitted):
        found = set(fitted).intersection(("classes", "class_counts"))
        yield from differs("preprocess.json, of classes where numbers are predicted", set(), found)
    else:
        classes = sorted(set(table.column("target")), key=by_number)
        yield from differs("preprocess.json, classes", classes, fitted.get("classes"))
    counts = [
        {"day": day.removeprefix("raw/"), "rows": len(read_table(inputs[day] / "data.csv").rows)}
        for day in days
    ]
    yield from differs("preprocess.json, days", counts, fitted.get("days"))


def split_rows(inputs: Inputs, out: Path) -> Problems:
    whole = read_table(inputs["processed"] / "train_data.csv")
    days = read_json(inputs["processed"] / "preprocess.json")["days"]
    parts = [read_table(out / name) for name in ("train.csv", "val.csv")]
    for part in parts:
        yield from differs(f"columns of {part.file}", whole.header, part.header)
    older = len(whole.rows) - days[-1]["rows"]
    for part, rows in zip(parts, (whole.rows[:older], whole.rows[older:]), strict=True):
        yield from differs(f"rows of {part.file}", len(rows), len(part.rows))
        if len(rows) == len(part.rows) and rows != part.rows:
            yield f"{part.file} has not the rows of its days as they were, in their order"


def trained(inputs: Inputs, out: Path) -> Problems:
    path = inputs["split"] / "train.csv"
    table, model = read_table(path), read_json(out / "model.json")
    fitted = read_json(inputs["processed"] / "preprocess.json")
    yield from differs("model.json, version", 1, model.get("version"))
    yield from differs("model.json, features", table.header[:-1], model.get("features"))
    for key in ("classes", "task"):
        yield from differs(f"model.json, {key}", fitted.get(key), model.get(key))
    if is_regression(fitted):
        yield from unsaid_loss(model)
    if not isinstance(model.get("format"), str):
        yield "model.json does not say its format"
    expected = {"rows": len(table.rows), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    learned = model.get("trained_on") or {}
    found = {name: learned.get(name) for name in expected}
    yield from differs("model.json, trained_on", expected, found)
    same = (inputs["processed"] / "preprocess.json").read_bytes()
    if same != (out / "preprocess.json").read_bytes():
        yield "preprocess.json is no copy of processed/preprocess.json, byte for byte"


def unsaid_loss(model: Mapping[str, Any]) -> Problems:
    """What a model of numbers does not say of what it keeps small."""
    loss, baseline = model.get("loss"), model.get("baseline")
    if loss not in METRICS:
        yield f"model.json, loss: expected one of {', '.join(METRICS)}, found {loss}"
    elif loss == "quantile" and not is_within(model.get("quantile"), 0, 1):
        yield f"model.json, quantile: expected 0 to 1, found {model.get('quantile')}"
    found = baseline if isinstance(baseline, dict) else {}
    for name in ("mean", "constant"):
        if not is_within(found.get(name)):
            yield f"model.json, baseline, {name}: expected a number, found {found.get(name)}"


def validated(inputs: Inputs, out: Path) -> Problems:
    rows, metrics = read_table(inputs["split"] / "val.csv").rows, read_json(out / "metrics.json")
    yield from differs("metrics.json, rows", len(rows), metrics.get("rows"))
    model = read_json(inputs["model"] / "model.json")
    if is_regression(model):
        measures = {"rmse": (0, math.inf), "mae": (0, math.inf), METRICS[model["loss"]]: ()}
    else:
        measures = {"accuracy": (0, 1), "roc_auc": (0, 1)}
    for name, bounds in measures.items():
        if not is_within(metrics.get(name), *bounds):
            yield f"metrics.json, {name}: expected {between(bounds)}, found {metrics.get(name)}"
    for path in sorted(out.glob("*.csv")):
        if not read_table(path).rows:
            yield f"{path.name} has no rows"


def transformed(inputs: Inputs, out: Path) -> Problems:
    days = [name for name in inputs if name.startswith("raw/")]
    data = joined(read_table(inputs[day] / "data.csv") for day in days)
    columns = read_json(inputs["model"] / "preprocess.json")["columns"]
    table = read_table(out / "data.csv")
    names = [column["name"] for column in columns]
    yield from differs("columns of data.csv", names, table.header)
    yield from differs("rows of data.csv", len(data.rows), len(table.rows))
    yield from numeric(table, names, data)


def predicted(inputs: Inputs, out: Path) -> Problems:
    rows = read_table(inputs["features"] / "data.csv").rows
    model, table = read_json(inputs["model"] / "model.json"), read_table(out / "predictions.csv")
    yield from differs("rows of predictions.csv", len(rows), len(table.rows))
    if is_regression(model):
        yield from differs("columns of predictions.csv", ["prediction"], table.header)
        for number, (cell, *_) in enumerate(table.rows, 1):
            if not math.isfinite(as_number(cell)):
                yield f"predictions.csv, row {number}: {cell!r} is no number"
                return  # one row says enough
        return
    classes = model["classes"]
    header = ["class", *(f"probability_{label}" for label in classes)]
    yield from differs("columns of predictions.csv", header, table.header)
    for number, (label, *cells) in enumerate(table.rows, 1):
        values = [as_number(cell) for cell in cells]
        if label not in classes:
            yield f"predictions.csv, row {number}: {label!r} is none of the classes {classes}"
        elif not all(0 <= v <= 1 for v in values) or not math.isclose(sum(values), 1, abs_tol=1e-6):
            yield f"predictions.csv, row {number}: {cells} are no probabilities that add up to 1"
        else:
            continue
        return  # one row says enough


def compared(inputs: Inputs, out: Path) -> Problems:
    """Without a champion, as the checks run it."""
    comparison, summary = (read_json(out / name) for name in ("comparison.json", "summary.json"))
    yield from differs("comparison.json, version", 1, comparison.get("version"))
    yield from differs("comparison.json, verdict", "first", comparison.get("verdict"))
    for name in ("champion", "difference"):
        yield from differs(f"comparison.json, {name}", None, comparison.get(name, "nothing"))
    if not str(comparison.get("reason") or "").endswith("."):
        yield "comparison.json, reason: expected a sentence"
    rows, days = comparison.get("rows"), comparison.get("days")
    if not isinstance(rows, int) or rows < 2 or not days or not isinstance(days, list):
        yield f"comparison.json: expected rows and days, found {rows} and {days}"
    challenger, proof = comparison.get("challenger") or {}, comparison.get("proof") or {}
    model, metric = read_json(inputs["challenger"] / "model.json"), comparison.get("metric")
    if is_regression(model):
        yield from differs("comparison.json, metric", METRICS[model["loss"]], metric)
        measures = {"rmse": (0, math.inf), "mae": (0, math.inf), "skill_low": (-math.inf, 1)}
    else:
        yield from differs("comparison.json, metric", "roc_auc", metric)
        measures = dict.fromkeys(("roc_auc", "accuracy", "average_precision"), (0, 1))
    for name, bounds in measures.items():
        if not is_within(challenger.get(name), *bounds):
            found = challenger.get(name)
            yield f"comparison.json, challenger, {name}: expected {between(bounds)}, found {found}"
    if odd := {"challenger_trained_on", "champion_trained_on", "left_out"}.difference(proof):
        yield f"comparison.json, proof: {min(odd)} is missing"
    same = {"verdict", "reason", "rows"}
    yield from differs(
        "summary.json, as comparison.json",
        {name: comparison.get(name) for name in same},
        {name: summary.get(name) for name in same},
    )


def reported(inputs: Inputs, out: Path) -> Problems:
    day, folder = max((name, path) for name, path in inputs.items() if name.startswith("pred"))
    rows = len(read_table(folder / "predictions.csv").rows)
    found, summary = read_json(out / "quality.json"), read_json(out / "summary.json")
    expected = {"version": 1, "date": day.partition("/")[2], "rows": rows}
    yield from differs("quality.json", expected, {name: found.get(name) for name in expected})
    if not isinstance(found.get("ok"), bool) or found["ok"] != (found.get("problems") == []):
        yield "quality.json: ok must be true without problems, and false with any"
    columns = read_json(inputs["model"] / "preprocess.json")["columns"]
    names = sorted(column["name"] for column in columns)
    yield from differs("quality.json, drift", names, sorted(found.get("drift") or ()))
    numbers = is_regression(read_json(inputs["model"] / "model.json"))
    yield from differs("quality.json, task", "regression" if numbers else None, found.get("task"))
    same = ("rows", "ok", *(("rmse", "mae", "skill") if numbers else ("roc_auc", "log_loss")))
    yield from differs("summary.json", [found.get(n) for n in same], [summary.get(n) for n in same])
    yield from faults_of_page(out / "report.html")


FORMATS: dict[str, Callable[[Inputs, Path], Problems]] = {
    "generate-data": generated,
    "fit-columns": fitted_columns,
    "split-rows": split_rows,
    "train-model": trained,
    "validate-model": validated,
    "compare-models": compared,
    "transform-rows": transformed,
    "predict-rows": predicted,
    "report-quality": reported,
}

# Work that writes a row for each row: what it reads, what it writes.
ROW_BY_ROW = {
    "transform-rows": ("raw/data.csv", "data.csv"),
    "predict-rows": ("features/data.csv", "predictions.csv"),
}


# Tables that a stage must know by their digests: whatever is changed in them, it is another table.
SEALED = {"compare-models": ("split/train.csv", "split/val.csv")}


class Page(HTMLParser):
    """What is open, and what is wrong with it: a page of one file that asks for nothing else."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input", "col"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in {"script", "link", "iframe", "object", "base"}:
            self.problems.append(f"it has a <{tag}>")
        for name, value in attrs:
            here = (value or "").startswith(("#", "data:"))
            if name in {"src", "href", "xlink:href", "srcset"} and not here:
                self.problems.append(f"{name}={value!r} leads out of it")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing, line {self.getpos()[0]}")


def faults_of_page(path: Path) -> Problems:
    """What keeps an HTML file from being one whole file that a browser shows without a network."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        yield f"{path.name} is not UTF-8: {error}"
        return
    page = Page()
    page.feed(text)
    page.close()
    if not text.lower().startswith("<!doctype html>"):
        yield f"{path.name} does not begin with <!doctype html>"
    yield from (f"{path.name}: {problem}" for problem in page.problems[:3])
    if page.open:
        yield f"{path.name}: <{page.open[-1]}> is not closed"
    if re.search(r"url\(\s*[\"']?(?!#|data:)|@import", text):
        yield f"{path.name} asks for another file in its CSS"


def joined(tables: Iterator[Table]) -> Table:
    """The days one below the other; columns of a later day may stand in another order."""
    first, *others = tables
    for table in others:
        columns = [table.column(name) for name in first.header]
        first.rows.extend(map(list, zip(*columns, strict=True)))
    return first


def numeric(table: Table, names: list[str], source: Table) -> Problems:
    """Every cell is a number or empty; a column that was numeric has kept its values."""
    for name in set(names) & set(table.header):
        cells, before = table.column(name), source.column(name)
        if odd := [cell for cell in cells if cell and not is_number(cell)]:
            yield f"{table.file}, column {name}: {odd[0]!r} is neither a number nor empty"
            continue
        was_numeric = all(not cell or is_number(cell) for cell in before)
        if was_numeric and len(cells) == len(before) and not same_cells(before, cells):
            yield f"{table.file}, column {name}: the values are not those of {source.file}"


def same_cells(one: list[str], other: list[str]) -> bool:
    """Equal as texts or as numbers; numbers may differ by what rounding in sums leaves."""
    return len(one) == len(other) and all(
        a == b or math.isclose(as_number(a), as_number(b), rel_tol=1e-9)
        for a, b in zip(one, other, strict=True)
    )


def is_number(text: str) -> bool:
    return not math.isnan(as_number(text))


def as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def by_number(label: str) -> tuple[float, str]:
    return (as_number(label) if is_number(label) else 0, label)
