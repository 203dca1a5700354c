"""Links beside a task: they are in the DAG as Airflow keeps it, and lead to what was published."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization, OperatorSerialization
from airflow.utils.session import create_session
from dags_harness import DAY

from microstage.decisions import CheckQuality

ROOT = Path(__file__).resolve().parents[2]
REPORTS = "http://localhost:8082"
STORY = """
from airflow.sdk import DAG
from microstage.operator import StageOperator

with DAG(dag_id="linked_{}", schedule=None):
    StageOperator(task_id="stage", retries=0)
"""


@contextmanager
def read_by_the_api_server() -> Iterator[None]:
    """Read DAGs with their links, as it does; what schedules, another test's too, does not."""
    with pytest.MonkeyPatch.context() as patch:
        for reader in (DagSerialization, OperatorSerialization):
            patch.setattr(reader, "_load_operator_extra_links", True)
        yield


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """The DAGs of this repository as Airflow keeps them, without any code of ours."""
    found = DagBag(ROOT / "dags").dags
    with read_by_the_api_server():
        return {
            name: DagSerialization.from_dict(DagSerialization.to_dict(dag))
            for name, dag in found.items()
        }


@pytest.mark.parametrize(
    ("dag", "task", "links"),
    [
        ("flights.monitor", "monitor", ["Lineage", "Report"]),
        ("flights.monitor", "check_quality", ["Report"]),
        ("train_model", "compare", ["Lineage", "Verdict"]),
        ("train_model", "train", ["Lineage"]),
        ("backfill", "monitor", ["Lineage", "Report"]),
    ],
)
def test_a_dag_that_airflow_keeps_has_the_links(
    kept: dict[str, Any], dag: str, task: str, links: list[str]
) -> None:
    assert links == sorted(kept[dag].get_task(task).extra_links)


def link(run: Any, task: str, name: str) -> str | None:
    """Return a link as Airflow's API gives it to the UI."""
    with read_by_the_api_server(), create_session() as session:
        kept: Any = SerializedDagModel.get(run.dag_id, session=session)
        address: str | None = kept.dag.get_task(task).get_extra_links(
            run.get_task_instance(task, session=session), name
        )
        return address


@pytest.mark.usefixtures("test_image")
@pytest.mark.parametrize(
    ("work", "verb", "links"),
    [
        ("predict-rows", "ok", {"Lineage": f"{REPORTS}/made-by/default/stage/{DAY}"}),
        ("compare-models", "ok", {"Verdict": f"{REPORTS}/made-by/default/stage/{DAY}"}),
        ("report-quality", "ok", {"Report": f"{REPORTS}/{DAY}/report.html"}),
        ("report-quality", "nothing", {"Report": None}),
    ],
)
def test_a_task_says_where_its_links_lead_once_it_has_published(
    table: Any,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: str,
    verb: str,
    links: dict[str, str | None],
) -> None:
    monkeypatch.setenv("MICROSTAGE_REPORTS_URL", REPORTS)
    table(stage={"verb": verb, "work": work})
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "linked.py").write_text(STORY.format(f"{work}_{verb}"))
    bundle = {
        "name": f"links-{tmp_path.name}",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))

    run = (
        DagBag(folder)
        .dags[f"linked_{work}_{verb}"]
        .test(logical_date=datetime(2013, 1, 6, tzinfo=UTC))
    )

    assert links == {name: link(run, "stage", name) or None for name in links}


def test_who_decides_by_a_report_links_it_also_where_it_is_bad(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_REPORTS_URL", REPORTS)
    folder = data / "reports" / DAY
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "quality.json").write_text('{"problems": ["The AUC is low."]}')
    task: Any = CheckQuality(task_id="check_quality", report="monitor", ds=DAY)

    with pytest.raises(AirflowFailException, match="low"):
        task.execute({})

    [shown] = task.operator_extra_links
    assert f"{REPORTS}/{DAY}/report.html" == shown.get_link(task, ti_key=None)
