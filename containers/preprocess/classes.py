"""Learn the classes from the targets of some days."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
from columns import spellings
from csv_tables import read_codes
from mixtures import odd_texts
from stageframe import StageError, shown
from stageframe.csv_files import find_fault, read_header
from stageframe.values import all_numbers, plain, to_number

MAX_CLASSES = 100
MISSING = "the target is missing: give the row one, or remove it from both files"


def require_target(path: Path) -> None:
    """Raise StageError (65) for a table that has other columns than target."""
    if (names := read_header(path)) != ["target"]:
        raise StageError(f"{shown(path)} has columns {names}: it must have one, target")


def count_labels(target: Path) -> Counter[str]:
    """Return how often each label occurs in a day's target.csv."""
    require_target(target)
    counts: Counter[str] = Counter()
    for codes, texts in read_codes(target, "target"):
        counts.update(dict(zip(texts, np.bincount(codes).tolist(), strict=True)))
        if len(counts) > MAX_CLASSES:
            raise StageError(
                f"{shown(target)} has more than {MAX_CLASSES} different targets: group them into"
                " classes; or predict a number, by fit's --task regression"
            )
    return counts


def name_classes(counts: Counter[str], targets: list[Path], forced: bool) -> dict[str, str]:
    """Return the class of each label: how most write it; of a number, unless forced, its value."""
    numeric = all_numbers(counts)
    missing = {text for text in counts if not text.strip() or text.strip().lower() == "nan"}
    missing |= {text for text in counts if numeric and math.isnan(to_number(text))}
    if missing:
        raise StageError(find_fault(targets, lambda _, text: MISSING if text in missing else None))
    if not forced and (fault := odd_texts("target", counts)):
        raise StageError(find_fault(targets, fault))
    labels = {text: plain(text) for text in counts} if numeric and not forced else spellings(counts)
    if len(set(labels.values())) < 2:
        raise StageError(
            f"{shown(targets[0])}: all targets are {min(labels)!r}: provide rows of another class"
        )
    return labels


def count_classes(counts: Counter[str], labels: dict[str, str]) -> dict[str, int]:
    """Return how often each class occurs, in order: of numbers the smallest first, of texts A."""
    found: Counter[str] = Counter()
    for text, n in counts.items():
        found[labels[text]] += n
    classes = sorted(found)
    if all_numbers(classes):
        classes.sort(key=float)
    return {label: found[label] for label in classes}
