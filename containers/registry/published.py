"""Read what other stages have published, and see that it is as they left it."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
MANIFEST, VERSION = "manifest.json", "version.json"


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/")


def sha256(path: Path) -> str:
    """Return the digest of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object that has these keys."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(path.read_bytes(), parse_constant=refuse)
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        needed = ", ".join(keys) or "names and values"
        raise StageError(f"{shown(path)} is no object with {needed}: write it again")
    return value


def read_manifest(directory: str) -> dict[str, Any]:
    """Return the manifest of a directory under /in, all of whose files are as it says."""
    path = IN / directory / MANIFEST
    manifest = read_json(path, "stage", "image", "image_id", "inputs", "outputs")
    if not re.fullmatch(r"[\w-]+", str(manifest["stage"])):
        raise StageError(f"{shown(path)} names no stage: publish the directory again")
    for file, entry in manifest["outputs"].items():
        if sha256(IN / directory / file) != entry["sha256"]:
            raise StageError(
                f"{directory}/{file} is not as its manifest says: run the stage "
                f"{manifest['stage']} again"
            )
    return manifest


def read_version(directory: str, name: str) -> dict[str, Any]:
    """Return the version.json of a directory under /in; it is of the registered model `name`."""
    path = IN / directory / VERSION
    chosen = read_json(path, "name", "version", "run_id")
    if chosen["name"] != name:
        raise StageError(f"{shown(path)} is of the model {chosen['name']}: not of {name}")
    chosen["version"] = str(chosen["version"])
    return chosen


def read_comparison() -> tuple[str, str | None]:
    """Return the version that was compared with, and the verdict, None where there is none.

    The version is "none" where none was in production, "" where nothing was compared.
    """
    path = IN / "comparison" / "comparison.json"
    if not path.parent.is_dir():
        return "", None
    comparison = read_json(path, "champion")
    champion, verdict = comparison["champion"], comparison.get("verdict")
    if not isinstance(verdict, str | None):
        raise StageError(f"{shown(path)}: verdict is no text: run the task compare again")
    if champion is None:
        return spoken(None), verdict
    if not isinstance(champion, dict) or "version" not in champion:
        raise StageError(f"{shown(path)}: champion has no version: run the task compare again")
    return spoken(str(champion["version"])), verdict


def spoken(version: str | None) -> str:
    """Return how a sentence names a version."""
    return f"version {version}" if version else "none"
