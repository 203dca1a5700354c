"""What the training of the model used: where that is told, and in words."""

from collections.abc import Mapping
from typing import Any

MIB = 2**20
MOST = 2**63  # of bytes or seconds: what is beyond is a fault
# What a manifest names, in words, and how many of its unit are one of theirs.
WORDS = {
    "seconds": ("seconds", 1),
    "cpu_seconds": ("seconds of CPU time", 1),
    "memory": ("MiB of memory at most", MIB),
    "bytes_read": ("MiB read from disks", MIB),
    "bytes_written": ("MiB written to disks", MIB),
}


def told_by(version: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a training used, {} if nobody looked: bytes and seconds, which may be odd.

    version: version.json beside the model, whose manifest then is that of a copy; {} if none is.
    """
    told = version.get("used") if version else manifest.get("used")
    if not told or not isinstance(told, dict):
        return {}
    return told if version else {**told, "seconds": manifest.get("seconds")}


def in_words(told: Mapping[str, Any]) -> str:
    """Return it as a list in words, "" if nothing is known."""
    parts = []
    for key, (words, unit) in WORDS.items():
        value: Any = told.get(key)
        if type(value) not in (int, float) or not 0 <= value < MOST:
            continue
        # An engine that cannot tell says 0, and hardly anything is nothing to a person.
        if round(value / unit, 1) > 0:
            parts.append(f"{value / unit:,.1f} {words}")
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
