"""generate: the flights of a day of 2013 as that day's data.csv and target.csv."""

import datetime
from typing import Any

from flights import COLUMNS, MINUTES, THRESHOLD, flights_on, table_of
from stageframe import OUT
from stageframe.csv_files import write_csv


def generate(date: datetime.date, target: str) -> dict[str, Any]:
    """Write data.csv and target.csv, one of flights.TARGETS; return the summary."""
    leap = (date.month, date.day) == (2, 29)
    replayed = date.replace(year=2013, day=28 if leap else date.day)
    flights = flights_on(replayed)
    rows, delays = table_of(flights)
    late = [int(delay >= THRESHOLD) for delay in delays]
    write_csv(OUT / "data.csv", COLUMNS, rows)
    values = delays if target == MINUTES else late
    write_csv(OUT / "target.csv", ["target"], [[value] for value in values])
    if leap:
        print("2013 has no 29 February: 28 February is replayed")
    print(f"{replayed}: {len(flights)} flights, {len(rows)} arrived, {sum(late)} of them late")
    return {
        "date": str(date),
        "replayed": str(replayed),
        "flights": len(flights),
        "cancelled_or_diverted": len(flights) - len(rows),
        "rows": len(rows),
        "target_rate": round(sum(late) / len(rows), 6),
        **({"mean_delay": round(sum(delays) / len(rows), 3)} if target == MINUTES else {}),
    }
