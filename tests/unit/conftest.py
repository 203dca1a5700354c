"""Tables of the tests' own, and jobs that need neither Docker nor Airflow."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shipped import write_pipelines
from unit_harness import PIPELINE, ROW, RunJob, Stage, cannot_exchange

from microstage.contract import Run, run_job
from microstage.data_folder import DataFolder
from microstage.jobs import Job
from microstage.pipelines import Pipeline
from microstage.table import Row


@pytest.fixture(scope="session", autouse=True)
def shipped() -> Iterator[Path]:
    """The table where a test writes none: the shipped one, whatever a user has swapped in it."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        table = write_pipelines(Path(folder))
        patch.setenv("MICROSTAGE_STAGES", str(table))
        yield table


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write a file of pipelines: write("stages.toml", text), write("pipelines/x.toml", text)."""
    folder = tmp_path / "dags"
    (folder / "pipelines").mkdir(parents=True)
    monkeypatch.setenv("MICROSTAGE_STAGES", str(folder / "stages.toml"))

    def put(file: str, text: str) -> Path:
        (folder / file).write_text(text, encoding="utf-8")
        return folder / file

    return put


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """A data folder with something to read."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data.csv").write_text("x\n1\n")
    return DataFolder.at(tmp_path)


@pytest.fixture(params=["exchange", "links"])
def either_file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published takes the place of another by an exchange, or is behind a link."""
    if request.param == "links":
        cannot_exchange(monkeypatch)


@pytest.fixture
def run(data: DataFolder) -> RunJob:
    """Run one job: run(stage, target=..., sources=..., params=..., force=...)."""

    def start(
        engine: Stage,
        *,
        target: str = "models/day",
        sources: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
        image_id: str = "sha256:1",
        row: Row = ROW,
        pipeline: Pipeline = PIPELINE,
        **options: Any,
    ) -> dict[str, Any]:
        options.setdefault("log", print)
        sources = {"raw": "raw"} if sources is None else sources
        return run_job(
            options.pop("data", data),
            Job(pipeline, row, params or {}, sources, target),
            image_id=image_id,
            run=options.pop("run", Run("dag", "run", "train")),
            engine=engine,
            **options,
        )

    return start
