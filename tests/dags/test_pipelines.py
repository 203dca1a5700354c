"""Pipelines as Airflow sees them: DAGs of each, and what a broken file does."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException
from dags_harness import DAY, schedule

from microstage.operator import StageOperator
from microstage.pipelines import table_path
from microstage.sensors import WaitForData

DAGS = Path(__file__).resolve().parents[2] / "dags"
ONCE = "maintain"  # which looks after all pipelines
NAMES = ["backfill", "generate_data", "monitor", "predict", "rollback", "train_model"]
Table = Callable[..., None]


def test_a_file_is_a_pipeline_with_every_dag_and_its_own_times(pipeline_files: Path) -> None:
    (pipeline_files / "churn.toml").write_text(
        '[pipeline]\nschedule = { train_model = "30 6 1 * *", predict = "none" }\n'
    )
    bag = DagBag(DAGS)

    assert {} == bag.import_errors
    assert {ONCE, *NAMES, *(f"churn.{name}" for name in NAMES)} == set(bag.dags)
    assert {
        "backfill": "None",
        "generate_data": "0 0 * * *",
        "monitor": "0 0 * * *",
        "predict": "None",
        "rollback": "None",
        "train_model": "30 6 1 * *",
    } == {name: schedule(bag.dags[f"churn.{name}"]) for name in NAMES}
    assert "0 0 * * *" == schedule(bag.dags["predict"])


def test_broken_files_are_one_import_error_and_their_dags_stay_without_a_schedule(
    pipeline_files: Path,
) -> None:
    (pipeline_files / "churn.toml").write_text("[stages.train")
    (pipeline_files / "late.toml").write_text('[pipeline.schedule]\npredict = "61 * * * *"')
    (pipeline_files / "whole.toml").write_text("")
    bag = DagBag(DAGS)
    [(file, told)] = bag.import_errors.items()
    schedules = {dag_id: schedule(dag) for dag_id, dag in bag.dags.items()}
    broken = {f"{pipeline}.{name}" for pipeline in ("churn", "late") for name in NAMES}

    assert "check_pipelines.py" == Path(file).name
    assert "pipelines/churn.toml is not valid TOML" in told
    assert "pipelines/late.toml, pipeline: '61 * * * *' of predict is no time to run." in told
    assert {ONCE, *broken, *NAMES, *(f"whole.{name}" for name in NAMES)} == set(schedules)
    assert {"None"} == {schedules[dag_id] for dag_id in broken}
    assert all(schedules[name] == schedules[f"whole.{name}"] for name in NAMES)
    assert ["backfill", "rollback"] == [name for name in NAMES if schedules[name] == "None"]


def test_a_table_of_release_1_0_has_its_dags_and_a_notice_that_none_starts_by_itself(
    pipeline_files: Path,
) -> None:
    table = pipeline_files.parent / "stages.toml"
    head, _, rest = table.read_text().partition("[pipeline]")
    table.write_text(head + rest[rest.index("[networks.") :])
    bag = DagBag(DAGS)
    [(file, told)] = bag.import_errors.items()

    assert "check_pipelines.py" == Path(file).name
    assert "stages.toml has no schedule in a section [pipeline]" in told
    assert dict.fromkeys(NAMES, "None") == {name: schedule(bag.dags[name]) for name in NAMES}


def test_a_file_of_an_impossible_name_is_an_import_error_and_makes_no_dag(
    pipeline_files: Path,
) -> None:
    for name in ("Churn", "my-churn", "1st"):
        (pipeline_files / f"{name}.toml").write_text("")
    bag = DagBag(DAGS)
    [(file, told)] = bag.import_errors.items()

    assert "check_pipelines.py" == Path(file).name
    for name in ("Churn", "my-churn", "1st"):
        assert f"pipelines/{name}.toml: {name!r} is no name for a pipeline" in told
    assert {ONCE, *NAMES} == set(bag.dags)


def test_twenty_pipelines_have_their_dags_and_a_task_parses_its_own_alone(
    pipeline_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (pipeline_files / f"p{number}.toml").write_text("")
    everything = DagBag(DAGS)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "p7.train_model")

    assert {} == everything.import_errors
    assert 21 * len(NAMES) + 1 == len(everything.dags)
    assert ["p7.train_model"] == list(DagBag(DAGS / "train_model.py").dags)


# --- what a task of a pipeline does


@pytest.fixture
def churn(data: Path, table: Table) -> Path:
    """The file of a pipeline, over a table of the test stage."""
    table(
        ok={"params": {"name": "{pipeline} {registered_model}"}}, count={"reads": {"ok": "ok/{ds}"}}
    )
    file = table_path().parent / "pipelines/churn.toml"
    file.parent.mkdir()
    file.write_text('[pipeline]\nmodel = "Customers"\n[stages.ok]\nparams = { rounds = 3 }\n')
    return file


def run(stage: str, pipeline: str = "churn") -> Any:
    operator: Any = StageOperator(task_id=stage, pipeline=pipeline, ds=DAY, force=False)
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id=stage, map_index=-1, try_number=1)
    return operator.execute({"ti": ti})


@pytest.mark.usefixtures("churn", "test_image")
def test_another_pipelines_data_is_below_its_name_and_nothing_beside_it(data: Path) -> None:
    summary = run("ok")
    manifest = json.loads((data / f"churn/ok/{DAY}/manifest.json").read_text())

    assert "--name churn Customers --rounds 3" == summary["arguments"]
    assert {"name": "churn Customers", "rounds": 3} == manifest["parameters"]
    assert ["churn"] == [path.name for path in data.iterdir()]
    assert [".staging", ".tables", "ok"] == sorted(path.name for path in (data / "churn").iterdir())


@pytest.mark.usefixtures("test_image")
def test_a_run_goes_on_with_the_table_as_it_was_while_its_file_is_broken(
    data: Path, churn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("ok")
    churn.write_text("[pipeline]\nwindow = 0\n")
    run("count")

    assert (data / f"churn/count/{DAY}/manifest.json").exists()
    assert "this run goes on with the table as it was before" in capsys.readouterr().out
    with pytest.raises(AirflowFailException, match=r"pipelines/other\.toml"):
        run("ok", pipeline="other")


@pytest.mark.usefixtures("churn", "data", "test_image")
def test_what_is_missing_is_told_as_it_is_below_the_data_folder() -> None:
    with pytest.raises(AirflowFailException, match=f"^churn/ok/{DAY} does not exist: "):
        run("count")


def test_data_is_waited_for_where_the_row_reads_it(data: Path, pipeline_files: Path) -> None:
    (pipeline_files / "churn.toml").write_text(
        '[stages.preprocess]\nreads = { raw = "arrivals/{day}" }\n'
        '[stages.generate]\nwrites = { to = "arrivals/{ds}", files = ["table.parquet"] }\n'
    )
    for day in ("2013-01-05", DAY):
        folder = data / "churn/arrivals" / day
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    wait = WaitForData(task_id="wait", stage="preprocess", pipeline="churn", ds=DAY, window=2)

    assert ["arrivals/2013-01-05", f"arrivals/{DAY}"] == wait.execute({})
