"""How what a stage has written differs from what is published, in some lines for a person."""

from __future__ import annotations

import csv
import filecmp
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from microstage.data_folder import parse_json, published_files

ROWS, COLUMNS, KEYS, LETTERS = 3, 6, 8, 32  # that are shown of a file, and of a value
MOST = 40  # lines in all
GAPS = {"", "nan"}


def differences(old: Path, new: Path) -> list[str]:
    """Return a line or some for each file that differs between two directories; []: none does."""
    names = {*published_files(old), *published_files(new)}
    lines = [line for name in sorted(names) for line in _of_file(name, old / name, new / name)]
    return [*lines[:MOST], f"… and {len(lines) - MOST} more lines"] if len(lines) > MOST else lines


def _of_file(name: str, old: Path, new: Path) -> Iterator[str]:
    if not old.exists() or not new.exists():
        yield f"{name}: {'new' if new.exists() else 'no longer written'}"
    elif not filecmp.cmp(old, new, shallow=False):
        try:
            if name.endswith(".csv"):
                lines = list(_of_tables(old, new))
            elif name.endswith(".json"):
                lines = list(_of_json(old, new))
            else:
                lines = []
        except (ValueError, csv.Error):  # it is not what its name says
            lines = []
        yield f"{name}: {lines[0] if lines else _of_bytes(old, new)}"
        yield from (f"  {line}" for line in lines[1:])


def _of_bytes(old: Path, new: Path) -> str:
    sizes = " → ".join(f"{path.stat().st_size:,}" for path in (old, new))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in (old, new)]
    return f"{sizes} bytes, sha256 {' → '.join(digests)}"


# --- tables


@dataclass
class Column:
    """What differs in a column, row by row."""

    rows: int = 0
    filled: int = 0
    emptied: int = 0
    most: float | None = None  # the largest difference of two numbers

    def add(self, old: str, new: str) -> None:
        """Take in two values that are not written alike."""
        self.rows += 1
        was, now = is_gap(old), is_gap(new)
        self.filled += was and not now
        self.emptied += now and not was
        apart = distance(old, new)
        if apart is not None:
            self.most = max(apart, self.most or 0)

    def __str__(self) -> str:
        parts = [_many(self.rows, "row")]
        parts += [f"by {self.most:.6g} at most"] if self.most is not None else []
        parts += [f"{_many(self.filled, 'gap')} filled"] if self.filled else []
        parts += [_many(self.emptied, "new gap")] if self.emptied else []
        return ", ".join(parts)


def is_gap(value: str) -> bool:
    """Tell whether a cell is empty, or says that it is no number."""
    return value.strip().lower() in GAPS


def distance(old: str, new: str) -> float | None:
    """Return how far two numbers are apart; None where one is none, or it cannot be told."""
    try:
        apart = float(abs(int(old) - int(new)))  # of long keys a float loses the last digits
    except (ValueError, OverflowError):
        try:
            apart = abs(float(old) - float(new))
        except ValueError:
            return None
    return None if math.isnan(apart) else apart


def _of_tables(old: Path, new: Path) -> Iterator[str]:
    """Yield what differs between two tables, the numbers of rows and columns first."""
    before, after = _header(old), _header(new)
    was, now = (sum(1 for _ in _rows(path, [], [])) for path in (old, new))
    yield _many(was, "row") if was == now else f"{was:,} → {_many(now, 'row')}"
    shared = [name for name in after if name in before]
    for word, some in (
        ("removed", [name for name in before if name not in after]),
        ("added", [name for name in after if name not in before]),
    ):
        if some:
            yield f"columns {word}: {_listed(some)}"
    if shared != [name for name in before if name in after]:
        yield "columns in another order"
    rows = (_rows(old, shared, before), _rows(new, shared, after))
    differing, lines = _row_by_row(shared, *rows) if was == now else (0, [])
    if was != now or differing:
        alone = _alone(old, new, shared, before, after)
        # One row more at the top, and one less below, and no row is where it was.
        shifted = 2 * sum(count for count in alone.values() if count > 0) < differing
        if not alone:
            lines = ["the same rows in another order"]
        elif was != now or shifted:
            lines = list(_added_and_removed(old, new, shared, before, after, alone))
    yield from lines


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _rows(path: Path, columns: Sequence[str], header: Sequence[str]) -> Iterator[list[str]]:
    """Yield of each row the cells of some columns; "" where it has fewer."""
    places = [header.index(name) for name in columns]
    with path.open(encoding="utf-8", newline="") as file:
        for row in islice(csv.reader(file), 1, None):
            yield [row[place] if place < len(row) else "" for place in places]


def _row_by_row(
    names: Sequence[str], old: Iterator[list[str]], new: Iterator[list[str]]
) -> tuple[int, list[str]]:
    """Return how many rows differ from the one in their place, and what differs in the columns."""
    found: dict[str, Column] = {}
    differing, shown = 0, list[str]()
    for number, (one, other) in enumerate(zip(old, new, strict=True), start=1):
        if one == other:
            continue
        differing += 1
        cells = [(name, *pair) for name, *pair in zip(names, one, other, strict=True)]
        cells = [cell for cell in cells if cell[1] != cell[2]]
        for name, was, now in cells:
            found.setdefault(name, Column()).add(was, now)
        if len(shown) < ROWS:
            said = [f"{name} {_short(was)} → {_short(now)}" for name, was, now in cells[:ROWS]]
            shown.append(f"row {number:,}: {', '.join(said)}{', …' if len(cells) > ROWS else ''}")
    few = [name for name in names if name in found][:COLUMNS]
    lines = [f"{name} differs: {found[name]}" for name in few]
    if len(found) > COLUMNS:
        lines.append(f"… and {len(found) - COLUMNS} more columns; {differing:,} rows in all")
    return differing, [*lines, *shown]


def _alone(
    old: Path, new: Path, shared: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> dict[int, int]:
    """Return hash of a row -> how often more it is in the old table (in the new one: less than 0).

    Hashes, as a table may not fit into memory.
    """
    left = Counter(hash(tuple(row)) for row in _rows(old, shared, before))
    left.subtract(hash(tuple(row)) for row in _rows(new, shared, after))
    return {row: count for row, count in left.items() if count}


def _added_and_removed(
    old: Path,
    new: Path,
    shared: Sequence[str],
    before: Sequence[str],
    after: Sequence[str],
    alone: dict[int, int],
) -> Iterator[str]:
    """Yield which rows are in one of them alone; where they stand does not count."""
    for word, sign, path, header in (("removed", 1, old, before), ("added", -1, new, after)):
        some = {row: count * sign for row, count in alone.items() if count * sign > 0}
        if some:
            yield f"rows {word}: {sum(some.values()):,}"
        rows = enumerate(_rows(path, shared, header), start=1)
        few = ((number, row) for number, row in rows if hash(tuple(row)) in some)
        for number, row in islice(few, min(ROWS, sum(some.values()))):
            cells = [f"{name} {_short(cell)}" for name, cell in zip(shared, row, strict=True)]
            yield f"row {number:,} {word}: {_listed(cells)}"


# --- JSON


def _of_json(old: Path, new: Path) -> Iterator[str]:
    before, after = (parse_json(path.read_bytes()) for path in (old, new))
    lines = list(_of_values("", before, after))
    yield _many(len(lines), "difference") if lines else "written differently"
    yield from lines[:KEYS]
    if len(lines) > KEYS:
        yield f"… and {len(lines) - KEYS:,} more"


def _of_values(path: str, old: Any, new: Any) -> Iterator[str]:
    """Yield a line for each difference, as far up as it is one."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            inner = f"{path}.{key}" if path else key
            if key not in new:
                yield f"{inner}: gone"
            elif key not in old:
                yield f"{inner}: new, {_written(new[key])}"
            else:
                yield from _of_values(inner, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{path}: {len(old):,} → {_many(len(new), 'entry')}"
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _of_values(f"{path}[{number}]", one, other)
    elif _written(old, whole=True) != _written(new, whole=True):
        yield f"{path or 'the whole'}: {_written(old)} → {_written(new)}"


def _written(value: Any, *, whole: bool = False) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if whole else _short(text)


def _many(count: int, thing: str) -> str:
    several = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else several}"


def _short(value: str) -> str:
    return (value if len(value) <= LETTERS else f"{value[: LETTERS - 1]}…") or "gap"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:COLUMNS]) + (", …" if len(words) > COLUMNS else "")
