"""Facts of the data set itself, so that what is replayed is what happened."""

import csv
from pathlib import Path

import pytest
from harness import Result, RunStage


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def new_year(run_stage: RunStage) -> Result:
    return run_stage("replay", "generate", date="2013-01-01")


def test_flights_that_never_arrived_are_left_out_and_counted(new_year: Result) -> None:
    expected = {
        "date": "2013-01-01",
        "replayed": "2013-01-01",
        "flights": 842,
        "cancelled_or_diverted": 11,
        "rows": 831,
        "target_rate": 0.305656,
    }

    assert expected == new_year.summary
    assert 831 == len(table(new_year.out / "data.csv"))
    assert 831 == len(table(new_year.out / "target.csv"))


def test_rows_are_in_the_order_of_the_timetable(new_year: Result) -> None:
    rows = table(new_year.out / "data.csv")
    times = [int(row["scheduled_departure"]) for row in rows]

    assert sorted(times) == times


def test_the_first_flights_are_those_of_the_source(new_year: Result) -> None:
    data = (new_year.out / "data.csv").read_text("utf-8").splitlines()
    # They arrived 11, 20, 33 minutes late and 18 minutes early.
    target = (new_year.out / "target.csv").read_text("utf-8").splitlines()
    expected = [
        "UA,EWR,IAH,1400,315,499,2",
        "UA,LGA,IAH,1416,329,510,1",
        "AA,JFK,MIA,1089,340,530,3",
        "B6,JFK,BQN,1576,345,622,3",
    ]

    assert expected == data[1:5]
    assert ["0", "1", "1", "0"] == target[1:5]


@pytest.mark.parametrize(
    ("flight", "late"),
    [
        pytest.param(("UA", "EWR", "CLE", "540"), "1", id="15 minutes"),
        pytest.param(("B6", "JFK", "IAD", "545"), "0", id="14 minutes"),
    ],
)
def test_late_begins_at_15_minutes(new_year: Result, flight: tuple[str, ...], late: str) -> None:
    rows = table(new_year.out / "data.csv")
    keys = [
        tuple(row[name] for name in ("carrier", "origin", "dest", "scheduled_departure"))
        for row in rows
    ]
    target = table(new_year.out / "target.csv")[keys.index(flight)]

    assert {"target": late} == target


def test_the_target_may_be_minutes_of_delay(run_stage: RunStage, new_year: Result) -> None:
    minutes = run_stage("replay", "generate", date="2013-01-01", target="minutes")
    delays = [int(row["target"]) for row in table(minutes.out / "target.csv")]

    assert [11, 20, 33, -18] == delays[:4]
    assert [str(int(delay >= 15)) for delay in delays] == [
        row["target"] for row in table(new_year.out / "target.csv")
    ]
    assert (new_year.out / "data.csv").read_bytes() == (minutes.out / "data.csv").read_bytes()
    expected = {**new_year.summary, "mean_delay": round(sum(delays) / 831, 3)}
    assert expected == minutes.summary


def test_no_column_is_known_only_after_departure(new_year: Result) -> None:
    timetable = {
        "carrier",
        "origin",
        "dest",
        "distance",
        "scheduled_departure",
        "scheduled_arrival",
        "departures_in_hour",
    }

    assert timetable == set(table(new_year.out / "data.csv")[0])


def test_departures_in_an_hour_include_flights_cancelled_later(new_year: Result) -> None:
    hours = {
        (row["origin"], int(row["scheduled_departure"]) // 60): int(row["departures_in_hour"])
        for row in table(new_year.out / "data.csv")
    }

    assert 842 == sum(hours.values())


def test_another_year_replays_the_same_flights(run_stage: RunStage, new_year: Result) -> None:
    later = run_stage("replay", "generate", date="2026-01-01")

    assert (new_year.out / "data.csv").read_bytes() == (later.out / "data.csv").read_bytes()
    assert (new_year.out / "target.csv").read_bytes() == (later.out / "target.csv").read_bytes()
    assert "2026-01-01" == later.summary["date"]


def test_a_leap_day_replays_the_day_before_and_says_so(run_stage: RunStage) -> None:
    before = run_stage("replay", "generate", date="2024-02-28")
    leap = run_stage("replay", "generate", date="2024-02-29")

    assert (before.out / "data.csv").read_bytes() == (leap.out / "data.csv").read_bytes()
    assert "2013-02-28" == leap.summary["replayed"]
    assert "2013 has no 29 February: 28 February is replayed" in leap.stdout
