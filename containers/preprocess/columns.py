"""Learn what the columns of raw tables hold: numbers or categories."""

import math
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from csv_tables import not_a_number, read_frames
from profiles import Profile
from stageframe import StageError
from stageframe.csv_files import find_fault
from stageframe.values import MISSING, all_numbers, to_number

MAX_TEXTS = 100_000  # of a column, counted exactly: more would take memory without end
SAMPLE = 2**20  # fields of numeric columns that their deciles are taken from


def learn(
    tables: list[Path], names: list[str], forced: Collection[str], limit: int
) -> tuple[list[dict[str, Any]], Profile]:
    """Return the columns of preprocess.json, those in `forced` categorical, and their Profile.

    limit: most categories of a column. The profile has its bins, but no rows yet.
    """
    counts, sample = survey(tables, names, forced)
    columns = []
    for name in names:
        texts = counts.get(name, Counter())
        if name not in forced and mostly_numbers(texts):
            raise StageError(find_fault(tables, not_a_number([name])))
        columns.append(describe(name, texts, name in forced, limit))
    return columns, Profile(columns, counts, sample)


def survey(
    tables: list[Path], names: list[str], text: Collection[str]
) -> tuple[dict[str, Counter[str]], dict[str, np.ndarray]]:
    """Return what there is in each column: in all rows if it holds texts, in some of them if not.

    text: columns that are read as text from the start. Returns how often each value occurs in
    each column that holds, somewhere, other than numbers; and of each other column the values,
    float64 (rows of the sample,), of the same rows chosen at random, all if they are few.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in text}
    numeric = [name for name in names if name not in text]
    sample = np.empty((max(SAMPLE // max(len(numeric), 1), 1000), len(numeric)))
    random = np.random.default_rng(0)
    rows = 0
    for table in tables:
        for frame in read_frames(table, text):
            other = [name for name in numeric if frame[name].dtype.kind not in "iuf"]
            if other:  # what came before was read as numbers: start again
                return survey(tables, names, [*text, *other])
            x = frame[numeric].to_numpy(float)
            if np.isinf(x).any():
                raise StageError(find_fault([table], not_a_number(numeric)))
            # Algorithm R (Vitter 1985, https://doi.org/10.1145/3147.3165): each row takes a place
            # as likely as any other; of two that take the same one, NumPy keeps the later.
            place = np.arange(rows, rows + len(x))
            late = place >= len(sample)
            place[late] = random.integers(0, place[late] + 1)
            chosen = place < len(sample)
            sample[place[chosen]] = x[chosen]
            rows += len(x)
            for name, seen in counts.items():
                seen.update(frame[name].tolist())
                if len(seen) > 2 * MAX_TEXTS:
                    counts[name] = Counter(dict(seen.most_common(MAX_TEXTS)))
    return counts, dict(zip(numeric, sample[:rows].T, strict=True))


def mostly_numbers(texts: Counter[str]) -> bool:
    """Return whether more values are numbers than other texts, but not all."""
    words = sum(n for text, n in texts.items() if math.isinf(to_number(text)))
    present = sum(n for text, n in texts.items() if text not in MISSING)
    return 0 < words < present - words


def describe(name: str, texts: Counter[str], forced: bool, limit: int) -> dict[str, Any]:
    """Return a column of preprocess.json: categorical if forced, or if not all are numbers."""
    if not forced and all_numbers(texts):
        return {"name": name, "kind": "numeric"}
    frequent = sorted((text for text in texts if text), key=lambda text: (-texts[text], text))
    return {"name": name, "kind": "categorical", "categories": sorted(frequent[:limit])}
