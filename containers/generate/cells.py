"""Write rows as CSV, several times faster than by formatting each number."""

from collections.abc import Sequence

import numpy as np
from law import DECIMALS, LEVELS, NAMES, Codes, Floats
from numpy.typing import NDArray


def words(texts: Sequence[str], length: int) -> NDArray[np.uint32]:
    """Return texts as rows of `length` words of 4 bytes; what is left of a row is zero bytes."""
    return np.array([t.encode() for t in texts], f"S{4 * length}").view("u4").reshape(-1, length)


# Looking a cell's bytes up is several times faster than formatting it. A number is two lookups,
# ",-12." and "3456". The last entry of a table is the cell of a missing value.
WHOLE, FRACTION = {}, {}
for d in set(DECIMALS):
    point = "." if d else ""
    WHOLE[d] = words([f",{sign}{n}{point}" for sign in ("", "-") for n in range(10**4)] + [","], 2)
    FRACTION[d] = words([f"{n:0{d}}" if d else "" for n in range(10**d)] + [""], 1)
TEXT = {name: words([f",{level}" for level in (*LEVELS[name], "")], 3) for name in LEVELS}


def csv_rows(numbers: Floats, codes: list[Codes], gaps: dict[str, NDArray[np.bool_]]) -> bytes:
    """Return the rows as CSV, a line break before each; `gaps` tells what is missing by column."""
    rows = numbers.shape[1]
    cells = np.zeros((rows, len(NAMES), 3), np.uint32)
    for column, (name, decimals) in enumerate(zip(NAMES, DECIMALS, strict=False)):
        scaled = np.rint(numbers[column] * 10**decimals).astype(np.int32)
        size = np.abs(scaled)
        whole = size // 10**decimals
        fraction = size - whole * 10**decimals  # np.divmod takes thrice the time
        whole[scaled < 0] += 10**4
        if name in gaps:
            whole[gaps[name]] = fraction[gaps[name]] = -1
        cells[:, column, :2] = WHOLE[decimals][whole]
        cells[:, column, 2:] = FRACTION[decimals][fraction]
    for column, (name, code) in enumerate(zip(LEVELS, codes, strict=True), start=len(DECIMALS)):
        cells[:, column] = TEXT[name][np.where(gaps[name], -1, code) if name in gaps else code]
    cells.view(np.uint8)[:, 0, 0] = ord("\n")
    return cells.tobytes().translate(None, b"\0")
