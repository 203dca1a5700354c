"""What a stage's container may do, and what says whose it is.

What asks the engine for it and the guard, which composes it once more, both go by this, so that
there is one place to change. Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from microstage.contract import Run
from microstage.jobs import Job
from microstage.table import Limits

CONTRACT_LABEL, CONTRACT = "org.microstage.contract", "1"
DAYS_LABEL, DAYS = "org.microstage.days", "1"
GUARD = "Microstage guard"  # what the guard calls itself, where an engine has its platform's name
# What an engine says of itself (GET /version and /info): that it can limit these, and its kind.
LIMITED = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "cpus"}
PODMAN = "Podman Engine"
SHIFTED = {"name=rootless", "name=userns"}
SWEEP_AFTER = 120  # seconds past its time limit after which a container has no owner any more


def install() -> str:
    """Return the name of this installation: several may share one Docker Engine."""
    return os.environ.get("MICROSTAGE_INSTALL") or "microstage"


def labels(
    job: Job, run: Run, seconds: int, *, work: str = "", staging: str = ""
) -> dict[str, str]:
    """Return what a container says about whose it is, and until when it may live.

    seconds: how long it may run; work, staging: what it does and the name of the directory that it
    writes to, where another try of its job may take it over.
    """
    return {
        "microstage.install": install(),
        "microstage.key": run.instance,
        "microstage.pipeline": job.pipeline.name,
        "microstage.stage": job.row.stage,
        "microstage.dag": run.dag,
        "microstage.run": run.run,
        "microstage.task": run.task,
        "microstage.map": str(run.map),
        "microstage.try": str(run.attempt),
        "microstage.day": run.day,
        "microstage.work": work,
        "microstage.staging": staging,
        "microstage.deadline": str(int(time.time()) + seconds + SWEEP_AFTER),
    }


def network_of(network: str) -> str:
    """Return the engine's name for a row's network."""
    return (network or "none") if network in ("", "bridge") else f"{install()}_{network}"


def hardening(limits: Limits, *, network: str = "none", gpus: int = 0) -> dict[str, Any]:
    """Return the walls, as arguments of docker-py's create_host_config."""
    cpus = min(limits.cpus, os.cpu_count() or 1)  # the engine refuses more than there are
    asked = {"Driver": "", "Count": gpus, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
    return ({"device_requests": [asked]} if gpus else {}) | {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,  # PID 1 ignores signals that it does not handle; tini passes them on
        "pids_limit": limits.pids,
        "nano_cpus": int(cpus * 1e9),
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,  # equal: no swap on top of it
        "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=256m,mode=1777"},  # noqa: S108 - in there
        "network_mode": network,
        # The task log has it all; a stage must not fill the engine's disk with it.
        "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "1"}},
    }


def lacking(version: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what an engine leaves out, by what it says of itself, and how to mend that.

    It takes the same calls all the same, and answers them as if nothing were amiss.
    """
    if any(each.get("Name") == PODMAN for each in version.get("Components") or []):
        yield (
            "this engine is Podman, which mounts the whole data folder where a directory of it is "
            "asked for",
            "take Docker Engine 26 or newer",
        )
    if SHIFTED & {option.partition(",")[0] for option in info.get("SecurityOptions") or []}:
        yield (
            "this Docker Engine gives users other ids than this machine does (rootless, or "
            "userns-remap), so stages cannot write to the data folder",
            "take one that runs as root, without userns-remap",
        )
    if names := [name for key, name in LIMITED.items() if not info.get(key)]:
        yield (
            f"this Docker Engine cannot limit {', '.join(names)}",
            "mount the cgroup controllers memory, pids and cpu, and start it anew",
        )
