"""report: a page and a file of numbers on one day of a model at work."""

from datetime import date
from typing import Any

import drift
import numpy as np
from days import Day, choose_days, read_day
from findings import describe, in_short
from inputs import PREDICTIONS, Given, read_given
from stageframe import IN, OUT, StageError, find_days, shown, write_json
from verdict import Evidence, Limits, judge


def report(date: date | None, **limits: float) -> dict[str, Any]:
    """Write report.html and quality.json of a day, by default the newest; return the summary.

    limits: those of verdict.Limits.
    """
    folders = choose_days(date)
    given = read_given()
    history = [read_day(folder, given.edges) for folder in folders]
    today, held = history[-1], Limits(**limits)
    if today.classes != given.classes:
        raise StageError(
            f"predictions/{today.day}/{PREDICTIONS} has classes {today.classes}, model/model.json"
            f" {given.classes}: give the model that made them"
        )
    other = today.digest not in (None, given.digest)
    features = compare_features(given.columns, today)
    reference, source = (None, "") if other else find_reference(given, history)
    evidence = Evidence(today, given, other, features, reference, source)
    found = describe(evidence, judge(evidence, held), history)
    # matplotlib takes a while to start: not for what ends before anything is drawn.
    from page import render  # noqa: PLC0415

    (OUT / "report.html").write_text(render(found, evidence, held), encoding="utf-8")
    write_json(OUT / "quality.json", found)
    return in_short(found, features or [])


def compare_features(columns: list[dict[str, Any]], today: Day) -> list[drift.Feature] | None:
    """Return the day's features against the model's profiles, None if it has none."""
    if not all("profile" in column for column in columns):
        return None
    table = IN / "raw" / today.day / "data.csv"
    raws = [folder / "data.csv" for folder in find_days("raw") if folder.name < today.day]
    rows, features = drift.compare(columns, table, [path for path in raws if path.is_file()])
    if rows != today.rows:
        raise StageError(
            f"{shown(table)} has {rows} rows, predictions/{today.day}/{PREDICTIONS} {today.rows}:"
            " predict that day again"
        )
    return features


def find_reference(given: Given, history: list[Day]) -> tuple[np.ndarray | None, str]:
    """Return histograms (k, bins) to hold the day's probabilities against, and where from."""
    today = history[-1]
    if given.counts.keys() >= set(today.classes):
        return np.array([given.counts[label] for label in today.classes]), "the validation"
    same = [
        day.histograms
        for day in history[:-1]
        if any(day.maker) and (day.maker, day.classes) == (today.maker, today.classes)
    ]
    return (sum(same[1:], same[0]), "earlier days of this model") if same else (None, "")
