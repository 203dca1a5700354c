"""What a training used, as its manifest tells it; what is odd there is no fault of the model."""

import json
from collections.abc import Mapping
from typing import Any

USED = "used"  # tag of a version, and key of version.json, in the words and units of manifests
MIB = 2**20
MOST = 2**63  # of bytes or seconds
# What a manifest names, as a metric of the run, and how many of its unit are one of the metric's.
METRICS = {
    "seconds": ("used.seconds", 1),
    "cpu_seconds": ("used.cpu_seconds", 1),
    "memory": ("used.memory_mib", MIB),
    "bytes_read": ("used.read_mib", MIB),
    "bytes_written": ("used.written_mib", MIB),
}

Used = dict[str, float]
"""Bytes and seconds, by their names in manifests; without what is not known."""


def read_used(manifest: Mapping[str, Any]) -> Used:
    """Return what a manifest says, {} where the engine did not look."""
    told = manifest.get(USED)
    if not told or not isinstance(told, dict):
        return {}  # and `seconds` may be those of several days
    return amounts({**told, "seconds": manifest.get("seconds")})


def amounts(told: object) -> Used:
    """Return those of the values that are amounts: no texts, nothing below zero, no NaN."""
    found = told if isinstance(told, dict) else {}
    known = {key: found[key] for key in METRICS if type(found.get(key)) in (int, float)}
    return {key: value for key, value in known.items() if 0 <= value < MOST}


def metrics_of(used: Used) -> dict[str, float]:
    """Return it as metrics: seconds and MiB."""
    return {METRICS[key][0]: value / METRICS[key][1] for key, value in used.items()}


def tags_of(used: Used) -> dict[str, str]:
    """Return it as tags of a version; none where nothing is known."""
    return {USED: json.dumps(used)} if used else {}


def from_tags(tags: Mapping[str, str]) -> dict[str, Used]:
    """Return it, under its key, from the tags of a version, which people may have changed."""
    try:
        used = amounts(json.loads(tags.get(USED, "null")))
    except (ValueError, RecursionError):
        used = {}
    return {USED: used} if used else {}
