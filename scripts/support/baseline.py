"""An honest baseline for late flights: how often those of a carrier were late in that hour."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path


def baseline(
    data: Path, known: Sequence[str], new: Sequence[str], weight: int = 20
) -> tuple[list[int], list[float]]:
    """Return truth and score of each new flight: the known rate of its carrier and hour.

    A rate that few flights stand behind is drawn towards the rate of all, as if `weight` flights
    of that rate were among them.
    """
    late: Counter[tuple[str, int]] = Counter()
    all_: Counter[tuple[str, int]] = Counter()
    for key, target in flights(data, known):
        all_[key] += 1
        late[key] += target
    rate = late.total() / all_.total()
    truth, scores = [], []
    for key, target in flights(data, new):
        truth.append(target)
        scores.append((late[key] + weight * rate) / (all_[key] + weight))
    return truth, scores


def flights(data: Path, days: Sequence[str]) -> Iterator[tuple[tuple[str, int], int]]:
    """Yield carrier and scheduled hour, and whether it was late, of each flight."""
    for day in days:
        with (
            (data / f"raw/{day}/data.csv").open(newline="") as rows,
            (data / f"raw/{day}/target.csv").open(newline="") as targets,
        ):
            for row, target in zip(csv.DictReader(rows), csv.DictReader(targets), strict=True):
                key = row["carrier"], int(row["scheduled_departure"]) // 60
                yield key, int(target["target"])
