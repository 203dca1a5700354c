"""The parameters of a row's image, as fields of a DAG's form: whichever image fills the row now.

dags/forms.toml declares them, as reading a DAG must not ask an engine for an image. A field that is
left empty says nothing, so that a run whose form nobody has touched is told what the table says,
and finds its work done where that has not changed.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from microstage.errors import USAGE, StageError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from microstage.pipelines import Pipeline
    from microstage.table import Row

FILE = Path(__file__).resolve().parents[1] / "forms.toml"
NUMBERS, TEXT = (int, float), (str,)
TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": NUMBERS,
    "string": TEXT,
    "boolean": (bool,),
}
KEYS: dict[str, tuple[type, ...]] = {
    "type": TEXT,
    "minimum": NUMBERS,
    "maximum": NUMBERS,
    "enum": (list,),
    "pattern": TEXT,
    "default": (int, float, str, bool),
    "description": TEXT,
}
IMAGE = re.compile(r"(?:.*/)?([^/:@]+)(?::[^/@]*)?(?:@.*)?")  # registry/name:tag@id


def fields(pipeline: Pipeline, stage: str) -> dict[str, Param]:
    """Return the fields for the parameters of the image that fills a row; none if none are known.

    Each has the row's name before its own: train.rounds. An image is known by its last name, with
    whatever tag or id. What is wrong with the file, check_pipelines.py tells.
    """
    row = pipeline.rows.get(stage)
    if row is None:
        return {}
    try:
        known = _of(declared(), row)
    except StageError:
        return {}
    return {f"{stage}.{name}": _field(name, said, row) for name, said in known.items()}


def chosen(stage: str) -> Any:
    """Return the parameters that a run's form says, as a value of `stage_params`.

    It is a function, which Airflow calls where it renders templates.
    """

    def choose(context: Context, jinja_env: Any = None) -> dict[str, Any]:  # noqa: ARG001 - Airflow's
        said = {key.partition("."): value for key, value in context["params"].items()}
        return {
            name: value
            for (of, _, name), value in said.items()
            if of == stage and value is not None
        }

    return choose


def declared(file: Path = FILE) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the file says: image -> verb -> parameter. Raises StageError (64)."""
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StageError(USAGE, f"{file.name} cannot be read: {error}.") from None
    for image, verbs in content.items():
        for verb, parameters in verbs.items() if isinstance(verbs, dict) else [("", None)]:
            if not isinstance(parameters, dict):
                raise StageError(
                    USAGE, f"{file.name}, {image}: it must hold [{image}.VERB] tables."
                )
            for name, said in parameters.items():
                _check(f"{file.name}, {image}.{verb}, {name}", said)
    return content


def _check(where: str, said: Any) -> None:
    """Raise StageError (64) for a parameter that makes no field."""
    if not isinstance(said, dict) or said.get("type") not in TYPES:
        raise StageError(USAGE, f"{where}: its type must be one of {', '.join(TYPES)}.")
    for key, value in said.items():
        kinds = TYPES[said["type"]] if key == "default" else KEYS.get(key, ())
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise StageError(USAGE, f"{where}: {key} = {value!r} says nothing of it.")
    try:
        re.compile(said.get("pattern", ""))
    except re.error as error:
        raise StageError(USAGE, f"{where}: its pattern is none: {error}.") from None


def _of(content: dict[str, Any], row: Row) -> dict[str, Any]:
    name = IMAGE.fullmatch(row.image)
    known: dict[str, Any] = content.get(name[1] if name else "", {}).get(row.verb, {})
    return known


def _field(name: str, said: dict[str, Any], row: Row) -> Param:
    schema: dict[str, Any] = {
        key: said[key] for key in ("minimum", "maximum", "pattern") if key in said
    }
    if "enum" in said:
        schema["enum"] = [None, *said["enum"]]
    now = row.params.get(name, said.get("default", ""))
    return Param(
        None,
        type=["null", said["type"]],
        title=name,
        section=f"Parameters of {row.stage}, which are as in the table where empty",
        description=f"{said.get('description', '')} ({now})".strip(),
        **schema,
    )
