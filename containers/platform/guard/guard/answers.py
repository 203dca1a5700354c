"""What a client gets of the engine's answers: what a stage's run needs, and nothing else.

No environment, which has secrets; no path of the engine's machine; nothing of containers and
networks of others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from guard.compose import OURS
from guard.engine import Answer
from guard.refusals import RefusedError
from guard.routes import API
from microstage.images import Image
from microstage.walls import GUARD

PATHS = re.compile(r"/[\w.@%+:-]+(?:/[\w.@%+:-]+)+")
STATE = ("Status", "Running", "Paused", "OOMKilled", "Dead", "ExitCode", "StartedAt", "FinishedAt")


def checked(answer: Answer) -> Answer:
    """Return the answer. Raises RefusedError, with the engine's reason, for one that is none."""
    if not answer.failed:
        return answer
    try:
        reason = str(answer.json["message"])
    except (ValueError, KeyError, TypeError):
        reason = "it says no more"
    # The engine's own folders, and where the data is, are no business of a task's.
    raise RefusedError(
        PATHS.sub(lambda path: "…/" + path[0].rpartition("/")[2], reason), answer.status
    )


def _some(found: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: found[key] for key in keys if key in found}


def version(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return which API is spoken, and by whom."""
    platform = {"Name": GUARD}
    spoken = {"ApiVersion": API, "MinAPIVersion": API}
    return {"Platform": platform, **_some(found, "Version", "Os", "Arch"), **spoken}


def image(found: Image, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return an image: which one it is, and what it says of itself.

    As of an engine that does not keep its images in containerd.
    """
    return {
        **_some(said, "RepoTags", "RepoDigests", "Created", "Architecture", "Os", "Size"),
        "Id": found.id,
        "Config": {"Labels": found.labels},
    }


def container(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container: which one it is, how it is, and whose."""
    config = _some(found["Config"], "Tty", "Image")
    config["Labels"] = _labels(found["Config"].get("Labels"))
    state = _some(found["State"], *STATE)
    return {**_some(found, "Id", "Name", "Created", "Image"), "State": state, "Config": config}


def stats(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a container uses: nothing of the machine's."""
    memory, cpu = found.get("memory_stats") or {}, found.get("cpu_stats") or {}
    held = _some(memory.get("stats") or {}, "total_rss", "anon")
    disks = (found.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return {
        "memory_stats": {"stats": held},
        "cpu_stats": {"cpu_usage": _some(cpu.get("cpu_usage") or {}, "total_usage")},
        "blkio_stats": {
            "io_service_bytes_recursive": [_some(each, "op", "value") for each in disks]
        },
    }


def listed(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the list of containers."""
    line = _some(found, "Id", "Names", "Image", "ImageID", "Created", "State", "Status")
    return {**line, "Labels": _labels(found.get("Labels"))}


def network(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network: that it is there."""
    return _some(found, "Name", "Id", "Driver", "Scope")


def _labels(found: Mapping[str, str] | None) -> dict[str, str]:
    """Return those that the client gave it."""
    return {k: v for k, v in (found or {}).items() if k.startswith("microstage.") and k != OURS}
