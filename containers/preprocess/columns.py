"""Learn what the columns of raw tables hold: numbers or categories."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from csv_tables import not_a_number, read_frames
from mixtures import odd_texts
from precision import beyond, confused, inexact
from profiles import Profile
from stageframe import StageError
from stageframe.csv_files import find_fault
from stageframe.values import EXACT, all_numbers, same
from units import numbers_with_unit

MAX_TEXTS = 100_000  # of a column, counted exactly: more would take memory without end
TOO_LARGE = 2**64  # to be the number of something
SAMPLE = 2**20  # fields of numeric columns that their deciles are taken from


def learn(
    tables: list[Path], names: list[str], forced: Collection[str], limit: int
) -> tuple[list[dict[str, Any]], Profile, list[str]]:
    """Return the columns of preprocess.json, those in `forced` categorical; Profile, and warnings.

    limit: most categories of a column. The profile has its bins, but no rows yet.
    """
    counts, sample, large = survey(tables, names, forced)
    columns, warnings = [], list[str]()
    for name in names:
        texts = counts.get(name, Counter())
        if name not in forced:
            warnings += check_texts(tables, name, texts)
        columns.append(describe(name, texts, name in forced, limit))
        if columns[-1]["kind"] == "numeric":
            large.update((name, int(text)) for text in texts if beyond(text))
    warnings += [inexact(*one) for one in large.items()]
    numeric = {column["name"] for column in columns if column["kind"] == "numeric"}
    warnings += confused(tables, numeric - large.keys())
    return columns, Profile(columns, counts, sample), warnings


def check_texts(tables: list[Path], name: str, texts: Counter[str]) -> list[str]:
    """Raise StageError (65) for a column of texts that ought to be one of numbers; return warnings.

    texts: how often each occurs.
    """
    if fault := odd_texts(name, texts):
        raise StageError(find_fault(tables, fault))
    found = numbers_with_unit(texts)
    if found and found.certain:
        raise StageError(find_fault(tables, found.fault(name)))
    return [found.warning(name)] if found else []


def survey(
    tables: list[Path], names: list[str], text: Collection[str]
) -> tuple[dict[str, Counter[str]], dict[str, np.ndarray], dict[str, int]]:
    """Return what there is in each column: in all rows if it holds texts, in some of them if not.

    text: columns that are read as text from the start. Returns how often each value occurs in
    each column that holds, somewhere, other than numbers; and of each other column the values,
    float64 (rows of the sample,), of the same rows chosen at random, all if they are few; and of
    columns of whole numbers one that is beyond EXACT.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in text}
    numeric = [name for name in names if name not in text]
    sample = np.empty((max(SAMPLE // max(len(numeric), 1), 1000), len(numeric)))
    random = np.random.default_rng(0)
    rows, large = 0, dict[str, int]()
    for table in tables:
        for frame in read_frames(table, text):
            other = [name for name in numeric if frame[name].dtype.kind not in "iuf"]
            if other:  # what came before was read as numbers: start again
                return survey(tables, names, [*text, *other])
            x = frame[numeric].to_numpy(float)
            if np.isinf(x).any():
                raise StageError(find_fault([table], not_a_number(dict.fromkeys(numeric, ()))))
            extremes = zip(numeric, frame[numeric].min(), frame[numeric].max(), strict=True)
            for name, low, high in extremes:
                if EXACT <= max(-low, high) < TOO_LARGE and not (frame[name] % 1).any():
                    large[name] = max(-int(frame[name].min()), int(frame[name].max()))
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
    return counts, dict(zip(numeric, sample[:rows].T, strict=True)), large


def describe(name: str, texts: Counter[str], forced: bool, limit: int) -> dict[str, Any]:
    """Return a column of preprocess.json: categorical if forced, or if not all are numbers."""
    if not forced and all_numbers(texts):
        return {"name": name, "kind": "numeric"}
    counts: Counter[str] = Counter()
    spelled = spellings(texts)
    for text, n in texts.items():
        counts[spelled[text]] += n
    frequent = sorted((text for text in counts if text), key=lambda text: (-counts[text], text))
    return {"name": name, "kind": "categorical", "categories": sorted(frequent[:limit])}


def spellings(texts: Counter[str]) -> dict[str, str]:
    """Return how each text is written: as the most frequent of those that are the same value."""
    found: dict[str, str] = {}
    for text in sorted(texts, key=lambda text: (-texts[text], text)):
        found.setdefault(same(text), normalize("NFC", text).strip())
    return {text: found[same(text)] for text in texts}
