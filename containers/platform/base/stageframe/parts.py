"""CSV tables in parts of whole rows, which several processes may work on.

Rows are counted from 1 below the header; a line end in quotes does not end a row.
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from stageframe.parallel import Results, cpus, worked

MANY = 4  # parts of a table, from which on it is worth while to make processes
R = TypeVar("R")


def read_rows(file: BinaryIO, size: int) -> bytes:
    """Return `size` bytes and what is left of the row; a line end in quotes does not end a row."""
    lines = [file.read(size) + file.readline()]
    if b'"' in lines[0] and lines[0].count(b'"') % 2:
        for line in itertools.islice(file, 10_000):
            lines.append(line)
            if line.count(b'"') % 2:
                break
    return b"".join(lines)


def read_parts(path: Path, size: int, *, blank_end: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield how many rows are before a part, and the part: about `size` bytes of whole rows.

    Blank lines at the very end are no rows, but for a `blank_end`.
    """
    rows = 0
    with path.open("rb") as file:
        stop = file.seek(0, os.SEEK_END) if blank_end else _last_text(file)
        file.seek(0)
        read_rows(file, 0)
        while (at := file.tell()) < stop:
            part = read_rows(file, min(size, stop - at))
            yield rows, part
            rows += _count_rows(part)


def worked_parts(
    path: Path, work: Callable[[tuple[int, bytes]], R], size: int, *, blank_end: bool = False
) -> Results[R]:
    """Yield `work(part)` of each part that `read_parts` yields, in order.

    Of a table of many parts, `parallel.worked` does it in as many processes as there are CPUs.
    """
    many = path.stat().st_size >= MANY * size
    parts = functools.partial(read_parts, path, size, blank_end=blank_end)
    return worked(parts, work, cpus() if many else 1)


def _last_text(file: BinaryIO) -> int:
    """Return where the lines begin that are blank, and have none but such after them."""
    stop = file.seek(0, os.SEEK_END)
    while stop:
        start = file.seek(max(0, stop - 2**16))
        if text := file.read(stop - start).rstrip(b" \t\r\n"):
            return start + len(text)
        stop = start
    return 0


def _count_rows(part: bytes) -> int:
    """Return how many rows these are: those that end in a line end that is in no quotes."""
    outside = part.split(b'"')[::2] if b'"' in part else [part]
    return sum(text.count(b"\n") for text in outside) + (not part.endswith(b"\n"))
