"""Images in a registry: pulled, put under one name, and what their indexes say."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from microstage.errors import TRY_AGAIN, StageError


def pull(remote: str, advice: str) -> None:
    """Pull an image by its name or digest. Raises StageError (75) with what to do about it."""
    run("pull", "--quiet", remote, failed=f"{remote} cannot be pulled", advice=advice)


def look(image: str) -> dict[str, Any]:
    """Return what the engine knows of an image that is here. Raises StageError (75)."""
    failed, advice = f"{image} cannot be looked at", "pull it again"
    found: list[dict[str, Any]] = json.loads(
        run("image", "inspect", image, failed=failed, advice=advice)
    )
    return found[0]


def join(name: str, parts: list[str]) -> str:
    """Put images of several processors under one name; return its digest.

    Raises StageError (75).
    """
    failed = f"could not put {' and '.join(parts)} under one name"
    advice = "push them first, and docker login"
    tool = ("buildx", "imagetools")
    run(*tool, "create", "--tag", name, *parts, failed=failed, advice=advice)
    form = "--format={{json .Manifest}}"
    return str(
        json.loads(run(*tool, "inspect", form, name, failed=failed, advice=advice))["digest"]
    )


def platforms(remote: str) -> dict[str, str]:
    """Return the digest of each processor's image under one name: {"amd64": "sha256:…"}."""
    failed, advice = f"{remote} cannot be read", "docker login, and see that it was pushed"
    raw = run("buildx", "imagetools", "inspect", "--raw", remote, failed=failed, advice=advice)
    index: dict[str, Any] = json.loads(raw)
    return {each["platform"]["architecture"]: each["digest"] for each in index["manifests"]}


def run(*arguments: str, failed: str, advice: str) -> str:
    """Return what a command of docker prints. Raises StageError (75): what failed, why, advice."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise StageError(TRY_AGAIN, f"{failed} ({said}); {advice}.")
    return done.stdout
