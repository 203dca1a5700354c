"""What a stock MLflow makes of a version: the rows of predictions.csv, from rows of data.csv."""

import csv
import io
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
from typing import Any

import numpy as np
import pytest
import requests
from harness import REPOSITORY, Input, RunStage
from registry.server import ENVIRONMENT, Mlflow, published

NOTEBOOK = Path(__file__).with_name("notebook")
DAYS, DAY = ["2013-01-08", "2013-01-09", "2013-01-10"], "2013-01-11"
NAMES = ["size (m²)", "rooms", "carrier", "code", "never", "flag"]
TRAINERS = ["train", "train_xgboost", "train_sklearn"]


def raw(seed: int, kind: str, rows: int = 400) -> dict[str, str | bytes]:
    """A day of a table that has numbers with gaps, texts, and numbers that are but names."""
    random = np.random.default_rng(seed)
    data, target = io.StringIO(newline=""), ["target"]
    writer = csv.writer(data, lineterminator="\n")
    writer.writerow(NAMES)
    for i in range(rows):
        size, rooms = round(random.normal() * 100, 3), int(random.integers(1, 9))
        carrier = str(random.choice(["UA", "b,6", "é", "no", " AA"]))
        code, flag = int(random.integers(0, 4)), bool(random.integers(0, 2))
        gap = random.random() < 0.1
        new = seed > 3 and i % 50 == 0
        writer.writerow(
            [
                "" if gap else size,
                rooms,
                "" if i % 31 == 0 else "new" if new else carrier,
                code,
                "",
                flag,
            ]
        )
        score = size / 100 + (code == 2) - (carrier == "UA") + random.normal()
        number = repr(score) if kind == "numbers" else ""
        target.append(number or ("late" if score > 1 else "early" if score < -1 else "on time"))
    if kind == "two":
        target = ["target", *("1" if text == "late" else "0" for text in target[1:])]
    return {"data.csv": data.getvalue(), "target.csv": "\n".join(target) + "\n"}


def files(folder: Path) -> dict[str, str | bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


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


@pytest.fixture(
    params=[(trainer, "two") for trainer in TRAINERS] + [("train", "three"), ("train", "numbers")],
    ids="-".join,
)
def made(
    request: pytest.FixtureRequest, mlflow: Mlflow, run_stage: RunStage, notebook: Path
) -> Any:
    """A version in production, with what the stages say of a new day; and its environment."""
    trainer, kind = request.param
    return Made(mlflow, run_stage, trainer, kind, notebook)


class Made:
    def __init__(
        self, mlflow: Mlflow, run_stage: RunStage, trainer: str, kind: str, notebook: Path
    ) -> None:
        self.mlflow, self.notebook, self.kind, self.trainer = mlflow, notebook, kind, trainer
        self.uri = f"models:/{mlflow.name}@production"
        task = {"task": "regression"} if kind == "numbers" else {}
        found: dict[str, Input] = {f"raw/{day}": raw(i, kind) for i, day in enumerate(DAYS)}

        def run(name: str, image: str, verb: str, *reads: str, **params: object) -> Path:
            inputs = {read: found[read] for read in reads}
            result = run_stage(image, verb, inputs=inputs, **params)
            assert 0 == result.code
            outputs = files(result.out)
            found[name] = published(name, outputs, {})
            return result.out

        days = [f"raw/{day}" for day in DAYS]
        run("processed", "preprocess", "fit", *days, categorical="code", **task)
        run("split", "preprocess", "split", "processed")
        run("model", trainer, "fit", "processed", "split")
        run("validation", "predict", "validate", "model", "split")
        version = mlflow.ok("track", found)
        self.log = version.stdout
        mlflow.ok("promote", {"version": version.out})
        new = raw(7, kind)
        self.rows = new["data.csv"]
        found[f"raw/{DAY}"] = new
        run("features", "preprocess", "transform", f"raw/{DAY}", "model")
        out = run("predictions", "predict", "predict", "features", "model")
        self.predictions = (out / "predictions.csv").read_text("utf-8")
        requirements = notebook / "requirements.txt"
        requirements.write_bytes(mlflow.file("version/requirements.txt"))
        install(notebook, "--requirement", requirements)

    @property
    def environment(self) -> dict[str, str]:
        own = {"MLFLOW_TRACKING_URI": self.mlflow.url, "PATH": f"{self.notebook}/bin:/usr/bin:/bin"}
        return {**os.environ, **ENVIRONMENT, **own}


def test_a_notebook_predicts_what_the_stage_predicts(made: Made, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(str(made.rows), encoding="utf-8")
    script = made.notebook / "notebook" / "predict.py"
    python = made.notebook / "bin" / "python"
    command: list[str | Path] = [python, script, made.uri, str(tmp_path / "data.csv"), tmp_path]
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


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("made", [("train", "two")], indirect=True, ids=["train"])
def test_mlflow_serves_it(made: Made, tmp_path: Path) -> None:
    header, *rows = table(str(made.rows))
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
def served(made: Made, log: Path) -> Iterator[str]:
    """MLflow's own server of models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ["models", "serve", "-m", made.uri, "-p", str(port), "--env-manager", "local"]
    command = [str(made.notebook / "bin" / "mlflow"), *serve]
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
