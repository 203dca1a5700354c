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
from dags_harness import DAY, IMAGE, states
from sqlalchemy import select

ROOT = Path(__file__).resolve().parents[2]
SUNDAY = datetime(2013, 1, 6, tzinfo=UTC)  # DAY
BLOCK = re.compile(r"(?ms)^<!-- file: dags/use_predictions.py -->\n```python\n(.*?^)```$")
ROWS = {
    "fetch": ("version", "production/{ds}", {}, "fetch-model"),
    "transform": ("ok", "features/{ds}", {"raw": "raw/{day}", "model": "{model}"}, ""),
    "predict": ("ok", "predictions/{ds}", {"features": "features/{ds}", "model": "{model}"}, ""),
    "monitor": ("ok", "reports/{ds}", {"predictions": "predictions/{day}"}, ""),
}


def toml(rows: dict[str, Any]) -> str:
    """Return a table of the test stage, for the DAGs of this repository."""
    return "\n".join(
        f"""
        [stages.{name}]
        image = "{IMAGE}"
        verb = "{verb}"
        work = "{work or name}"
        reads = {{ {", ".join(f'{key} = "{value}"' for key, value in reads.items())} }}
        writes = {{ to = "{to}", files = ["summary.json"] }}
        params = {{}}
        limits = {{ cpus = 1, memory = "64m", pids = 16, timeout = "30s" }}
        """
        for name, (verb, to, reads, work) in rows.items()
    )


@pytest.fixture
def bag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_image: str, data: Path
) -> Iterator[Callable[..., Any]]:
    """The DAGs predict and backfill, and the one of the docs that follows, on the test stage."""
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - after the environment

    folder = tmp_path / "dags"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines/flights.toml").write_text("")
    bundle = {
        "name": "assets",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.setenv("MICROSTAGE_STAGES", str(folder / "stages.toml"))
    [follows] = BLOCK.findall((ROOT / "docs/pipelines.md").read_text("utf-8"))

    def load(**rows: Any) -> Any:
        (folder / "stages.toml").write_text(toml(ROWS | rows))
        for name in ("predict", "backfill"):
            shutil.copy(ROOT / f"dags/{name}.py", folder)
        (folder / "use_predictions.py").write_text(follows)
        found = DagBag(folder)
        assert {} == found.import_errors
        synchronise(found)
        for day in (DAY, "2013-01-07"):
            (data / "flights/raw" / day).mkdir(parents=True, exist_ok=True)
            for file in ("data.csv", "manifest.json"):
                (data / "flights/raw" / day / file).write_text("{}")
        return found.dags

    yield load
    forget()


def synchronise(bag: Any) -> None:
    """Have Airflow's database know the DAGs, as the DAG processor does; switch them on."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415
    from airflow.dag_processing.dagbag import sync_bag_to_db  # noqa: PLC0415
    from airflow.models.dag import DagModel  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import update  # noqa: PLC0415

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "assets", None)
    with create_session() as session:
        session.execute(
            update(DagModel).where(DagModel.dag_id == "use_predictions").values(is_paused=False)
        )


def forget() -> None:
    """Leave nothing of these DAGs to the next test."""
    from airflow.models.asset import AssetDagRunQueue, AssetEvent  # noqa: PLC0415
    from airflow.models.dag import DagModel  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import delete, update  # noqa: PLC0415

    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))
        session.execute(delete(AssetEvent))
        session.execute(update(DagModel).values(is_paused=True))


def events() -> list[tuple[str, dict[str, Any]]]:
    """Return what Airflow knows, oldest first: the asset's name, and what is said."""
    from airflow.models.asset import AssetEvent  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415

    with create_session() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id))
        return [(event.name, event.extra) for event in found]


def runs_that_followed() -> list[Any]:
    """Have the scheduler look for DAGs to start; return the runs of the one that follows."""
    from airflow.jobs.job import Job  # noqa: PLC0415
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner  # noqa: PLC0415
    from airflow.models.dagrun import DagRun  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from airflow.utils.sqlalchemy import prohibit_commit  # noqa: PLC0415

    with create_session() as session, prohibit_commit(session) as guard:
        SchedulerJobRunner(Job(), executors=[])._create_dagruns_for_dags(guard, session)
    with create_session() as session:
        found = session.scalars(select(DagRun).where(DagRun.dag_id == "use_predictions"))
        return [
            [event.extra["day"] for event in run.consumed_asset_events] for run in found.unique()
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
            },
        )
        for kind, rows in kinds.items()
    ] == events()
    assert [[DAY]] == runs_that_followed()
