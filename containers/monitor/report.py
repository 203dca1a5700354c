"""report: a page and a file of numbers on one day of a model at work."""

import csv
from datetime import date
from typing import Any

import drift
import numpy as np
from days import Day, choose_days, read_day, read_past
from findings import describe, in_short
from gaps import is_far
from inputs import NUMBER, PREDICTIONS, Given, read_given
from limits import Limits
from nature import moves_by_nature
from samples import came_later, first_rows, one_value, raw_days_before, read_before, spread_rows
from stageframe import IN, OUT, WRONG_USAGE, StageError, shown, write_json
from tasks import task_of
from verdict import Evidence, judge

DAYS = 7  # before the day, at most, that show how a feature moves


def report(date: date | None, ignore: str, **limits: float) -> dict[str, Any]:
    """Write report.html and quality.json of a day, by default the newest; return the summary.

    ignore: names of columns that are not judged, separated by commas; limits: those of
    verdict.Limits.
    """
    *earlier, folder = choose_days(date)
    given, held = read_given(), Limits(**limits)
    ignored = parse_ignored(ignore, given.columns)
    past, notes = read_past(earlier, given)
    today = read_day(folder, given)
    if today.classes != given.classes:
        raise StageError(
            f"predictions/{today.day}/{PREDICTIONS} has classes {today.classes}, model/model.json"
            f" {given.classes}: give the model that made them"
        )
    other = today.digest not in (None, given.digest)
    features, more = compare_features(given.columns, today, ignored, held)
    reference, source = (None, "") if other else find_reference(given, today, past)
    evidence = Evidence(today, past, given, other, features, reference, source, [*notes, *more])
    found = describe(evidence, judge(evidence, held))
    # matplotlib takes a while to start: not for what ends before anything is drawn.
    from page import render  # noqa: PLC0415

    (OUT / "report.html").write_text(render(found, evidence, held), encoding="utf-8")
    write_json(OUT / "quality.json", found)
    return in_short(found, features or [], task_of(given))


def parse_ignored(text: str, columns: list[dict[str, Any]]) -> set[str]:
    """Return the names that --ignore gives, a row of CSV, sure that the model has such columns."""
    try:
        names = {name for row in csv.reader([text], strict=True) for name in row}
    except csv.Error as error:
        raise StageError(f"--ignore: {error}: quote names as CSV does", WRONG_USAGE) from error
    if odd := names.difference(column["name"] for column in columns):
        raise StageError(f"--ignore: {min(odd)!r} is no column of the model", WRONG_USAGE)
    return names


def compare_features(
    columns: list[dict[str, Any]], today: Day, ignored: set[str], held: Limits
) -> tuple[list[drift.Feature] | None, list[str]]:
    """Return the day's features against the model's profiles; and notes on earlier raw days.

    None if the model has no profiles, or the day no rows.
    """
    if not all("profile" in column for column in columns):
        return None, []
    table = IN / "raw" / today.day / "data.csv"
    rows, features = drift.compare(columns, table)
    if rows != today.rows:
        raise StageError(
            f"{shown(table)} has {rows} rows, predictions/{today.day}/{PREDICTIONS} {today.rows}:"
            " predict that day again"
        )
    if not rows:
        return None, []
    return mark(features, columns, today.day, ignored, held)


def mark(
    features: list[drift.Feature],
    columns: list[dict[str, Any]],
    day: str,
    ignored: set[str],
    held: Limits,
) -> tuple[list[drift.Feature], list[str]]:
    """Return the features with what keeps them from being judged; and notes on earlier raw days."""
    table, names = IN / "raw" / day / "data.csv", [feature.name for feature in features]
    firsts, notes = read_before(raw_days_before(day), names, first_rows)
    notes += came_later(firsts, names)
    single = one_value(first_rows(table, names))
    for texts in firsts.values():
        single -= {name for name in texts if texts[name]} - one_value(texts)
    marked = [
        feature._replace(
            # A value that is missing or that the model has never met is no matter of the calendar.
            by_day=feature.name in single and not feature.unknown and not feature.missing,
            ignored=feature.name in ignored,
        )
        for feature in features
    ]
    # To see how they move takes a look at all rows of some days: only where they have moved.
    odd = [f.name for f in marked if f.drifted(held.max_drift) or is_far(f, held.max_gaps)]
    if not odd:
        return marked, notes
    before, more = read_before([*firsts][-DAYS:], odd, spread_rows)
    notes += more
    today = spread_rows(table, odd)
    by_name = {column["name"]: column for column in columns}
    moving = {
        feature.name
        for feature in marked
        if feature.name in odd
        and moves_by_nature(
            feature,
            by_name[feature.name],
            date.fromisoformat(day),
            today[feature.name],
            [texts[feature.name] for texts in before.values() if feature.name in texts],
        )
    }
    return [f._replace(by_nature=f.name in moving) for f in marked], notes


def find_reference(given: Given, today: Day, past: list[Day]) -> tuple[np.ndarray | None, str]:
    """Return histograms (k, bins) to hold the day's outputs against, and where from."""
    if not today.rows or not given.edges:
        return None, ""
    names = today.classes or [NUMBER]
    if given.counts.keys() >= set(names):
        return np.array([given.counts[name] for name in names]), "the validation"
    same = [
        day.histograms
        for day in past
        if day.rows and any(day.maker) and (day.maker, day.classes) == (today.maker, today.classes)
    ]
    return (sum(same[1:], same[0]), "earlier days of this model") if same else (None, "")
