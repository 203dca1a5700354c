"""A row of the table of stages, checked: which image fills a step, and what it may do.

Standard library only; every task reads it, and scripts/run_stage without Airflow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microstage.data_folder import MANIFEST, is_inner_path
from microstage.errors import USAGE, StageError
from microstage.keys import checked

QUEUE = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"  # of workers, which are told them by comma
WORD = "[A-Za-z][A-Za-z0-9_-]*"  # of a command line
IMAGE = "[A-Za-z0-9][A-Za-z0-9._/:@+-]*"  # the engine says more of it
PLACEHOLDER = re.compile(r"\{\w*\}")
UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")  # no process can be given it
MOST = {"cpus": 4096, "pids": 2**22}  # Linux has no more
MOST_GPUS = 64  # of a host
LEAST_MEMORY, MOST_MEMORY = 6 * 2**20, 2**50  # bytes; the engine wants the former

Param = str | int | float | bool

# What a row that is like another takes from it, unless it says so itself.
INHERITED = (
    "image",
    "verb",
    "work",
    "reads",
    "params",
    "limits",
    "network",
    "optional",
    "always",
    "queue",
    "gpus",
)


class More(dict[str, Any]):
    """Parameters that a row has besides those of the row that it is like."""


@dataclass(frozen=True)
class Limits:
    """What a step may use."""

    cpus: float
    memory: int  # bytes
    pids: int
    timeout: int  # seconds
    memory_max: int = 0  # bytes, which a try after one that ran out of memory may have; 0: no more


@dataclass(frozen=True)
class Row:
    """One row of the table, checked."""

    stage: str
    image: str
    verb: str
    reads: dict[str, str]
    to: str
    files: tuple[str, ...]
    params: dict[str, Param]
    limits: Limits
    network: str = ""  # "bridge", or a network of the compose project; without one there is none
    env: tuple[str, ...] = ()  # variables of the platform's environment that come with it
    optional: tuple[str, ...] = ()  # names among `reads` that may be absent
    queue: str = ""  # whose workers run it; without one it runs where all tasks do
    gpus: int = 0
    always: bool = False  # its work is outside the data folder: run it although nothing changed
    work: str = ""  # the kind of work, as images name it in their label org.microstage.work
    like: str = ""  # the row that its image comes from: to swap one is to swap both
    where: str = field(default="the table of stages", compare=False)  # for sentences


def check_rows(
    rows: Mapping[str, Any], networks: Mapping[str, tuple[str, ...]], files: Mapping[str, str]
) -> dict[str, Row]:
    """Return the rows of a table, checked. Raises StageError (64) that names row and key.

    `networks` are the variables that come with each network; `files` says where each row is.
    """
    for name in rows:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise StageError(USAGE, f"{files[name]}: {name!r} is not a name for a stage.")
        if not isinstance(rows[name], dict):
            raise StageError(USAGE, f"{files[name]}, stage {name} must be a table.")
    where = {name: f"{files[name]}, stage {name}" for name in rows}
    wholes = {name: completed(where[name], name, rows) for name in rows}
    return {name: _row(where[name], name, row, networks) for name, row in wholes.items()}


def completed(where: str, name: str, rows: Mapping[str, Any], below: tuple[str, ...] = ()) -> Any:
    """Return a row with what it takes from the one that it is like. Raises StageError (64).

    Its `like` is then the row whose image it has, "" if it is its own.
    """
    row = rows[name]
    if "like" not in row:
        return row
    like, below = row["like"], (*below, name)
    if not isinstance(like, str) or like not in rows:
        raise StageError(USAGE, f"{where}: like names {like!r}, which is no stage here.")
    if like in below:
        raise StageError(USAGE, f"{where}: it is like itself, by {' and '.join(below)}.")
    other = completed(where, like, rows, below)
    whole = {key: other[key] for key in INHERITED if key in other} | row
    for key in ("limits", "writes", *(["params"] if isinstance(row.get("params"), More) else [])):
        parts = [part.get(key, {}) for part in (other, row)]
        if all(isinstance(part, dict) for part in parts):
            taken = {name: value for name, value in parts[0].items() if name != "to"}
            whole[key] = {**taken, **parts[1]}  # no two rows publish to one directory
    optional = other.get("optional", [])
    if isinstance(row.get("reads"), dict) and "optional" not in row and isinstance(optional, list):
        whole["optional"] = [mount for mount in optional if mount in list(row["reads"])]
    whole["like"] = "" if "image" in row else other.get("like") or like
    return whole


def check_networks(file: str, networks: object) -> dict[str, tuple[str, ...]]:
    """Return the variables that come with each network; "" is none, "bridge" the engine's own."""
    found: dict[str, tuple[str, ...]] = {"": (), "bridge": ()}
    if not isinstance(networks, dict):
        raise StageError(USAGE, f"{file}: networks must be a table.")
    for name, network in networks.items():
        variables = checked(f"{file}, network {name}", network, {"env": list})["env"]
        for variable in variables:
            if not isinstance(variable, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]*", variable):
                raise StageError(
                    USAGE, f"{file}, network {name}: env must name variables, not {variable!r}."
                )
        found[name] = tuple(variables)
    return found


def _row(where: str, name: str, row: object, networks: Mapping[str, tuple[str, ...]]) -> Row:
    keys = {"image": str, "verb": str, "reads": dict, "writes": dict, "params": dict}
    more = {"network": (bool, str), "optional": list, "always": bool, "work": str, "like": None}
    more |= {"queue": str, "gpus": int}
    row = checked(where, row, {**keys, "limits": dict}, more)
    writes = checked(f"{where}, writes", row["writes"], {"to": str, "files": list})
    for key, pattern in (("image", IMAGE), ("verb", WORD)):
        if not re.fullmatch(pattern, row[key]):
            raise StageError(USAGE, f"{where}: {row[key]!r} is no {key}.")
    for key, value in row["reads"].items():
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            raise StageError(USAGE, f"{where}: reads must be name = 'directory', not {key!r}.")
    for path in (*row["reads"].values(), writes["to"]):
        if not is_inner_path(PLACEHOLDER.sub("x", path)):
            raise StageError(
                USAGE, f"{where}: {path!r} is no path below the data folder, such as raw/{{ds}}."
            )
    for file in writes["files"]:
        if not is_inner_path(file) or file.endswith(("/", f"/{MANIFEST}")) or file == MANIFEST:
            raise StageError(USAGE, f"{where}: files must be paths inside /out, not {file!r}.")
    check_params(where, row["params"])
    for mount in row.get("optional", []):
        if mount not in list(row["reads"]):
            raise StageError(USAGE, f"{where}: optional names {mount!r}, which reads does not.")
    network = row.get("network", "")
    if isinstance(network, bool):
        network = "bridge" if network else ""
    if network not in networks:
        raise StageError(USAGE, f"{where}: there is no [networks.{network}] in the table.")
    queue, gpus = row.get("queue", ""), row.get("gpus", 0)
    check_placement(where, queue, gpus, network)
    return Row(
        stage=name,
        image=row["image"],
        verb=row["verb"],
        reads=row["reads"],
        to=writes["to"],
        files=tuple(writes["files"]),
        params=row["params"],
        limits=_limits(f"{where}, limits", row["limits"]),
        network=network,
        env=networks[network],
        optional=tuple(row.get("optional", [])),
        queue=queue,
        gpus=gpus,
        always=row.get("always", False),
        work=row.get("work", ""),
        like=row.get("like", ""),
        where=where,
    )


def check_placement(where: str, queue: str, gpus: int, network: str) -> None:
    """Raise StageError (64) for a row that no host could run."""
    if queue and not re.fullmatch(QUEUE, queue):
        raise StageError(USAGE, f"{where}: {queue!r} is no name of a queue.")
    if queue and network not in ("", "bridge"):
        raise StageError(
            USAGE,
            f"{where}: its network {network} is on the machine of docker-compose.yml alone, so it "
            "can have no queue.",
        )
    if not 0 <= gpus <= MOST_GPUS:
        raise StageError(USAGE, f"{where}: gpus must be from 0 to {MOST_GPUS}.")


def check_params(where: str, params: Mapping[str, object]) -> None:
    """Raise StageError (64) for parameters that no command line can have."""
    for key, value in params.items():
        if not re.fullmatch(WORD, key):
            raise StageError(USAGE, f"{where}: {key!r} is no name for a parameter.")
        is_number = isinstance(value, int | float) and abs(value) < 2**63  # as TOML has it; no NaN
        if not is_number and not isinstance(value, str):
            raise StageError(USAGE, f"{where}: the parameter {key} must be a text or a number.")
        if isinstance(value, str) and UNSPEAKABLE.search(value):
            raise StageError(
                USAGE, f"{where}: the parameter {key} holds what is no text: {value!r}."
            )


def _limits(where: str, value: object) -> Limits:
    limits = checked(
        where,
        value,
        {"cpus": int | float, "memory": str, "pids": int, "timeout": str},
        {"memory_max": str},
    )
    timeout = re.fullmatch("([0-9]{1,9})([smh])", limits["timeout"].lower())
    memory = _bytes(where, "memory", limits["memory"])
    most = _bytes(where, "memory_max", limits["memory_max"]) if "memory_max" in limits else 0
    if most and most < memory:
        raise StageError(USAGE, f"{where}: memory_max is less than memory.")
    if not timeout or int(timeout[1]) == 0:
        raise StageError(USAGE, f'{where}: timeout must look like "30s", "10m" or "1h".')
    for key in ("cpus", "pids"):
        if not 0 < limits[key] <= MOST[key]:
            raise StageError(USAGE, f"{where}: {key} must be greater than 0, {MOST[key]} at most.")
    return Limits(
        cpus=float(limits["cpus"]),
        memory=memory,
        pids=limits["pids"],
        timeout=int(timeout[1]) * {"s": 1, "m": 60, "h": 3600}[timeout[2]],
        memory_max=most,
    )


def _bytes(where: str, key: str, text: str) -> int:
    found = re.fullmatch("([0-9]{1,9})([kmg])", text.lower())
    if not found:
        raise StageError(USAGE, f'{where}: {key} must look like "512m" or "2g".')
    size = int(found[1]) * {"k": 2**10, "m": 2**20, "g": 2**30}[found[2]]
    if not LEAST_MEMORY <= size <= MOST_MEMORY:
        raise StageError(
            USAGE,
            f"{where}: {key} must be between {LEAST_MEMORY >> 20}m and {MOST_MEMORY >> 30}g.",
        )
    return size
