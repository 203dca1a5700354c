"""Pipelines as Airflow sees them: DAGs of each, and what a broken file does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException
from dags_harness import DAY

from microstage.operator import StageOperator
from microstage.pipelines import table_path
from microstage.sensors import WaitForData

DAGS = Path(__file__).resolve().parents[2] / "dags"
NAMES = ["generate_data", "monitor", "predict", "rollback", "train_model"]


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for files of pipelines, beside a table."""
    folder = tmp_path / "dags" / "pipelines"
    folder.mkdir(parents=True)
    shutil.copy(table_path(), folder.parent)
    monkeypatch.setenv("MICROSTAGE_STAGES", str(folder.parent / "stages.toml"))
    return folder


def test_a_file_is_a_pipeline_with_every_dag_and_its_own_times(pipelines: Path) -> None:
    (pipelines / "churn.toml").write_text(
        '[pipeline]\nschedule = { train_model = "30 6 1 * *", predict = "none" }\n'
    )
    bag = DagBag(DAGS)

    assert {} == bag.import_errors
    assert {*NAMES, *(f"churn.{name}" for name in NAMES)} == set(bag.dags)
    times = {name: bag.dags[f"churn.{name}"].timetable.summary for name in NAMES}
    assert "30 6 1 * *" == times["train_model"]
    assert "0 0 * * *" == times["generate_data"] == bag.dags["predict"].timetable.summary
    assert "None" == times["predict"] == times["rollback"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[pipeline]\nwindow = 'x'", "pipelines/churn.toml, pipeline: window must be a number."),
        ("[stages.train", "pipelines/churn.toml is not valid TOML"),
        ("[stages.train]\nimagee = 'x'", "pipelines/churn.toml, stage train has an unknown key"),
        ("[stages.train]\nlike = 'no'", "pipelines/churn.toml, stage train: like names 'no'"),
        ("[pipeline]\nschedule = { predict = '61 * * * *' }", "'61 * * * *' of predict is no time"),
        ("[stage.train]\n", "pipelines/churn.toml must hold"),
    ],
)
def test_a_broken_file_is_one_import_error_and_its_dags_stay_without_a_schedule(
    pipelines: Path, text: str, sentence: str
) -> None:
    (pipelines / "churn.toml").write_text(text)
    (pipelines / "other.toml").write_text("")
    bag = DagBag(DAGS)

    assert ["check_pipelines.py"] == [Path(file).name for file in bag.import_errors]
    assert sentence in next(iter(bag.import_errors.values()))
    assert {f"{p}{n}" for p in ("", "churn.", "other.") for n in NAMES} == set(bag.dags)
    assert {"None"} == {bag.dags[f"churn.{name}"].timetable.summary for name in NAMES}
    assert "0 0 * * 0" == bag.dags["other.train_model"].timetable.summary
    assert "0 0 * * 0" == bag.dags["train_model"].timetable.summary


@pytest.mark.parametrize("name", ["Churn", "my-churn", "1st", "raw"])
def test_a_file_of_an_impossible_name_is_an_import_error_and_makes_no_run(
    pipelines: Path, name: str
) -> None:
    (pipelines / f"{name}.toml").write_text("")
    bag = DagBag(DAGS)

    assert ["check_pipelines.py"] == [Path(file).name for file in bag.import_errors]
    assert f"pipelines/{name}.toml" in next(iter(bag.import_errors.values()))
    assert {"None"} >= {d.timetable.summary for i, d in bag.dags.items() if i not in NAMES}


def test_a_task_parses_its_own_pipeline_alone(
    pipelines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (pipelines / f"p{number}.toml").write_text("")
    everything = len(DagBag(DAGS / "train_model.py").dags)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "p7.train_model")

    assert 21 == everything
    assert ["p7.train_model"] == list(DagBag(DAGS / "train_model.py").dags)


Table = Callable[..., None]


def run(data: Path, operator: Any) -> Any:
    from types import SimpleNamespace  # noqa: PLC0415

    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="ok", map_index=-1, try_number=1)
    return operator.execute({"ti": ti})


def test_a_run_goes_on_with_the_table_as_it_was_while_its_file_is_broken(
    data: Path, table: Table, test_image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table(ok={}, count={"reads": {"ok": "ok/{ds}"}})
    file = table_path().parent / "pipelines" / "churn.toml"
    file.parent.mkdir()
    file.write_text("")
    run(data, StageOperator(task_id="ok", pipeline="churn", ds=DAY, force=False))
    file.write_text("[pipeline]\nwindow = 0\n")
    run(data, StageOperator(task_id="count", pipeline="churn", ds=DAY, force=False))

    assert (data / f"churn/count/{DAY}/manifest.json").exists()
    assert "this run goes on with the table as it was before" in capsys.readouterr().out
    with pytest.raises(AirflowFailException, match=r"pipelines/other\.toml"):
        run(data, StageOperator(task_id="ok", pipeline="other", ds=DAY, force=False))


def test_another_pipelines_data_is_below_its_name_and_nothing_beside_it(
    data: Path, table: Table, test_image: str
) -> None:
    table(ok={"params": {"name": "{pipeline} {registered_model}"}})
    file = table_path().parent / "pipelines" / "churn.toml"
    file.parent.mkdir()
    file.write_text('[pipeline]\nmodel = "Customers"\n[stages.ok]\nparams = { rounds = 3 }\n')
    summary = run(data, StageOperator(task_id="ok", pipeline="churn", ds=DAY, force=False))
    manifest = json.loads((data / f"churn/ok/{DAY}/manifest.json").read_text())

    assert "--name churn Customers --rounds 3" == summary["arguments"]
    assert {"name": "churn Customers", "rounds": 3} == manifest["parameters"]
    assert ["churn"] == [path.name for path in data.iterdir()]
    assert [".staging", ".tables", "ok"] == sorted(path.name for path in (data / "churn").iterdir())


def test_data_is_waited_for_where_the_row_reads_it(data: Path, pipelines: Path) -> None:
    (pipelines / "churn.toml").write_text(
        '[stages.preprocess]\nreads = { raw = "arrivals/{day}" }\n'
        '[stages.generate]\nwrites = { to = "arrivals/{ds}", files = ["table.parquet"] }\n'
    )
    for day in ("2013-01-05", DAY):
        folder = data / "churn/arrivals" / day
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    wait = WaitForData(task_id="wait", stage="preprocess", pipeline="churn", ds=DAY, window=2)

    assert ["arrivals/2013-01-05", f"arrivals/{DAY}"] == wait.execute({})
