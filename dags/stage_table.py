"""The table of stages, and a job: one of its rows with every placeholder filled.

Standard library only; it is imported by every task, and by scripts/run_stage without Airflow.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
USAGE, BAD_DATA, NO_INPUT, TRY_AGAIN = 64, 65, 66, 75  # sysexits.h
MEANING = {
    USAGE: "wrong usage",
    BAD_DATA: "bad data",
    NO_INPUT: "input missing",
    TRY_AGAIN: "try again later",
}

Param = str | int | float | bool


class StageError(Exception):
    """One sentence for the user, with the exit code that it stands for."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code

    @property
    def final(self) -> bool:
        """True when another try with the same inputs cannot help."""
        return self.code in (USAGE, BAD_DATA, NO_INPUT)


class StageExitError(StageError):
    """What the stage itself said when it ended, as against what kept it from being run."""


@dataclass(frozen=True)
class Limits:
    """What a step may use."""

    cpus: float
    memory: int  # bytes
    pids: int
    timeout: int  # seconds


@dataclass(frozen=True)
class Row:
    """One row of stages.toml, checked."""

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
    always: bool = False  # its work is outside the data folder: run it although nothing changed


def table_path() -> Path:
    """Return the table beside this module, or the one that MICROSTAGE_STAGES names."""
    return Path(os.environ.get("MICROSTAGE_STAGES") or Path(__file__).with_name("stages.toml"))


def load_table(path: Path | None = None) -> dict[str, Row]:
    """Read and check the whole table. Raises StageError (64) that names the row and the key."""
    path = path or table_path()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(USAGE, f"The table of stages {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise StageError(USAGE, f"{path.name} is not valid TOML: {error}.") from None
    rows, networks = table.get("stages"), table.get("networks", {})
    if not table.keys() <= {"stages", "networks"} or not isinstance(rows, dict) or not rows:
        raise StageError(
            USAGE, f"{path.name} must hold [stages.<name>] and [networks.<name>] tables alone."
        )
    environments = _environments(path.name, networks)
    for name in rows:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise StageError(USAGE, f"{path.name}: {name!r} is not a name for a stage.")
    return {
        name: _row(f"{path.name}, stage {name}", name, row, environments)
        for name, row in rows.items()
    }


def load_row(stage: str) -> Row:
    """Read one row; the whole table is checked. Raises StageError (64)."""
    table = load_table()
    if stage not in table:
        raise StageError(
            USAGE,
            f"{table_path().name} has no stage {stage!r}; it has {', '.join(table)}.",
        )
    return table[stage]


def _environments(file: str, networks: object) -> dict[str, tuple[str, ...]]:
    """Return the variables that come with each network; "" is none, "bridge" the engine's own."""
    found: dict[str, tuple[str, ...]] = {"": (), "bridge": ()}
    if not isinstance(networks, dict):
        raise StageError(USAGE, f"{file}: networks must be a table.")
    for name, network in networks.items():
        variables = _checked(f"{file}, network {name}", network, {"env": list})["env"]
        for variable in variables:
            if not isinstance(variable, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]*", variable):
                raise StageError(
                    USAGE, f"{file}, network {name}: env must name variables, not {variable!r}."
                )
        found[name] = tuple(variables)
    return found


def _row(where: str, name: str, row: object, environments: dict[str, tuple[str, ...]]) -> Row:
    keys = {"image": str, "verb": str, "reads": dict, "writes": dict, "params": dict}
    more = {"network": (bool, str), "optional": list, "always": bool}
    row = _checked(where, row, {**keys, "limits": dict}, more)
    writes = _checked(f"{where}, writes", row["writes"], {"to": str, "files": list})
    for key, value in row["reads"].items():
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            raise StageError(USAGE, f"{where}: reads must be name = 'directory', not {key!r}.")
    for file in writes["files"]:
        if not isinstance(file, str) or not _is_inner_path(file):
            raise StageError(USAGE, f"{where}: files must be paths inside /out, not {file!r}.")
    for key, value in row["params"].items():
        if not isinstance(value, Param):
            raise StageError(USAGE, f"{where}: the parameter {key} must be a text or a number.")
    for mount in row.get("optional", []):
        if mount not in row["reads"]:
            raise StageError(USAGE, f"{where}: optional names {mount!r}, which reads does not.")
    network = row.get("network", "")
    if isinstance(network, bool):
        network = "bridge" if network else ""
    if network not in environments:
        raise StageError(USAGE, f"{where}: there is no [networks.{network}] in the table.")
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
        env=environments[network],
        optional=tuple(row.get("optional", [])),
        always=row.get("always", False),
    )


def _checked(
    where: str, value: object, required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    known = {**required, **(optional or {})}
    if not isinstance(value, dict):
        raise StageError(USAGE, f"{where} must be a table with {', '.join(required)}.")
    if missing := [key for key in required if key not in value]:
        raise StageError(USAGE, f"{where} lacks {', '.join(missing)}.")
    for key, item in value.items():
        if key not in known:
            raise StageError(
                USAGE, f"{where} has an unknown key {key!r}; known are {', '.join(known)}."
            )
        kind = known[key]
        either = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(item, kind) or (isinstance(item, bool) and bool not in either):
            name = {
                (str,): "a text",
                (dict,): "a table",
                (list,): "a list",
                (bool,): "true or false",
                (bool, str): "true or the name of a network",
            }
            raise StageError(USAGE, f"{where}: {key} must be {name.get(either, 'a number')}.")
        if str in either and item == "":
            raise StageError(USAGE, f"{where}: {key} is empty.")
    return value


def _limits(where: str, value: object) -> Limits:
    limits = _checked(
        where, value, {"cpus": int | float, "memory": str, "pids": int, "timeout": str}
    )
    memory = re.fullmatch(r"(\d+)([kmg])", limits["memory"].lower())
    timeout = re.fullmatch(r"(\d+)([smh])", limits["timeout"].lower())
    if not memory:
        raise StageError(USAGE, f'{where}: memory must look like "512m" or "2g".')
    if not timeout or int(timeout[1]) == 0:
        raise StageError(USAGE, f'{where}: timeout must look like "30s", "10m" or "1h".')
    if not limits["cpus"] > 0 or not limits["pids"] > 0:
        raise StageError(USAGE, f"{where}: cpus and pids must be greater than 0.")
    return Limits(
        cpus=float(limits["cpus"]),
        memory=int(memory[1]) * {"k": 2**10, "m": 2**20, "g": 2**30}[memory[2]],
        pids=limits["pids"],
        timeout=int(timeout[1]) * {"s": 1, "m": 60, "h": 3600}[timeout[2]],
    )


def _is_inner_path(path: str) -> bool:
    parts = path.split("/")
    return "\0" not in path and not {"", ".", ".."} & set(parts) and parts[-1] != MANIFEST


@dataclass(frozen=True)
class Job:
    """One run of one row with every placeholder filled."""

    row: Row
    params: dict[str, Param]
    sources: dict[str, str]  # mount below /in -> path below the data folder
    target: str

    def is_optional(self, mount: str) -> bool:
        """Tell whether what is mounted there may be absent."""
        return mount.split("/", maxsplit=1)[0] in self.row.optional

    @property
    def command(self) -> list[str]:
        """The verb and its parameters, as the image gets them."""
        command = [self.row.verb]
        for key, value in self.params.items():
            flag = "--" + key.replace("_", "-")
            if value is True:
                command.append(flag)
            elif value is not False:
                command += [flag, str(value)]
        return command


def window_days(ds: str, window: int | str = 1) -> list[str]:
    """Return the `window` days that end at ds, oldest first, as YYYY-MM-DD."""
    try:
        last = date.fromisoformat(ds)
        if last.isoformat() != ds:
            raise ValueError
    except ValueError:
        raise StageError(USAGE, f"{ds!r} is not a day; write it as 2013-01-06.") from None
    if not re.fullmatch(r"[1-9]\d{0,3}", str(window)):
        raise StageError(
            USAGE, f"The window is {window!r}; it must be a number of days, 1 or more."
        )
    return [(last - timedelta(days=back)).isoformat() for back in reversed(range(int(window)))]


def resolve(
    row: Row,
    ds: str,
    *,
    window: int | str = 1,
    model: str | None = None,
    params: Mapping[str, Param] | None = None,
) -> Job:
    """Fill the placeholders of a row for the day `ds`. Raises StageError (64)."""
    days = window_days(ds, window)
    known = {"ds": ds, **({"model": model} if model else {})}
    sources: dict[str, str] = {}
    for name, source in row.reads.items():
        if "{day}" in source:
            for day in days:
                sources[f"{name}/{day}"] = _fill(row, source, {**known, "day": day})
        else:
            sources[name] = _fill(row, source, known)
    filled = {
        key: _fill(row, value, known) if isinstance(value, str) else value
        for key, value in {**row.params, **(params or {})}.items()
    }
    return Job(row, filled, sources, _fill(row, row.to, known))


def _fill(row: Row, text: str, known: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] in known:
            return known[found[1]]
        if found[1] == "model":
            raise StageError(
                USAGE, f"The stage {row.stage} needs a model; name one, such as models/2013-01-06."
            )
        raise StageError(
            USAGE, f"{table_path().name}, stage {row.stage}: {found[0]} is not known in {text!r}."
        )

    return re.sub(r"\{(\w*)\}", value, text)
