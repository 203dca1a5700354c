"""OpenLineage hears of every stage; where nobody listens, nothing waits for it, or is loaded."""

import copy
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.models.asset import AssetDagRunQueue, AssetEvent
from airflow.utils.session import create_session
from dags_harness import DAY, INSTALL
from jsonschema import ValidationError
from lineage_spec import check
from sqlalchemy import delete

from microstage.lineage_events import ImageRunFacet

HERE = Path(__file__).resolve().parent
AIRFLOW = HERE.parents[1] / "containers/platform/airflow"
# As preload.py begins: in a process of its own, as Airflow loads its plugins but once.
RUN = r"""
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
import receiver
os.environ.update(receiver.settings(os.environ))
from datetime import datetime, UTC
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(sys.argv[2]).dags[sys.argv[3]]
began = time.monotonic()
run = dag.test(logical_date=datetime.fromisoformat(sys.argv[4]).replace(tzinfo=UTC))
states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "openlineage")
with open(sys.argv[5], "w") as said:
    json.dump([states, loaded, time.monotonic() - began], said)
"""
TABLE = {
    "verb": "table",
    "reads": {"raw": "raw/{day}"},
    "writes": {"to": "ok/{ds}", "files": ["data.csv"]},
}


@pytest.fixture(autouse=True)
def nothing_announced() -> Iterator[None]:
    """Leave no event of an asset to the next test."""
    yield
    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))
        session.execute(delete(AssetEvent))


@contextmanager
def listening(answer: Callable[[], object] = lambda: None) -> Iterator[tuple[str, list[Any]]]:
    """Listen as a service of OpenLineage does; yield the address, and what comes in."""
    events: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert "/api/v1/lineage" == self.path
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer()
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", events
        finally:
            server.shutdown()
            thread.join()


def run(dag: str, address: str, moment: str = DAY) -> tuple[dict[str, str], list[str], float]:
    """Run a DAG of the test stage; return its tasks' states, what was loaded, and the seconds."""
    given = {key: value for key, value in os.environ.items() if key != "PYTEST_VERSION"}
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        subprocess.run(
            [sys.executable, "-c", RUN, str(AIRFLOW), str(HERE / "tiny"), dag, moment, said.name],
            env=given | {"MICROSTAGE_LINEAGE": address},
            check=True,
        )
        states, loaded, seconds = json.load(said)
    return states, loaded, seconds


def raw(data: Path) -> None:
    (data / "raw" / DAY).mkdir(parents=True)
    (data / "raw" / DAY / "data.csv").write_text("carrier;distance\nAA;733\n")
    (data / "raw" / DAY / "manifest.json").write_text("{}")


def by_name(datasets: list[dict[str, Any]]) -> dict[str, Any]:
    assert {f"microstage://{INSTALL}"} == {one["namespace"] for one in datasets}
    return {one["name"]: one for one in datasets}


def of_task(events: list[Any], task: str) -> dict[str, Any]:
    return {
        event["eventType"]: event for event in events if event["job"]["name"].endswith(f".{task}")
    }


@pytest.mark.usefixtures("test_image")
def test_a_chain_tells_what_each_stage_reads_and_writes_as_the_specification_has_it(
    table: Callable[..., None], data: Path
) -> None:
    table(ok=TABLE, count={"reads": {"raw": "raw/{day}", "ok": "ok/{ds}"}})
    raw(data)
    with listening() as (address, events):
        states, *_ = run("chain", address)

    assert {"wait": "success", "ok": "success", "count": "success"} == states
    for event in events:
        check(event, ImageRunFacet)
    told = of_task(events, "ok")
    assert {"START", "COMPLETE"} == set(told)
    assert told["START"]["run"]["runId"] == told["COMPLETE"]["run"]["runId"]
    assert "chain" == told["COMPLETE"]["run"]["facets"]["parent"]["job"]["name"]
    assert [f"default/raw/{DAY}"] == list(by_name(told["START"]["inputs"]))
    assert {} == by_name(told["START"]["outputs"])[f"default/ok/{DAY}"].get("facets", {})

    written = by_name(told["COMPLETE"]["outputs"])[f"default/ok/{DAY}"]
    manifest = json.loads((data / f"ok/{DAY}/manifest.json").read_text())
    assert ["carrier", "distance"] == [one["name"] for one in written["facets"]["schema"]["fields"]]
    statistics = written["outputFacets"]["outputStatistics"]
    size = sum(one["size"] for one in manifest["outputs"].values())
    assert (2, size, 3) == tuple(statistics[key] for key in ("rowCount", "size", "fileCount"))
    assert 2 == written["facets"]["dataQualityMetrics"]["rowCount"]
    image = told["COMPLETE"]["run"]["facets"]["microstage_image"]
    assert (manifest["image"], manifest["image_id"]) == (image["image"], image["imageId"])
    assert_strict(told["COMPLETE"])
    # What one has published is what the next has read, in the same version.
    read = by_name(of_task(events, "count")["COMPLETE"]["inputs"])[f"default/ok/{DAY}"]
    assert written["facets"]["version"] == read["facets"]["version"]
    assert 2 == read["inputFacets"]["dataQualityMetrics"]["rowCount"]


def assert_strict(event: dict[str, Any]) -> None:
    """See that the specification's test does not take whatever comes."""

    def without(event: Any) -> None:
        del event["run"]["runId"]

    def another_type(event: Any) -> None:
        event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] = "two"

    def another_name(event: Any) -> None:
        event["outputs"][0]["facets"]["schema"]["fields"][0]["titel"] = "x"

    def no_moment(event: Any) -> None:
        event["eventTime"] = "yesterday"

    for spoil in (without, another_type, another_name, no_moment):
        spoilt = copy.deepcopy(event)
        spoil(spoilt)
        with pytest.raises(ValidationError):
            check(spoilt, ImageRunFacet)


@pytest.mark.usefixtures("test_image")
def test_a_failure_tells_the_stages_own_sentence_and_what_it_was_to_read(
    table: Callable[..., None], data: Path
) -> None:
    table(stage={"verb": "fail", "params": {"code": 65}, "reads": {"raw": "raw/{day}"}})
    raw(data)
    with listening() as (address, events):
        states, *_ = run("once", address)

    assert {"stage": "failed"} == states
    for event in events:
        check(event, ImageRunFacet)
    told = of_task(events, "stage")
    assert {"START", "FAIL"} == set(told)
    assert "the reason, on row 7" in told["FAIL"]["run"]["facets"]["errorMessage"]["message"]
    assert [f"default/raw/{DAY}"] == list(by_name(told["FAIL"]["inputs"]))
    assert [] == told["FAIL"].get("outputs", [])


@pytest.mark.usefixtures("test_image")
def test_without_a_receiver_nothing_of_it_is_loaded(table: Callable[..., None], data: Path) -> None:
    table(stage={"verb": "ok"})
    states, loaded, _ = run("once", "none", f"{DAY}T01")

    assert {"stage": "success"} == states
    assert [] == loaded


@pytest.mark.usefixtures("test_image")
@pytest.mark.parametrize(("hour", "silent"), [(2, False), (3, True)])
def test_a_receiver_that_is_down_or_silent_fails_no_task_and_holds_it_up_for_seconds(
    table: Callable[..., None], data: Path, hour: int, silent: bool
) -> None:
    table(stage={"verb": "ok"})
    over = threading.Event()
    with socket.socket() as nobody, listening(lambda: over.wait(120)) as (address, events):
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        free = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        try:
            states, _, seconds = run("once", address if silent else free, f"{DAY}T0{hour}")
        finally:
            over.set()

    assert {"stage": "success"} == states
    assert (data / f"stage/{DAY}/manifest.json").is_file()
    assert silent == bool(of_task(events, "stage"))
    assert seconds < 25  # of which all but a few are the container's, on a machine that is busy
