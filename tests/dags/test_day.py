"""Which day a run is for, whoever started it and wherever."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError
from dags_harness import DAY, states

from microstage.day import day_of, day_of_run, day_param

Table = Callable[..., None]
DAGS = Path(__file__).resolve().parents[2] / "dags"
MOMENT = datetime(2013, 1, 5, 23, tzinfo=UTC)  # midnight of DAY in Berlin


def context(moment: str | None, *, kind: str = "manual", **params: Any) -> Any:
    """Return what Airflow knows of a run that was started at 18:30 UTC of 2013-01-09."""
    run = SimpleNamespace(
        logical_date=moment and datetime.fromisoformat(moment),
        run_after=datetime(2013, 1, 9, 18, 30, tzinfo=UTC),
        run_type=kind,
        conf=None,
    )
    return {"dag_run": run, "params": params}


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        ("Europe/Berlin", "2013-01-05T23:00Z", "2013-01-06"),
        ("Europe/Berlin", "2013-01-06T22:59Z", "2013-01-06"),
        ("Europe/Berlin", "2013-07-05T22:00Z", "2013-07-06"),  # summer
        ("Asia/Kolkata", "2013-01-05T18:30Z", "2013-01-06"),
        ("Pacific/Kiritimati", "2013-01-05T10:00Z", "2013-01-06"),
        ("America/New_York", "2013-01-06T05:00Z", "2013-01-06"),
        ("America/New_York", "2013-01-07T04:59Z", "2013-01-06"),
        ("America/New_York", "2013-01-06T00:00Z", "2013-01-06"),  # as programs write it
        ("UTC", "2013-01-06T23:00Z", "2013-01-06"),
        ("utc", "2013-01-06T00:30+01:00", "2013-01-05"),
        ("Asia/Tokyo", None, "2013-01-10"),
    ],
)
def test_what_a_person_starts_has_its_day_in_the_time_zone_of_the_installation(
    monkeypatch: pytest.MonkeyPatch, zone: str, moment: str | None, expected: str
) -> None:
    monkeypatch.setenv("MICROSTAGE_TIME_ZONE", zone)

    assert expected == day_of(context(moment)).ds


def test_the_day_of_a_run_of_many_days_is_the_last_one() -> None:
    given = context("2013-02-01T00:00Z", first="2013-01-01", last=DAY)

    assert (DAY, "the parameter last") == (day_of(given).ds, day_of(given).why)


def test_without_a_time_zone_of_its_own_it_has_airflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MICROSTAGE_TIME_ZONE", raising=False)
    found = [day_of(context("2013-01-05T23:00Z")).ds]
    for zone in ("Europe/Berlin", "system"):
        monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TIMEZONE", zone)
        found.append(day_of(context("2013-01-05T23:00Z")).ds)

    here = datetime(2013, 1, 5, 23, tzinfo=UTC).astimezone()
    assert ["2013-01-05", "2013-01-06", f"{here:%Y-%m-%d}"] == found


@pytest.mark.parametrize("kind", ["scheduled", "backfill", "operator_triggered", "asset_triggered"])
def test_what_no_person_starts_has_its_day_in_utc(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("MICROSTAGE_TIME_ZONE", "Asia/Tokyo")

    assert "2013-01-06" == day_of(context("2013-01-06T23:00Z", kind=kind)).ds


@pytest.mark.parametrize("kind", ["manual", "operator_triggered"])
@pytest.mark.parametrize("moment", ["2013-01-05T23:00Z", None])
def test_the_field_of_the_form_counts(kind: str, moment: str | None) -> None:
    day = day_of(context(moment, kind=kind, day="2013-02-03"))

    assert ("2013-02-03", "the parameter day") == (day.ds, day.why)


def test_a_time_zone_that_is_none_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("Berlin", "+02:00", "/etc/passwd", "Europe"):
        monkeypatch.setenv("MICROSTAGE_TIME_ZONE", wrong)
        with pytest.raises(AirflowFailException, match="no time zone; write one such as"):
            day_of_run(context("2013-01-05T23:00Z"))

        assert "2013-01-06" == day_of(context("2013-01-06T00:00Z")).ds


def test_every_form_has_the_field_and_it_takes_a_day_or_nothing() -> None:
    """But that of a DAG of many days, which has to be told both ends."""
    bag = DagBag(DAGS)

    assert {} == bag.import_errors
    for dag in bag.dags.values():
        of_days = {"first", "last"} <= set(dag.params) or dag.dag_id == "maintain"
        assert of_days or dag.params["day"] is None
    assert "2013-01-06" == day_param().resolve("2013-01-06")
    for wrong in ("6.1.2013", "2013-1-6", "2013-02-30", 20130106):
        with pytest.raises(ParamValidationError):
            day_param().resolve(wrong)


@pytest.mark.usefixtures("test_image")
def test_every_task_of_a_run_has_the_same_day_and_says_which_and_why(
    tiny: dict[str, Any],
    table: Table,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table(ok={}, count={"reads": {"raw": "raw/{day}", "ok": "ok/{ds}"}})
    (data / "raw" / DAY).mkdir(parents=True)
    for name in ("data.csv", "manifest.json"):
        (data / "raw" / DAY / name).write_text("{}")
    caplog.set_level("INFO")

    monkeypatch.setenv("MICROSTAGE_TIME_ZONE", "Europe/Berlin")
    zoned = tiny["chain"].test(logical_date=MOMENT)
    monkeypatch.setenv("MICROSTAGE_TIME_ZONE", "UTC")
    given = tiny["chain"].test(logical_date=MOMENT + timedelta(days=40), run_conf={"day": DAY})

    assert [{"success"}] * 2 == [
        {state for state, _ in states(run).values()} for run in (zoned, given)
    ]
    assert [DAY] == [path.name for path in (data / "count").iterdir()]
    hint = "; if another day is meant, start a run with the parameter day."
    read = f"the logical date, 2013-01-05T23:00:00+00:00, in Europe/Berlin{hint}"
    assert [f"The day of this run is {DAY}: {read}"] * 3 + [
        f"The day of this run is {DAY}: the parameter day."
    ] * 3 == [said.getMessage() for said in caplog.records if said.name == "microstage.day"]
