"""generate: a day's data.csv and target.csv, a chunk of rows at a time."""

import datetime
from typing import Any

import numpy as np
from cells import csv_rows
from law import NAMES, draw, law_of
from stageframe import OUT

MISSING = {"x02": 0.02, "x07": 0.10, "x11": 0.05, "region": 0.03}  # share of the rows
CHUNK = 8192  # rows at a time: memory stays flat, and a chunk fits in the processor's cache


def generate(date: datetime.date, rows: int, drift: float, seed: int) -> dict[str, Any]:
    """Write data.csv and target.csv; return the summary."""
    law = law_of(np.random.default_rng(seed), date.toordinal(), drift)
    rng = np.random.default_rng([seed, date.toordinal()])
    ones = 0
    with (OUT / "data.csv").open("wb") as data, (OUT / "target.csv").open("wb") as labels:
        data.write(",".join(NAMES).encode())
        labels.write(b"target\n")
        for start in range(0, rows, CHUNK):
            numbers, codes, target = draw(rng, law, min(CHUNK, rows - start))
            gaps = {name: rng.random(len(target)) < share for name, share in MISSING.items()}
            data.write(csv_rows(numbers, codes, gaps))
            labels.write(np.where(target, b"1\n", b"0\n").tobytes())
            ones += int(target.sum())
        data.write(b"\n")
    print(f"{date}: {rows} rows, {ones} of them 1")
    return {"date": str(date), "rows": rows, "target_rate": round(ones / rows, 6)}
