"""Read what other stages have published, and see that it is as they left it."""

import re
from typing import Any

from stageframe import IN, StageError, digest, read_json, shown

MANIFEST, VERSION = "manifest.json", "version.json"


def read_manifest(directory: str) -> dict[str, Any]:
    """Return the manifest of a directory under /in, all of whose files are as it says."""
    path = IN / directory / MANIFEST
    manifest = read_json(path, "stage", "image", "image_id", "inputs", "outputs")
    if not re.fullmatch(r"[\w-]+", str(manifest["stage"])):
        raise StageError(f"{shown(path)} names no stage: publish the directory again")
    for file, entry in manifest["outputs"].items():
        if digest(IN / directory / file) != entry["sha256"]:
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
