"""What makes the files of a version a model that MLflow can load, by any of its tools.

https://mlflow.org/docs/latest/ml/model/#storage-format
"""

import csv
import json
import platform
import re
import shutil
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from stageframe.sources import FILE, REQUIREMENTS

LOADER = "microstage_model"
# Whose code goes along, and where that is published (stageframe.sources).
SOURCES = {"transform": "processed", "predict": "validation"}
EXAMPLE, SERVING = "input_example.json", "serving_input_example.json"
ROWS = 5  # of the example
# By the format that model.json names: MLflow's flavour, and its name for the library's version.
NATIVE: dict[str, tuple[str, str, dict[str, str]]] = {
    "lightgbm": ("lightgbm", "lgb_version", {"model_class": "lightgbm.basic.Booster"}),
    "xgboost_json": (
        "xgboost",
        "xgb_version",
        {"model_class": "xgboost.core.Booster", "model_format": "json"},
    ),
}


class Trained(NamedTuple):
    """A trained model, as its files tell it."""

    model: dict[str, Any]
    """What model.json says."""
    columns: list[dict[str, Any]]
    """Those of preprocess.json."""
    table: Path
    """The numeric table that it was made from."""
    sources: Mapping[str, Path]
    """code.zip of the stages that transform and predict, where these have published it."""


def write_model(trained: Trained, folder: Path, told: Mapping[str, Any]) -> list[str]:
    """Write MLmodel and what goes with it to a folder; return why it is not all that it could be.

    told: more of MLmodel's keys, such as run_id.
    """
    form, versions = trained.model.get("format"), trained.model.get("versions", {})
    flavours: dict[str, Any] = {}
    if form in NATIVE:
        name, version, native = NATIVE[form]
        flavours[name] = {**native, "data": "model.txt", version: versions.get(name)}
    pinned, missing = requirements(trained.sources)
    written: dict[str, Any] = {}
    if pinned is not None:
        code = folder / "code"
        code.mkdir()
        for stage, path in trained.sources.items():
            shutil.copyfile(path, code / f"{stage}.zip")
        shutil.copyfile(Path(__file__).with_name(f"{LOADER}.py"), code / f"{LOADER}.py")
        flavours["python_function"] = {
            "loader_module": LOADER,
            "code": "code",
            "python_version": platform.python_version(),
            "env": {"virtualenv": "python_env.yaml"},
        }
        written = {"signature": signature(trained), **write_example(trained, folder)}
        # The trainer's own library is for its flavour alone, and may want a newer Python.
        write_environment(folder, [f"mlflow=={told['mlflow_version']}", *pinned])
    if flavours:
        kinds = {column["name"]: column["kind"] for column in trained.columns}
        metadata = {"columns": kinds, "task": trained.model.get("task", "classification")}
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ")
        content = {"flavors": flavours, **written, "metadata": metadata, "utc_time_created": now}
        write_yaml(folder / "MLmodel", {**content, **told})
    return missing


def requirements(sources: Mapping[str, Path]) -> tuple[list[str] | None, list[str]]:
    """Return what the stages' sources need, pinned, None where they cannot run; and why not."""
    pinned: dict[tuple[str, str], str] = {}
    for stage, where in SOURCES.items():
        if stage not in sources:
            return None, [f"{where} has no {FILE}, so it is not known how to {stage} rows"]
        with zipfile.ZipFile(sources[stage]) as archive:
            lines = archive.read(REQUIREMENTS).decode().splitlines()
        for line in lines:
            name, version, marker = re.fullmatch(r"(\S+?)==([^;\s]+)\s*(.*)", line).groups()  # type: ignore[union-attr]
            first = pinned.setdefault((name, marker), version)
            if first != version:
                return None, [f"the stages need {name} {first} and {version} at once"]
    found = [f"{name}=={pin} {marker}".strip() for (name, marker), pin in pinned.items()]
    return sorted(found), []


def signature(trained: Trained) -> dict[str, str | None]:
    """Return which columns go in and come out.

    Into a column of numbers MLflow would let no whole ones, nor texts where some are missing, if it
    had a type: so it has any, and the stages' own rule says what is a number. `metadata` has the
    kinds. https://mlflow.org/docs/latest/ml/model/signatures/
    """
    classes = trained.model.get("classes")
    outputs = [("prediction", "double")]
    if classes is not None:
        outputs = [("class", "string"), *((f"probability_{label}", "double") for label in classes)]
    inputs = [(column["name"], "any") for column in trained.columns]

    def typed(columns: list[tuple[str, str]]) -> str:
        return json.dumps([{"name": n, "type": kind, "required": True} for n, kind in columns])

    return {"inputs": typed(inputs), "outputs": typed(outputs), "params": None}


def write_example(trained: Trained, folder: Path) -> dict[str, Any]:
    """Write the first rows that the model was made from, as they came; return MLmodel's word."""
    names = [column["name"] for column in trained.columns]
    with trained.table.open(encoding="utf-8", newline="") as file:
        rows = [
            [raw(column, row[column["name"]]) for column in trained.columns]
            for row in islice(csv.DictReader(file), ROWS)
        ]
    split = {"columns": names, "data": rows}
    for name, content in ((EXAMPLE, split), (SERVING, {"dataframe_split": split})):
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / name).write_text(text, encoding="utf-8")
    saved = {"artifact_path": EXAMPLE, "serving_input_path": SERVING}
    return {"saved_input_example_info": {**saved, "type": "dataframe", "pandas_orient": "split"}}


def raw(column: Mapping[str, Any], field: str) -> str | int | float | None:
    """Return the value that a field of a numeric table stands for, None for a gap."""
    if not field:
        return None
    number = float(field)
    if column["kind"] == "categorical":
        category: str = column["categories"][int(number)]
        return category
    return int(number) if number.is_integer() else number


def write_environment(folder: Path, pinned: list[str]) -> None:
    """Write what a program needs that loads the model, for pip and for MLflow."""
    (folder / REQUIREMENTS).write_text("".join(f"{line}\n" for line in pinned), encoding="utf-8")
    environment = {"python": platform.python_version(), "dependencies": [f"-r {REQUIREMENTS}"]}
    write_yaml(folder / "python_env.yaml", environment)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a YAML file."""
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - MLflow's, see mlflow_client

    path.write_text(yaml.safe_dump(dict(content), allow_unicode=True), encoding="utf-8")
