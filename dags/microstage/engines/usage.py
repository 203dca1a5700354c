"""What a container uses, as the engine counts it: memory, CPU, disk.

The engine forgets it with the container's end, so it is asked meanwhile, and what is known is as of
the last look. What has ended before the first one has used little.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import docker

FIRST, MOST = 1.0, 5.0  # seconds between looks, which get rarer


class Usage:
    """Looks at a container in a thread, until `end`."""

    def __init__(self, connect: Callable[[], docker.APIClient], container: str) -> None:
        self._connect = connect
        self._container = container
        self._over = threading.Event()
        self._used: dict[str, Any] = {}
        threading.Thread(target=self._look, daemon=True).start()

    def end(self) -> dict[str, Any]:
        """Return what was seen: see `used`; nothing of what was too short."""
        self._over.set()
        return dict(self._used)

    def _look(self) -> None:
        wait = FIRST
        client = None
        while not self._over.wait(wait):
            wait = min(wait * 1.2, MOST)
            try:
                client = client or self._connect()
                found = used(client.stats(self._container, stream=False, one_shot=True))
            except Exception:  # the engine is away, or older than that: nothing is lost by it
                client = None
                continue
            if found["cpu_seconds"] > 0:  # it has ended
                found["memory"] = max(found["memory"], self._used.get("memory", 0))
                self._used = found


def used(stats: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer of the engine says, of cgroups of version 1 or 2.

    memory: bytes that its processes hold, without what the kernel may drop; cpu_seconds;
    bytes_read, bytes_written: from and to disks.
    https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerStats
    """
    memory = stats["memory_stats"].get("stats") or {}
    held = memory["total_rss"] if "total_rss" in memory else memory.get("anon", 0)
    disk = {"read": 0, "write": 0}
    for entry in stats["blkio_stats"].get("io_service_bytes_recursive") or []:
        if (kind := entry["op"].lower()) in disk:
            disk[kind] += entry["value"]
    return {
        "memory": held,
        "cpu_seconds": round(stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, 2),
        "bytes_read": disk["read"],
        "bytes_written": disk["write"],
    }
