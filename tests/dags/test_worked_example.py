"""The worked example of docs/pipelines.md, put into files as a team would, on a real engine."""

import csv
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from dags_harness import DAY, INSTALL, read_xcom, states

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
NAMED = f"microstage/select_columns:{VERSION}"  # in the example
BUILT = f"microstage/select_columns:{INSTALL}"  # here, so that a user's own image stays
DAYS = ["2013-01-04", "2013-01-05", DAY]
BLOCK = re.compile(r"(?ms)^<!-- file: (\S+) -->\n```\w+\n(.*?^)```$")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the example, beside the table that its pipeline is laid over."""
    folder = tmp_path_factory.mktemp("example")
    for name, text in BLOCK.findall((ROOT / "docs/pipelines.md").read_text("utf-8")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(NAMED, BUILT), "utf-8")
    (folder / "dags/stages.toml").write_bytes((ROOT / "dags/stages.toml").read_bytes())
    return folder


@pytest.fixture(scope="module")
def image(example: Path, engine: docker.DockerClient) -> Iterator[str]:
    """Built by the example's Dockerfile, with what build_images.sh hands in."""
    under = {name: f"docker-image://microstage/{name}:{VERSION}" for name in ("base", "builder")}
    contexts = [f"--build-context={name}={where}" for name, where in under.items()]
    folder = example / "containers/select_columns"
    command = ["docker", "buildx", "build", "--quiet", f"--tag={BUILT}", *contexts, str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    yield BUILT
    engine.images.remove(BUILT, force=True)


@pytest.fixture(scope="module")
def data(example: Path, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty data folder, and an Airflow that knows the example's files alone."""
    folder = tmp_path_factory.mktemp("data")
    bundle = {
        "name": "worked-example",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(example / "dags")},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
        patch.setenv("MICROSTAGE_STAGES", str(example / "dags/stages.toml"))
        patch.setenv("MICROSTAGE_DATA", str(folder))
        yield folder


def run_stage(row: str, ds: str = DAY, **arguments: Any) -> dict[str, Any]:
    """Run a row of the example's pipeline; return its summary."""
    from microstage.operator import StageOperator  # noqa: PLC0415 - after the environment

    operator = StageOperator(task_id=row, pipeline="lean", ds=ds, force=False, **arguments)
    ti = SimpleNamespace(dag_id="test", run_id=ds, task_id=row, map_index=-1, try_number=1)
    summary: dict[str, Any] = operator.execute({"ti": ti})  # type: ignore[typeddict-item]
    return summary


@pytest.fixture(scope="module")
def trained(data: Path, example: Path) -> Any:
    """A run of the example's DAG, on three days of data."""
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - after the environment

    for day in DAYS:
        run_stage("generate", day, stage_params={"rows": 400})
    bag = DagBag(example / "dags/train_lean.py")
    assert {} == bag.import_errors
    return bag.dags["lean.train_lean"].test(logical_date=datetime(2013, 1, 6, tzinfo=UTC))


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def test_the_model_learns_from_the_columns_that_the_stage_between_has_chosen(
    trained: Any, data: Path
) -> None:
    lean = data / "lean"
    raw = header(lean / f"raw/{DAY}/data.csv")
    model = read(lean / f"models/{DAY}/model.json")
    made = read(lean / f"processed/{DAY}/manifest.json")
    fitted = read(lean / f"processed/{DAY}/preprocess.json")

    tasks = ["wait_for_data", "preprocess", "select", "split", "train", "validate"]
    assert dict.fromkeys(tasks, ("success", 1)) == states(trained)
    assert {"rows": 1200, "kept": 8, "left_out": 12} == read_xcom(trained, "select")
    assert [*raw, "target"] == header(lean / f"prepared/{DAY}/train_data.csv")
    assert [name for name in raw if name in model["features"]] == model["features"]
    assert 8 == len(model["features"])
    assert model["features"] == [column["name"] for column in fitted["columns"]]
    assert [*model["features"], "target"] == header(lean / f"processed/{DAY}/split/train.csv")
    assert "select" == made["stage"]
    assert [day["day"] for day in fitted["days"]] == DAYS
    assert {f"raw/{day}/data.csv" for day in DAYS} <= made["inputs"].keys()
    assert read(lean / f"models/{DAY}/validation/metrics.json")["roc_auc"] > 0.6


def test_such_a_model_is_compared_predicts_and_is_reported_on_as_any_other(
    trained: Any, data: Path
) -> None:
    model = f"models/{DAY}"
    features = read(data / "lean" / model / "model.json")["features"]

    compared = run_stage("compare")
    transformed = run_stage("transform", model=model)
    predicted = run_stage("predict", model=model)
    reported = run_stage("monitor", model=model)

    assert ("first", 1) == (compared["verdict"], compared["days"])
    assert (400, 12) == (transformed["rows"], transformed["ignored_columns"])
    assert features == header(data / f"lean/features/{DAY}/data.csv")
    assert 400 == predicted["rows"] == reported["rows"]
