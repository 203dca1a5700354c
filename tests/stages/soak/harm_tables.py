"""Harm to tables and to JSON, drawn by a seed: whole in its syntax, wrong in its content."""

import csv
import io
import json
from random import Random
from typing import Any

from soak.harm_bytes import EDGES, NUMBERS, TEXTS, Harm, encoded, junk

Rows = list[list[str]]


def table(content: bytes, draw: Random) -> bytes:
    """Change rows, columns and fields of a CSV file."""
    text = content.decode("utf-8", "replace")
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error:  # after other harm
        return content
    if not rows or not rows[0]:
        return content
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        draw.choice(CHANGES)(rows, draw)
    out = io.StringIO(newline="")
    dialect = csv.unix_dialect if draw.random() < 0.3 else csv.excel  # all in quotes, or few
    csv.writer(out, dialect, lineterminator="\n", escapechar="\\").writerows(rows)
    return encoded(out.getvalue())


def field(rows: Rows, draw: Random) -> None:
    row = draw.choice(rows)
    if row:
        row[draw.randrange(len(row))] = junk(draw)


def column_of(rows: Rows, draw: Random) -> int:
    return draw.randrange(max(1, len(rows[0]))) if rows else 0


def filled(rows: Rows, draw: Random) -> None:
    """Give a column one value in all rows, or in one of a few."""
    at, share, value = column_of(rows, draw), draw.choice([1, 1, 0.5, 0.05]), junk(draw)
    for row in rows[1:]:
        if at < len(row) and draw.random() < share:
            row[at] = value


def mixed(rows: Rows, draw: Random) -> None:
    """Give a column another value in each row."""
    at, kind = column_of(rows, draw), draw.choice(["junk", "texts", "whole", "float", "huge"])
    for number, row in enumerate(rows[1:]):
        if at < len(row):
            row[at] = {
                "junk": junk(draw),
                "texts": f"text {number}",
                "whole": str(draw.randrange(-3, 4)),
                "float": repr(draw.gauss(0, 1)),
                "huge": repr(draw.uniform(-1.7e308, 1.7e308)),
            }[kind]


def columns(rows: Rows, draw: Random) -> None:
    """Drop, rename, double or move a column, or add many."""
    at, other = column_of(rows, draw), column_of(rows, draw)
    kind, name = draw.choice(["drop", "rename", "double", "move", "wide", "keep"]), junk(draw)
    for number, row in enumerate(rows):
        if at >= len(row):
            continue
        match kind:
            case "drop":
                del row[at]
            case "rename" if number == 0:
                row[at] = name
            case "double":
                row.append(row[at])
            case "move":
                row.insert(min(other, len(row)), row.pop(at))
            case "wide":
                row += [f"c{i}" if number == 0 else "1" for i in range(500)]
            case "keep":
                row[:] = [row[at]]


def rows_of(rows: Rows, draw: Random) -> None:
    """Leave few rows, or none; or all of them many times; or of other lengths."""
    at = draw.randrange(len(rows))
    match draw.choice(["few", "drop", "many", "long", "short", "empty", "shuffle"]):
        case "few":
            del rows[draw.choice([1, 2, 3, 10]) :]
        case "drop":
            del rows[at]
        case "many":
            rows += rows[1:] * 3
        case "long":
            rows[at] = rows[at] + [junk(draw)] * draw.choice([1, 1000])
        case "short":
            rows[at] = rows[at][:-1]
        case "empty":
            rows[at] = [""] * len(rows[at])
        case "shuffle":
            draw.shuffle(rows)
    if not rows:
        rows.append(["a"])


CHANGES = [field, field, field, filled, filled, mixed, columns, columns, rows_of, rows_of]


def document(content: bytes, draw: Random) -> bytes:
    """Change values of a JSON file, anywhere in it."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    holder = {"": value}
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        change(holder, draw)
    text = json.dumps(holder[""], ensure_ascii=False)
    if draw.random() < 0.1:
        text = twice(text, draw)
    return encoded(text.replace('"@deep@"', "[" * 50_000 + "]" * 50_000))


def change(root: dict[str, Any], draw: Random) -> None:
    """Change one place below the root: found from the top, so that no long list has them all."""
    holder: Any = root
    key: Any = ""
    while True:
        value = holder[key]
        if not isinstance(value, dict | list) or not value or draw.random() < 0.2:
            break
        holder = value
        key = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
    if draw.random() < 0.15 and holder is not root:
        del holder[key]
        return
    holder[key] = other_than(value, draw)


def other_than(value: Any, draw: Random) -> Any:
    """Return something else in the place of a value, of its own kind or of another."""
    if draw.random() < 0.5:
        if isinstance(value, bool):
            return not value
        if isinstance(value, int | float):
            near = [value + 1, value - 1, -value, value * 2, value / 2 if abs(value) < 1e300 else 0]
            return draw.choice([*near, *EDGES, *(-edge for edge in EDGES), 0.5, 1e308, -1e308])
        if isinstance(value, str):
            return draw.choice([junk(draw), value + " ", value.upper(), value[:-1], value * 2])
        if isinstance(value, list):
            some = [value[:-1], value[1:], value * 2, value[::-1], [], value[:1] * 1000, [value]]
            return draw.choice(
                [*some, [*value, junk(draw)], [*value, None], dict(enumerate(value))]
            )
        if isinstance(value, dict):
            return draw.choice([{}, {**value, junk(draw): 1}, [value], list(value), {"": value}])
    return draw.choice(
        [
            None, True, False, 0, -1, 1.5, 10**30, 1e308, "", "@deep@", [], {}, [[]], [{}], [None],
            float("nan"), float("inf"), draw.choice(TEXTS), draw.choice(NUMBERS), [1, 2, 3],
            {"name": "x"}, "x" * 100_000,
        ]
    )  # fmt: skip


def twice(text: str, draw: Random) -> str:
    """Give the object a key that it has already."""
    return text.replace(
        "{", f'{{"{draw.choice(["version", "columns", "classes", "days"])}": 1, ', 1
    )


def settings(content: bytes, draw: Random) -> bytes:
    """Change the lists of numbers in lines such as `left_child=1 -1 -2`, as LightGBM has them."""
    lines = content.split(b"\n")
    for _ in range(draw.choice([1, 1, 2, 5])):
        with_values = [i for i, line in enumerate(lines) if b"=" in line]
        if not with_values:
            return content
        at = draw.choice(with_values)
        key, _, values = lines[at].partition(b"=")
        words = values.split(b" ")
        place = draw.randrange(len(words))
        match draw.choice(["put", "put", "put", "near", "drop", "more", "none", "line", "shuffle"]):
            case "put":
                words[place] = encoded(draw.choice([*NUMBERS, str(draw.choice(EDGES))]))
            case "near":
                words[place] = b"%d" % draw.randrange(-20, 20)
            case "drop":
                del words[place]
            case "more":
                words += words[: draw.choice([1, 5, 10_000])]
            case "none":
                words = []
            case "line":
                del lines[at]
                continue
            case "shuffle":
                draw.shuffle(words)
        lines[at] = key + b"=" + b" ".join(words)
    return b"\n".join(lines)


TABLE: list[Harm] = [table]
DOCUMENT: list[Harm] = [document]
SETTINGS: list[Harm] = [settings]
