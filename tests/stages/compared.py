"""What compare reads, as the platform and the registry leave it, and what it writes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import Input, Result, RunStage
from stageframe.rows import RowDigests, to_texts

Files = dict[str, dict[str, str | bytes]]


def digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def manifest(inputs: Mapping[str, str], outputs: Mapping[str, str | bytes]) -> str:
    """What the platform records of digests: of inputs by path, of outputs by their contents."""
    parts = {"inputs": inputs, "outputs": {name: digest(text) for name, text in outputs.items()}}
    records = {
        part: {name: {"sha256": found, "size": 1} for name, found in digests.items()}
        for part, digests in parts.items()
    }
    return json.dumps({"version": 1, **records})


def with_digests(prepared: str | bytes, values: Sequence[float], codes: np.ndarray) -> str:
    """preprocess.json with its days' rows, whose feature has these values, and their targets."""
    spec = json.loads(prepared)
    digests = RowDigests(spec["columns"])(np.array(values, float)[:, None])
    days = {}
    for day in spec["days"]:
        n = day["rows"]
        days[day["day"]] = to_texts(digests[:n], codes[:n])
        digests, codes = digests[n:], codes[n:]
    return json.dumps({**spec, "digests": {"share": 1.0, "days": days}})


def versioned(files: dict[str, str | bytes], raw: Mapping[str, str]) -> dict[str, str | bytes]:
    """The files of a model as they come from the registry; raw: digests of its days' data."""
    version = {
        "name": "microstage",
        "version": "3",
        "files": {name: digest(content) for name, content in files.items()},
        "raw": {f"{day}/data.csv": found for day, found in raw.items()},
    }
    return {**files, "version.json": json.dumps(version)}


def files_of(folder: Path) -> dict[str, str | bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def trained(run_stage: RunStage, days: Mapping[str, Mapping[str, str]]) -> Files:
    """What preprocess and train write for these days, and what the platform records of it."""
    inputs: dict[str, Input] = {f"raw/{day}": files for day, files in days.items()}
    processed = files_of(run_stage("preprocess", "fit", inputs=inputs).out)
    split = files_of(run_stage("preprocess", "split", inputs={"processed": processed}).out)
    made = {"processed": processed, "split": split}
    challenger = files_of(run_stage("train", "fit", inputs=made, rounds=20).out)
    own = {f"raw/{day}/data.csv": digest(files["data.csv"]) for day, files in days.items()}
    prepared = {"processed/preprocess.json": digest(processed["preprocess.json"])}
    return {
        "challenger": challenger,
        "processed": {**processed, "manifest.json": manifest(own, processed)},
        "split": {**split, "manifest.json": manifest(prepared, split)},
    }


def compare(run_stage: RunStage, files: Mapping[str, Input], **params: object) -> Result:
    return run_stage("predict", "compare", inputs=files, **params)


def comparison(run_stage: RunStage, files: Mapping[str, Input], **params: object) -> dict[str, Any]:
    result = compare(run_stage, files, **params)
    assert (0, "") == (result.code, result.last_error)
    content: dict[str, Any] = json.loads((result.out / "comparison.json").read_text("utf-8"))
    return content


def changed(text: str | bytes, **values: Any) -> str:
    return json.dumps(json.loads(text) | values)
