"""The body that makes a container: what the row of the table says, and nothing else.

What a client sends is compared with it, so that one that asks for something else is told so. It is
never passed on: what the engine gets is written here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from guard import mounts
from guard.refusals import RefusedError
from guard.settings import Settings
from microstage.contract import Run
from microstage.errors import StageError
from microstage.images import Image
from microstage.inputs import variables
from microstage.jobs import Job
from microstage.pipelines import Pipeline
from microstage.sharing import COMMAND
from microstage.table import Row
from microstage.walls import (
    CONTRACT,
    CONTRACT_LABEL,
    DAYS,
    DAYS_LABEL,
    hardening,
    labels,
    network_of,
)

OURS = "org.microstage.guard"  # the label of containers that the guard has made
# A dead link instead of the way to what clouds tell their machines, secrets included.
LINK_LOCAL = "microstage-link-local"
MAX_WORDS, MAX_COMMAND, MAX_LABEL = 256, 64 * 1024, 512
PATIENCE = 600  # seconds that a client's clock, or its call, may be late
# As docker-py names the walls, and as the API does.
API_NAMES = {
    "read_only": "ReadonlyRootfs",
    "cap_drop": "CapDrop",
    "security_opt": "SecurityOpt",
    "init": "Init",
    "pids_limit": "PidsLimit",
    "nano_cpus": "NanoCpus",
    "mem_limit": "Memory",
    "memswap_limit": "MemorySwap",
    "tmpfs": "Tmpfs",
    "network_mode": "NetworkMode",
    "log_config": "LogConfig",
    "device_requests": "DeviceRequests",
}
# What docker-py says besides, always.
PLAIN = {
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "AttachStdin": False,
    "AttachStdout": True,
    "AttachStderr": True,
    "NetworkDisabled": False,
}


def named(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the pipeline and the row that a client's body names. Raises RefusedError."""
    found = body.get("Labels")
    if type(found) is not dict or not all(type(value) is str for value in found.values()):
        raise RefusedError("The labels say whose a container is: texts alone.")
    return found.get("microstage.pipeline", ""), found.get("microstage.stage", "")


def compose(
    settings: Settings,
    pipeline: Pipeline,
    row: Row,
    pipelines: Sequence[str],
    image: Image,
    body: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the body for the engine.

    Raises RefusedError if the client asks for another container.
    """
    if image.labels.get(CONTRACT_LABEL) != CONTRACT:
        raise RefusedError(f"{row.where}: its image lacks the label {CONTRACT_LABEL}={CONTRACT}.")
    run = _run(body["Labels"])
    days = _check_command(row, image, body.get("Cmd"))
    host = body.get("HostConfig")
    if type(host) is not dict:
        raise RefusedError("HostConfig is missing.")
    wanted = mounts.asked(settings, pipeline, host.get("Mounts"))
    (mounts.check_days if days else mounts.check_one)(row, pipelines, run, wanted)
    count = len([each for each in wanted if each.target.startswith("/out/")]) + 1
    job = Job(pipeline, row, {}, {}, "")
    more = {} if days else _resumable(body["Labels"], wanted)
    marks = labels(job, run, row.limits.timeout * (count if days else 1), **more)
    walls = host_config(_with_memory(row, host.get("Memory")))
    try:
        environment = variables(row, settings.secrets)
    except StageError as error:
        raise RefusedError(f"{error} Here it is that of the service guard.") from None
    ours = {
        **PLAIN,
        "User": settings.owner,
        "Env": _variables(variables(row, guarded=True)),
        "Cmd": body["Cmd"],
        "Image": image.id,
        "Labels": _deadline(marks, body["Labels"]),
        "HostConfig": {**walls, "Mounts": host["Mounts"]},
    }
    _compare(row, ours, body)
    network = {"NetworkingConfig": networks(row)} if row.network == "bridge" else {}
    return {
        **ours,
        **network,
        "Image": image.store_id,
        "Env": _variables(environment),
        "Labels": {**marks, OURS: settings.install},
        "HostConfig": {**walls, "Mounts": mounts.composed(settings, pipeline, wanted)},
    }


def _with_memory(row: Row, asked: object) -> Row:
    """Return the row with what memory a client asks for, if it says that a try may have so much."""
    if type(asked) is not int or not row.limits.memory < asked <= row.limits.memory_max:
        return row
    return replace(row, limits=replace(row.limits, memory=asked))


def host_config(row: Row) -> dict[str, Any]:
    """Return the walls of a row, as the API has them."""
    walls = hardening(row.limits, network=network_of(row.network), gpus=row.gpus)
    walls["log_config"] = {key.capitalize(): value for key, value in walls["log_config"].items()}
    return {API_NAMES[key]: value for key, value in walls.items()}


def networks(row: Row) -> dict[str, Any]:
    """Return the networks of a row that leads outside: that one, and a dead link."""
    return {"EndpointsConfig": {row.network: {}, LINK_LOCAL: {}}}


def _variables(found: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in found.items()]


def _run(found: Mapping[str, str]) -> Run:
    """Return the run that labels name. Raises RefusedError."""
    if any(len(value) > MAX_LABEL or not value.isprintable() for value in found.values()):
        raise RefusedError(f"A label is {MAX_LABEL} printable characters at most.")
    words = {key: found.get(f"microstage.{key}", "") for key in ("map", "try", "task")}
    if not re.fullmatch(r"-?\d{1,9}|None", words["map"], re.ASCII):
        raise RefusedError("The label microstage.map is no number.")
    if not re.fullmatch(r"\d{1,9}", words["try"], re.ASCII):
        raise RefusedError("The label microstage.try is no number.")
    if not re.fullmatch(r"[\w.-]+", words["task"]):
        raise RefusedError("The label microstage.task names no task.")
    number = None if words["map"] == "None" else int(words["map"])
    dag, run = found.get("microstage.dag", ""), found.get("microstage.run", "")
    day = found.get("microstage.day", "")
    return Run(dag, run, words["task"], number, int(words["try"]), day)


def _resumable(found: Mapping[str, str], wanted: Sequence[mounts.Asked]) -> dict[str, str]:
    """Return the labels by which another try knows the work, and where it writes to.

    What the work is cannot be told from here: it is a digest, which means nothing to others.
    """
    work = found.get("microstage.work", "")
    if not re.fullmatch(r"[0-9a-f]{64}", work, re.ASCII):
        return {}
    staging = next(each.path for each in wanted if each.target == "/out").rpartition("/")[2]
    return {"work": work, "staging": staging}


def _check_command(row: Row, image: Image, command: object) -> bool:
    """Tell whether it is that of several days. Raises RefusedError if it is neither's."""
    if type(command) is not list or not all(type(word) is str for word in command):
        raise RefusedError("Cmd is a list of texts.")
    if len(command) > MAX_WORDS or sum(map(len, command)) > MAX_COMMAND:
        raise RefusedError(f"Cmd has {MAX_WORDS} words and {MAX_COMMAND} characters at most.")
    if any("\0" in word for word in command):
        raise RefusedError("Cmd has a NUL.")
    if command[:1] == [row.verb]:
        return False
    alike = image.labels.get(DAYS_LABEL) == DAYS and not row.always and not row.network
    if command == [COMMAND] and alike:
        return True
    raise RefusedError(f"{row.where}: Cmd begins with its verb, {row.verb}.")


def _deadline(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Return our labels, with a client's deadline if it is about the same."""
    found = theirs.get("microstage.deadline", "")
    if not re.fullmatch(r"\d{1,12}", found, re.ASCII):
        return dict(ours)
    alike = abs(int(found) - int(ours["microstage.deadline"])) <= PATIENCE
    return {**ours, "microstage.deadline": found} if alike else dict(ours)


def _compare(row: Row, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Raise RefusedError, naming the first key that is not as the row has it."""
    for key in [*ours, *theirs]:
        one, other = ours.get(key), theirs.get(key)
        if key in ours and key in theirs and _same(one, other):
            continue
        where = key if key in ours else "a key that no row has"
        if isinstance(one, dict) and isinstance(other, dict):
            differing = [name for name in one if not _same(one[name], other.get(name))]
            where += f", {differing[0] if differing else 'a key that no row has'}"
        raise RefusedError(f"{row.where}: the container would be another one, by {where}.")


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values of JSON are the same: 1 is not true, and 1.0 is not 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
