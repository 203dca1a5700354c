"""Learn what the columns of raw tables hold: numbers or categories."""

from collections import Counter
from collections.abc import Collection
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd
from csv_tables import not_a_number, read_frames
from mixtures import odd_texts
from precision import beyond, confused, inexact
from profiles import Profile
from quantities import written_quantities
from stageframe import StageError
from stageframe.csv_files import find_fault
from stageframe.values import EXACT, all_numbers, same
from units import numbers_with_unit

MAX_TEXTS = 100_000  # of a column, counted exactly: more would take memory without end
TOO_LARGE = 2**64  # to be the number of something
SAMPLE = 2**20  # fields of numeric columns that their deciles are taken from
FEW = 2**13  # values of each of them, to part them into bins about as full


class Looks(NamedTuple):
    """What the columns look like, for rows that come again in another shape."""

    keys: set[str]
    """Whole numbers or texts of which no block of rows has one twice."""
    some: dict[str, np.ndarray]
    """Values of each column of numbers, float64 (some,), NaN = missing."""


def learn(
    tables: list[Path], names: list[str], forced: Collection[str], limit: int
) -> tuple[list[dict[str, Any]], Profile, Looks, list[str]]:
    """Return the columns of preprocess.json, those in `forced` categorical; Profile, and warnings.

    limit: most categories of a column. The profile has its bins, but no rows yet. The third are
    those that rows may be known by.
    """
    counts, sample, large, keys = survey(tables, names, forced)
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
    some = {name: values[:: len(values) // FEW + 1] for name, values in sample.items()}
    return columns, Profile(columns, counts, sample), Looks(keys, some), warnings


def check_texts(tables: list[Path], name: str, texts: Counter[str]) -> list[str]:
    """Raise StageError (65) for a column of texts that ought to be one of numbers; return warnings.

    texts: how often each occurs.
    """
    if fault := odd_texts(name, texts):
        raise StageError(find_fault(tables, fault))
    found = numbers_with_unit(texts) or written_quantities(texts)
    if found and found.certain:
        raise StageError(find_fault(tables, found.fault(name)))
    return [found.warning(name)] if found else []


def survey(
    tables: list[Path], names: list[str], text: Collection[str]
) -> tuple[dict[str, Counter[str]], dict[str, np.ndarray], dict[str, int], set[str]]:
    """Return what there is in each column: in all rows if it holds texts, in some of them if not.

    text: columns that are read as text from the start. Returns how often each value occurs in
    each column that holds, somewhere, other than numbers; and of each other column the values,
    float64 (rows of the sample,), of the same rows chosen at random, all if they are few; of
    columns of whole numbers one that is beyond EXACT; and the columns that are keys.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in text}
    numeric = [name for name in names if name not in text]
    sample = np.empty((max(SAMPLE // max(len(numeric), 1), 1000), len(numeric)))
    rows, large, keys = 0, dict[str, int](), {*names}
    for table in tables:
        looked = partial(look, table, numeric, text, (rows, len(sample)))
        other = list[str]()
        with closing(read_frames(table, looked, text)) as blocks:
            for seen in blocks:
                if other := seen.other:
                    break
                large.update(seen.large)
                sample[seen.places] = seen.sample
                rows += seen.rows
                keys &= seen.keys
                for name, texts in seen.texts.items():
                    counts[name].update(texts)
                    if len(counts[name]) > 2 * MAX_TEXTS:
                        counts[name] = Counter(dict(counts[name].most_common(MAX_TEXTS)))
        if other:  # what came before was read as numbers: start again
            return survey(tables, names, [*text, *other])
    return counts, dict(zip(numeric, sample[:rows].T, strict=True)), large, keys


class Seen(NamedTuple):
    """What there is in a block of rows."""

    other: list[str]
    """Columns that were to be read as numbers and are none; then there is nothing else."""
    rows: int
    sample: np.ndarray
    """Some rows of the columns of numbers, float64 (some, columns)."""
    places: np.ndarray
    """Those that they take in the sample of all, int (some,); of two in one place, the later."""
    large: dict[str, int]
    """Of columns of whole numbers, the largest in size where one is beyond EXACT."""
    texts: dict[str, Counter[str]]
    """How often each text of the other columns occurs."""
    keys: set[str]
    """Columns that have no value twice, and are no fractions."""


def look(
    table: Path,
    numeric: list[str],
    text: Collection[str],
    sampled: tuple[int, int],
    frame: pd.DataFrame,
    before: int,
) -> Seen:
    """Return what there is in a block of a table, which has columns of numbers and of texts.

    sampled: how many rows are in the tables before, and how many the sample holds; before: how many
    of this table are before the block.
    """
    if other := [name for name in numeric if frame[name].dtype.kind not in "iuf"]:
        return Seen(other, 0, np.empty(0), np.empty(0, int), {}, {}, set())
    x = frame[numeric].to_numpy(float)
    if np.isinf(x).any():
        raise StageError(find_fault([table], not_a_number(dict.fromkeys(numeric, ()))))
    large = {}
    extremes = zip(numeric, frame[numeric].min(), frame[numeric].max(), strict=True)
    for name, low, high in extremes:
        if EXACT <= max(-low, high) < TOO_LARGE and not (frame[name] % 1).any():
            large[name] = max(-int(frame[name].min()), int(frame[name].max()))
    earlier, size = sampled
    places = draw_places(earlier + before, len(x), size)
    chosen = places < size
    counts = {name: Counter(frame[name].tolist()) for name in text}
    keys = {name for name in numeric if frame[name].dtype.kind != "f" and frame[name].is_unique}
    keys.update(name for name in text if len(counts[name]) == len(x))
    return Seen([], len(x), x[chosen], places[chosen], large, counts, keys)


def draw_places(before: int, rows: int, size: int) -> np.ndarray:
    """Return the place of each row in a sample of this size, int (rows,); beyond it there is none.

    Algorithm R (Vitter 1985, https://doi.org/10.1145/3147.3165): a row that has as many `before`
    it takes a place as likely as any of these. Blocks are drawn one by one, whoever draws them.
    """
    places = np.arange(before, before + rows)
    late = places >= size
    places[late] = np.random.default_rng(before).integers(0, places[late] + 1)
    return places


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
