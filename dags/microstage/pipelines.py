"""The pipelines of an installation: dags/stages.toml, and what dags/pipelines/*.toml overlay.

dags/stages.toml is the default pipeline. A file pipelines/<name>.toml beside it is one more: it
says only what is different, `params` and `limits` key by key, the rest as a whole. Read anew each
time, so that a change counts from the next task on. Standard library only.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microstage.errors import USAGE, StageError
from microstage.keys import checked
from microstage.table import More, Row, check_networks, check_rows

DEFAULT = "default"  # the pipeline of stages.toml, whose DAGs and folders have no prefix
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # of a pipeline, and so of a file
# A table of release 1.0, say, whose DAG files knew the times themselves.
UNSCHEDULED = (
    "{file} has no schedule in a section [pipeline], so none of its DAGs starts by itself; take "
    "that section over from the shipped dags/stages.toml, and what its rows say of "
    "{{registered_model}}."
)
OVERLAID = ("params", "limits")  # key by key
NEVER = "none"  # the schedule of a DAG that is started by hand alone
SECTION = {"name": str, "schedule": dict, "window": int, "history": int, "model": str}
SCHEDULE = re.compile(r"none|@(hourly|daily|weekly|monthly|quarterly|yearly)|(\S+ ){4}\S+")


@dataclass(frozen=True)
class Pipeline:
    """A pipeline: its rows, and what its DAGs go by."""

    name: str
    rows: dict[str, Row] = field(default_factory=dict)
    schedules: dict[str, str] = field(default_factory=dict)  # DAG -> cron; without one, by hand
    window: int = 1  # days that a model learns from
    history: int = 28  # days that a report goes back
    model: str = "microstage"  # name of the registered model
    fault: str = ""  # why it cannot be read; then it has no rows and no schedules
    notice: str = ""  # what is to be known of its file, although it can be read

    @property
    def folder(self) -> str:
        """Its directory of the data folder; "" is the data folder itself."""
        return folder_of(self.name)

    @property
    def file(self) -> str:
        """The file to change it in."""
        return "stages.toml" if self.name == DEFAULT else f"pipelines/{self.name}.toml"

    def prefixed(self, name: str) -> str:
        """Return the name that a DAG or a Variable of Airflow has in this pipeline."""
        return name if self.name == DEFAULT else f"{self.name}.{name}"

    def row(self, stage: str) -> Row:
        """Return one row. Raises StageError (64)."""
        if self.fault:
            raise StageError(USAGE, self.fault)
        if stage not in self.rows:
            raise StageError(
                USAGE, f"{self.file} has no stage {stage!r}; there are {', '.join(self.rows)}."
            )
        return self.rows[stage]

    def followers(self, stage: str) -> list[str]:
        """Return the rows that a row's image fills: itself, and those that are like it."""
        return [stage, *(row.stage for row in self.rows.values() if row.like == stage)]


def folder_of(name: str) -> str:
    """Return a pipeline's directory of the data folder; "" is the data folder itself."""
    return "" if name == DEFAULT else name


def shown(pipeline: str, path: str) -> str:
    """Return a path of a pipeline's data as a person knows it: below the data folder."""
    folder = folder_of(pipeline)
    return f"{folder}/{path}" if folder else path


def table_path() -> Path:
    """Return the table of the default pipeline: dags/stages.toml, or that of MICROSTAGE_STAGES."""
    beside = Path(__file__).resolve().parents[1] / "stages.toml"
    return Path(os.environ.get("MICROSTAGE_STAGES") or beside)


def pipeline_path(name: str, table: Path | None = None) -> Path:
    """Return the file that a pipeline is changed in."""
    table = table or table_path()
    return table if name == DEFAULT else table.parent / "pipelines" / f"{name}.toml"


def pipeline_names(table: Path | None = None) -> list[str]:
    """Return the names of all pipelines, the default one first, as the files' names have them."""
    folder = pipeline_path("x", table).parent
    return [DEFAULT, *sorted(path.stem for path in folder.glob("[!.]*.toml"))]


def load_pipeline(name: str = DEFAULT, table: Path | None = None) -> Pipeline:
    """Read and check a pipeline. Raises StageError (64) that names file, row and key."""
    table = table or table_path()
    base, files = _read(table), {}
    for stage in base["stages"]:
        files[stage] = table.name
    section = dict(base["pipeline"])
    if section.setdefault("name", DEFAULT) != DEFAULT:
        raise StageError(
            USAGE,
            f"{table.name}, pipeline: its name is {DEFAULT!r}; write a pipeline of another name "
            "into pipelines/<name>.toml.",
        )
    networks = check_networks(table.name, base["networks"])
    rows = base["stages"]
    if name != DEFAULT:
        check_name(name, rows)
        overlay = _read(pipeline_path(name, table))
        own = overlay["pipeline"]
        if own.get("name", name) != name:
            raise StageError(USAGE, f"pipelines/{name}.toml, pipeline: the file's name is its own.")
        section = {**section, "model": name, **own, "name": name}
        section["schedule"] = {**base["pipeline"].get("schedule", {}), **own.get("schedule", {})}
        networks |= check_networks(f"pipelines/{name}.toml", overlay["networks"])
        rows = {**rows, **{s: overlaid(rows.get(s), row) for s, row in overlay["stages"].items()}}
        files |= dict.fromkeys(overlay["stages"], f"pipelines/{name}.toml")
    return Pipeline(
        name=name,
        rows=check_rows(rows, networks, files),
        schedules={dag: cron for dag, cron in section.get("schedule", {}).items() if cron != NEVER},
        **{key: section[key] for key in ("window", "history", "model") if key in section},
        notice="" if "schedule" in section else UNSCHEDULED.format(file=table.name),
    )


def overlaid(row: Any, over: Any) -> Any:
    """Return a row of the default pipeline with what another one says instead."""
    if not isinstance(row, dict) or not isinstance(over, dict):
        return over
    merged = {
        key: {**row[key], **over[key]}
        for key in OVERLAID
        if isinstance(row.get(key), dict) and isinstance(over.get(key), dict)
    }
    if "like" in row and "params" not in row and isinstance(over.get("params"), dict):
        merged["params"] = More(over["params"])
    return {**row, **over, **merged}


def check_name(name: str, rows: Mapping[str, Any]) -> None:
    """Raise StageError (64) for a name that a pipeline cannot have."""
    if not NAME.fullmatch(name) or name == DEFAULT:
        raise StageError(
            USAGE,
            f"pipelines/{name}.toml: {name!r} is no name for a pipeline; take small letters, "
            f"digits and underscores, a letter first, and not {DEFAULT!r}.",
        )
    taken = {
        path.partition("/")[0]
        for row in rows.values()
        if isinstance(row, dict)
        for path in (
            *_texts(row.get("reads")),
            *_texts(row.get("writes")),
        )
    }
    if name in taken:
        raise StageError(
            USAGE,
            f"pipelines/{name}.toml: the data folder has a directory {name} of the default "
            "pipeline; give the pipeline another name.",
        )


def _texts(value: object) -> list[str]:
    values = value.values() if isinstance(value, dict) else []
    return [text for text in values if isinstance(text, str)]


def _read(path: Path) -> dict[str, Any]:
    """Return the sections of one file: pipeline, networks, stages. Raises StageError (64)."""
    file = path.name if path.parent.name != "pipelines" else f"pipelines/{path.name}"
    try:
        if path.exists() and not path.is_file():  # a pipe would be read for ever
            raise StageError(USAGE, f"{file} is no file; put one in its place.")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(USAGE, f"There is no {file} in {path.parent}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(USAGE, f"{file} cannot be read: {error}.") from None
    except (ValueError, RecursionError) as error:
        raise StageError(USAGE, f"{file} is not valid TOML: {error}.") from None
    is_overlay = path.parent.name == "pipelines"
    stages = content.get("stages", {} if is_overlay else None)
    known = {"pipeline", "networks", "stages"}
    if not content.keys() <= known or not isinstance(stages, dict) or not (stages or is_overlay):
        raise StageError(
            USAGE,
            f"{file} must hold [pipeline], [networks.<name>] and [stages.<name>] tables alone.",
        )
    section = checked(f"{file}, pipeline", content.get("pipeline", {}), {}, SECTION)
    for dag, cron in section.get("schedule", {}).items():
        if not isinstance(cron, str) or not SCHEDULE.fullmatch(cron):
            raise StageError(
                USAGE,
                f'{file}, pipeline: the schedule of {dag} is {cron!r}; it must be like "@daily", '
                '"0 6 * * 1", or "none".',
            )
    for key in ("window", "history"):
        if not 1 <= section.get(key, 1) <= 9999:
            raise StageError(USAGE, f"{file}, pipeline: {key} must be a number of days, 1 or more.")
    if not re.fullmatch(r"(?=\w)[\w .-]{0,99}\w", section.get("model", "m")):
        raise StageError(
            USAGE,
            f"{file}, pipeline: model must be a name for MLflow, of letters, digits, spaces, "
            "dots, hyphens and underscores.",
        )
    return {"pipeline": section, "networks": content.get("networks", {}), "stages": stages}
