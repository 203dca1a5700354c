"""Describe a version and get its files, from MLflow or from the copy of an earlier day."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from connection import files_below
from published import MANIFEST, VERSION
from record import RAW, SHA256
from stageframe import IN, StageError, digest, read_json, shown
from used import from_tags


def describe(version: Any) -> dict[str, Any]:
    """Return version.json of a version in MLflow, the same whoever asks."""
    tags = dict(version.tags)
    files = {tag.removeprefix(SHA256): tags[tag] for tag in sorted(tags) if tag.startswith(SHA256)}
    if not files or not {RAW, "date", "experiment_id"} <= tags.keys():
        raise StageError(
            f"Version {version.version} of {version.name} was not recorded by track, so nobody "
            "knows what its files must be: promote one that was"
        )
    for file in files:
        if file.startswith("/") or ".." in file.split("/"):
            raise StageError(f"Version {version.version} of {version.name} has a file {file!r}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "raw.json")
        # What is no logged model's, as before MLflow 3, is below `model` among the run's files.
        download_file(version, version.source.removesuffix("/model"), RAW, path, tags[RAW])
        raw = json.loads(path.read_bytes())["raw"]
    return {
        "name": version.name,
        "version": str(version.version),
        "run_id": version.run_id,
        "experiment_id": tags["experiment_id"],
        "date": tags["date"],
        "files": files,
        "raw": raw,
        **from_tags(tags),
    }


def download(version: Any, folder: Path) -> dict[str, Any]:
    """Download a version's files to a folder, all or none; return its version.json."""
    described = describe(version)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch:
        for file, sha256 in described["files"].items():
            path = Path(scratch, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            download_file(version, version.source, file, path, sha256)
        for path in list(Path(scratch).iterdir()):
            path.rename(folder / path.name)
    return described


def download_file(version: Any, base: str, file: str, path: Path, sha256: str) -> None:
    """Download one file of a version. Raises StageError (65) unless it has the digest."""
    from requests import HTTPError  # noqa: PLC0415 - see mlflow_client

    try:
        # The public way hides a full disk in a text, and asks for a list of the files first.
        files_below(base)._download_file(file, str(path))
    except HTTPError as error:
        if error.response.status_code != 404:
            raise
        raise StageError(
            f"{file} of version {version.version} is gone from MLflow: promote another version"
        ) from error
    if digest(path) != sha256:
        raise StageError(
            f"{file} of version {version.version} in MLflow is not as its tags say: it was changed "
            "after it was recorded; promote another version"
        )


def copy_newest(name: str, folder: Path) -> tuple[dict[str, Any], str] | None:
    """Copy the newest of /in/local/*/ that is whole; return its version.json and where it was.

    Returns None where there is none; warns of each that is passed over.
    """
    copies = [path for path in (IN / "local").glob("[!.]*") if path.is_dir()]
    for copy in sorted(copies, key=lambda copy: (started(copy), copy.name), reverse=True):
        try:
            described = read_copy(copy, name)
        except OSError as error:
            fault = f"{shown(error.filename or copy)}: {error.strerror}"
        except StageError as error:
            fault = str(error)
        else:
            for file in described["files"]:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(copy / file, folder / file)
            return described, shown(copy)
        print(f"WARNING: {shown(copy)} is passed over: {fault}", file=sys.stderr)
    return None


def read_copy(copy: Path, name: str) -> dict[str, Any]:
    """Return version.json of a local copy, all of whose files are as it says."""
    described = read_json(copy / VERSION, "name", "version", "run_id", "date", "files")
    if described["name"] != name:
        raise StageError(f"it is of the model {described['name']}, not of {name}")
    if not isinstance(described["files"], dict) or not described["files"]:
        raise StageError(f"its {VERSION} names no files")
    for file, sha256 in described["files"].items():
        if digest(copy / file) != sha256:
            raise StageError(f"its {file} is not as its {VERSION} says")
    return described


def started(directory: Path) -> str:
    """Return when a published directory was made, "" if it does not say."""
    try:
        return str(read_json(directory / MANIFEST, "started")["started"])
    except (OSError, StageError):
        return ""
