"""What is published is an event of an Asset of Airflow, and a DAG that follows is started by it."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.asset import AssetActive, AssetDagRunQueue, AssetEvent
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from dags_harness import DAY, states
from sqlalchemy import delete, select, update

ROOT = Path(__file__).resolve().parents[2]
SUNDAY = datetime(2013, 1, 6, tzinfo=UTC)  # DAY
BLOCK = re.compile(r"(?ms)^<!-- file: dags/use_predictions.py -->\n```python\n(.*?^)```$")
prohibited: Any = prohibit_commit
ONCE = """
from airflow.sdk import DAG
from microstage.operator import StageOperator

with DAG(dag_id="once_promoted", schedule=None):
    StageOperator(task_id="promote", retries=0)
"""
MODEL = {"model": "{model}"}
ROWS: dict[str, dict[str, Any]] = {
    "fetch": {
        "verb": "version",
        "work": "fetch-model",
        "writes": {"to": "production/{ds}", "files": ["version.json"]},
    },
    "transform": {
        "verb": "ok",
        "reads": {"raw": "raw/{day}", **MODEL},
        "writes": {"to": "features/{ds}", "files": ["result.txt"]},
    },
    "predict": {
        "verb": "ok",
        "reads": {"features": "features/{ds}", **MODEL},
        "writes": {"to": "predictions/{ds}", "files": ["result.txt"]},
    },
    "monitor": {
        "verb": "report",
        "reads": {"predictions": "predictions/{day}", **MODEL},
        "optional": ["predictions"],
        "writes": {"to": "reports/{ds}", "files": ["quality.json"]},
    },
}


@pytest.fixture
def bag(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    test_image: str,
    data: Path,
    table: Callable[..., None],
) -> Iterator[Callable[..., Any]]:
    """The DAGs predict and backfill, and the one of the docs that follows, on the test stage."""

    folder = tmp_path / "dags"
    for made in (folder, tmp_path / "pipelines"):
        made.mkdir()
    (tmp_path / "pipelines/flights.toml").write_text("")
    bundle = {
        "name": "assets",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    [follows] = BLOCK.findall((ROOT / "docs/pipelines.md").read_text("utf-8"))

    def load(**rows: Any) -> Any:
        table(**(ROWS | rows))
        for name in ("predict", "backfill"):
            shutil.copy(ROOT / f"dags/{name}.py", folder)
        (folder / "use_predictions.py").write_text(follows)
        (folder / "once.py").write_text(ONCE)
        found = DagBag(folder)
        assert {} == found.import_errors
        synchronise(found)
        for day in (DAY, "2013-01-07"):
            (data / "flights/raw" / day).mkdir(parents=True, exist_ok=True)
            for file in ("data.csv", "manifest.json"):
                (data / "flights/raw" / day / file).write_text("{}")
        return found.dags

    forget()  # what other tests have left
    yield load
    forget()


def synchronise(bag: Any) -> None:
    """Have Airflow's database know the DAGs, as the DAG processor does; switch them on."""
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call] # Airflow's
    sync_bag_to_db(bag, "assets", None)
    with create_session() as session:
        session.execute(
            update(DagModel).where(DagModel.dag_id == "use_predictions").values(is_paused=False)
        )


def forget() -> None:
    """Leave nothing to the next test."""
    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))
        session.execute(delete(AssetEvent))
        session.execute(delete(DagRun).where(DagRun.dag_id == "use_predictions"))
        session.execute(update(DagModel).values(is_paused=True))


def events() -> list[tuple[str, dict[str, Any]]]:
    """Return what Airflow knows, oldest first: the asset's name, and what is said."""
    with create_session() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id))
        return [(event.name, event.extra) for event in found]


def runs_that_followed() -> list[list[str]]:
    """Have the scheduler look for DAGs to start; return the days of each run that follows."""
    job: Any = Job()  # type: ignore[no-untyped-call] # as above
    with create_session() as session, prohibited(session) as guard:
        SchedulerJobRunner(job, executors=[])._create_dagruns_for_dags(guard, session)
    with create_session() as session:
        found = session.scalars(select(DagRun).where(DagRun.dag_id == "use_predictions"))
        return [
            sorted({day for event in run.consumed_asset_events for day in event.extra["days"]})
            for run in found.unique()
        ]


def manifest(data: Path, directory: str) -> str:
    return hashlib.sha256((data / directory / "manifest.json").read_bytes()).hexdigest()


def test_predictions_are_announced_and_start_the_dag_that_follows(
    bag: Callable[..., Any], data: Path
) -> None:
    run = bag()["flights.predict"].test(logical_date=SUNDAY)
    kinds = {"production/day": None, "features": 3, "predictions": 3}

    assert {"success"} == {state for state, _ in states(run).values()}
    assert [
        (
            f"flights/{kind}",
            {
                "pipeline": "flights",
                "kind": kind,
                "directory": f"flights/{kind.removesuffix('/day')}/{DAY}",
                "manifest": manifest(data, f"flights/{kind.removesuffix('/day')}/{DAY}"),
                "rows": rows,
                "model": "flights",
                "version": "3",
                "changed": True,
                "day": DAY,
                "days": [DAY],
            },
        )
        for kind, rows in kinds.items()
    ] == events()
    assert [[DAY]] == runs_that_followed()


def test_a_day_that_is_up_to_date_is_announced_as_unchanged_and_by_the_same_manifest(
    bag: Callable[..., Any], data: Path
) -> None:
    dag = bag()["flights.predict"]
    for hour in (0, 1):
        dag.test(logical_date=SUNDAY.replace(hour=hour))
    told = [event for name, event in events() if name == "flights/predictions"]

    assert [True, False] == [event["changed"] for event in told]
    assert [manifest(data, f"flights/predictions/{DAY}")] * 2 == [
        event["manifest"] for event in told
    ]


@pytest.mark.parametrize(("code", "state"), [(66, "skipped"), (65, "failed")])
def test_a_task_that_was_skipped_or_failed_announces_nothing(
    bag: Callable[..., Any], code: int, state: str
) -> None:
    fetch = ROWS["fetch"] | {"verb": "fail", "params": {"code": code}}
    run = bag(fetch=fetch)["flights.predict"].test(logical_date=SUNDAY)

    assert (state, 1) == states(run)["fetch"]
    assert [] == events()


def test_a_model_that_a_variable_names_is_no_event_of_production(
    bag: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_FLIGHTS.MODEL_PATH", "models/mine")
    (data / "flights/models/mine").mkdir(parents=True)
    (data / "flights/models/mine/summary.json").write_text("{}")
    train = {"verb": "ok", "writes": {"to": "models/{ds}", "files": ["summary.json"]}}
    run = bag(train=train)["flights.predict"].test(logical_date=SUNDAY)

    assert {"success"} == {state for state, _ in states(run).values()}
    assert ["flights/features", "flights/predictions"] == [name for name, _ in events()]


def test_each_day_of_many_has_an_event_of_its_own_and_who_follows_one_run(
    bag: Callable[..., Any], data: Path
) -> None:
    days = [DAY, "2013-01-07"]
    conf = {"first": days[0], "last": days[1], "generate": False}
    bag()["flights.backfill"].test(logical_date=SUNDAY, run_conf=conf)

    for kind in ("production", "features", "predictions", "reports"):
        name = f"flights/{kind}" + ("/day" if kind == "production" else "")
        found = {event["day"]: event for other, event in events() if other == name}
        assert days == sorted(found)
        for day in days:
            assert f"flights/{kind}/{day}" == found[day]["directory"]
            assert manifest(data, f"flights/{kind}/{day}") == found[day]["manifest"]
    assert [days] == runs_that_followed()


def test_an_asset_that_airflow_has_switched_off_stops_no_publication(
    bag: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    dag = bag()["flights.predict"]
    with create_session() as session:
        session.execute(delete(AssetActive))
    # What a test run of a DAG does first, and would switch them on again.
    monkeypatch.setattr("airflow.dag_processing.dagbag.sync_bag_to_db", lambda *_: None)
    run = dag.test(logical_date=SUNDAY)

    assert {"success"} == {state for state, _ in states(run).values()}
    assert (data / f"flights/predictions/{DAY}/manifest.json").is_file()
    assert [] == events()


def test_a_file_that_cannot_be_read_stops_no_publication(
    bag: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("microstage.assets.described", broken)
    run = bag()["flights.predict"].test(logical_date=SUNDAY)

    assert {"success"} == {state for state, _ in states(run).values()}
    assert (data / f"flights/predictions/{DAY}/manifest.json").is_file()
    assert [] == events()


def test_a_promotion_is_an_event_of_production_with_the_version(
    bag: Callable[..., Any], data: Path
) -> None:
    writes = {"to": "models/{ds}/promotion", "files": ["result.txt"]}
    promote = {"verb": "promotion", "work": "promote-model", "writes": writes}
    run = bag(promote=promote)["once_promoted"].test(logical_date=SUNDAY)
    found = dict(events())

    assert {"promote": ("success", 1)} == states(run)
    assert {"default/models/promotion", "default/production"} == set(found)
    assert ("microstage", "7", True) == tuple(
        found["default/production"][key] for key in ("model", "version", "changed")
    )
    assert f"models/{DAY}/promotion" == found["default/production"]["directory"]
