"""What a stock MLflow makes of a version: the rows of predictions.csv, from rows of data.csv."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from harness import REPOSITORY, RunStage
from registry.made import KINDS, NAMES, Made, table
from registry.server import ENVIRONMENT, Mlflow

NOTEBOOK = Path(__file__).with_name("notebook")


@pytest.fixture(scope="session")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment that has MLflow and no more, of the version that the registry speaks."""
    folder = tmp_path_factory.mktemp("notebook")
    lock = (REPOSITORY / "containers" / "registry" / "requirements.txt").read_text("utf-8")
    (mlflow,) = re.findall(r"^mlflow-skinny==(\S+)", lock, re.MULTILINE)
    uv("venv", "--python", sys.executable, folder)
    # The model's requirements are for python_function; a trainer's flavour wants its library.
    install(folder, f"mlflow=={mlflow}", "lightgbm", "xgboost")
    shutil.copytree(NOTEBOOK, folder / "notebook")
    # A module of a person's own, which is called as one of the stages' is.
    (folder / "notebook" / "models.py").write_text("OWN = 'a notebook\\'s'\n", encoding="utf-8")
    yield folder
    shutil.rmtree(folder)


def uv(*arguments: str | Path) -> None:
    command = [Path(sys.executable).with_name("uv"), *arguments, "--quiet"]
    subprocess.run(command, check=True)


def install(environment: Path, *what: str | Path) -> None:
    uv("pip", "install", "--python", environment / "bin" / "python", *what)


class Loaded:
    """A version, and where a stock MLflow loads it."""

    def __init__(self, made: Made, notebook: Path) -> None:
        self.notebook, self.trainer = notebook, made.trainer
        self.rows, self.predictions = made.rows, made.predictions
        self.uri = f"models:/{made.mlflow.name}@production"
        self._url = made.mlflow.url
        requirements = notebook / "requirements.txt"
        requirements.write_bytes(made.mlflow.file("version/requirements.txt"))
        install(notebook, "--requirement", requirements)

    @property
    def environment(self) -> dict[str, str]:
        own = {"MLFLOW_TRACKING_URI": self._url, "PATH": f"{self.notebook}/bin:/usr/bin:/bin"}
        return {**os.environ, **ENVIRONMENT, **own}


@pytest.fixture(params=KINDS, ids="-".join)
def made(
    request: pytest.FixtureRequest, mlflow: Mlflow, run_stage: RunStage, notebook: Path
) -> Loaded:
    """A version in production, with what the stages say of a new day; and its environment."""
    return Loaded(Made(mlflow, run_stage, *request.param), notebook)


def test_a_notebook_predicts_what_the_stage_predicts(made: Loaded, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(made.rows, encoding="utf-8")
    script = made.notebook / "notebook" / "predict.py"
    python = made.notebook / "bin" / "python"
    command: list[str | Path] = [python, script, made.uri, tmp_path / "data.csv", tmp_path]
    subprocess.run(command, check=True, env=made.environment)
    told = json.loads((tmp_path / "told.json").read_text("utf-8"))
    header, first, *_ = made.predictions.splitlines(keepends=True)

    for name, expected in {
        "as pandas reads it": made.predictions,
        "as it was written": made.predictions,
        "a row": header + first,
        "no row": header,
    }.items():
        found = (tmp_path / f"{name}.csv").read_text("utf-8")
        assert table(expected) == table(found), name
    assert NAMES == told["inputs"]
    assert table(header)[0] == told["outputs"] == told["example"]
    assert "column 'size (m²)' holds '1,5', numbers with a decimal comma" in told["faults"]["text"]
    assert "size (m²)" in told["faults"]["missing"]
    assert ("a notebook's", []) == (told["own module"], told["left"])
    native = {"train": ["lightgbm"], "train_xgboost": ["xgboost"]}.get(made.trainer, [])
    assert {*native, "python_function"} == {*told["flavours"]}
    assert bool(native) == bool(told.get("trees"))


@pytest.mark.parametrize("made", [("train", "two")], indirect=True, ids=["train"])
def test_mlflow_serves_it(made: Loaded, tmp_path: Path) -> None:
    header, *rows = table(made.rows)
    sent = [[field or None for field in row] for row in rows]
    with served(made, tmp_path / "log") as url:
        answer = requests.post(
            f"{url}/invocations",
            json={"dataframe_split": {"columns": header, "data": sent}},
            timeout=60,
        )
        wrong = requests.post(
            f"{url}/invocations",
            json={"dataframe_records": [{"rooms": 1}]},
            timeout=60,
        )

    columns, *expected = table(made.predictions)
    found = [[str(row[name]) for name in columns] for row in answer.json()["predictions"]]
    assert expected == found
    assert 400 == wrong.status_code
    assert "size (m²)" in json.loads(wrong.text)["message"]


@contextmanager
def served(made: Loaded, log: Path) -> Iterator[str]:
    """MLflow's own server of models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ["models", "serve", "-m", made.uri, "-p", str(port), "--env-manager", "local"]
    command: list[str | Path] = [made.notebook / "bin" / "mlflow", *serve]
    with log.open("wb") as file:
        server = subprocess.Popen(
            command, env=made.environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(requests.RequestException):
                if requests.get(f"{url}/ping", timeout=5).ok:
                    break
            time.sleep(0.3)
        else:
            pytest.fail(f"no server of models:\n{log.read_text('utf-8')}")
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()
