"""OpenLineage's specification, as JSON schemas of the classes that it has generated from its own.

The package openlineage-python has a class for each definition, with what is required, the types and
the address of the definition; the schemas themselves it has not.
https://github.com/OpenLineage/OpenLineage/tree/main/spec
"""

import enum
import pkgutil
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import attr
from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client import generated
from openlineage.client.event_v2 import RunEvent

FORMATS = {
    "eventTime": "date-time",
    "runId": "uuid",
    "producer": "uri",
    "schemaURL": "uri",
    "_producer": "uri",
    "_schemaURL": "uri",
}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
FACETS = {"facets", "inputFacets", "outputFacets"}
formats = FormatChecker(())
formats.checks("uuid", ValueError)(lambda value: bool(UUID(value)))
formats.checks("date-time", ValueError)(lambda value: bool(datetime.fromisoformat(value).tzinfo))
formats.checks("uri", ValueError)(lambda value: bool(urlsplit(value).scheme))


def check(event: dict[str, Any], *more: type) -> None:
    """Fail unless an event is as the specification has it, and each of its facets.

    :param more: classes of facets that are not of the specification
    """
    _validate(event, schema(RunEvent))
    own = {known._get_schema(): known for known in more}  # type: ignore[attr-defined]
    for name, facet in facets(event):
        address = facet.get("_schemaURL")
        assert address in definitions() | own, f"{name} has no definition: {address}"
        _validate(facet, schema((definitions() | own)[address]))


def facets(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each facet of an event, of its run, job and datasets, with its name."""
    for key, value in part.items() if isinstance(part, dict) else ():
        if key in FACETS:
            yield from value.items()
        for inner in value if isinstance(value, list) else [value]:
            yield from facets(inner) if key not in FACETS else ()


@cache
def definitions() -> dict[str, type]:
    """Return the classes by the address of their definition."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for one in vars(import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(one, type) and attr.has(one) and hasattr(one, "_get_schema"):
                found[one._get_schema()] = one
    return found


@cache
def schema(kind: type) -> dict[str, Any]:
    """Return the JSON schema of one of these classes."""
    definitions: dict[str, Any] = {}
    return {**_of(kind, definitions), "$defs": definitions}


def _of(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; of a class by its name, with itself among what is known."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return {"anyOf": [_of(one, known) for one in arguments if one is not types.NoneType]}
    if origin in {list, dict}:
        name, inner = ("array", "items") if origin is list else ("object", "additionalProperties")
        return {"type": name, inner: _of(arguments[-1], known)}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [one.value for one in kind]}
    if not attr.has(kind):
        return {}
    if kind.__name__ not in known:
        known[kind.__name__] = {}  # it may have some of its own kind within
        known[kind.__name__] = _object(kind, known)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    hints, fields = typing.get_type_hints(kind), attr.fields(kind)
    always = {"_producer", "_schemaURL", "producer", "schemaURL"}  # filled in by the class
    # What is made for others to build on may have more than it says itself.
    address = kind._get_schema() if hasattr(kind, "_get_schema") else ""
    more = "/OpenLineage.json" in address or any(one.name in FACETS for one in fields)
    return {
        "type": "object",
        "properties": {
            one.name: {**_of(hints[one.name], known), **_format(one.name)}
            for one in fields
            if one.name not in FACETS  # each by its own definition
        },
        "required": [
            one.name for one in fields if one.default is attr.NOTHING or one.name in always
        ],
        "additionalProperties": more,
    }


def _format(name: str) -> dict[str, str]:
    return {"format": FORMATS[name]} if name in FORMATS else {}


def _validate(value: Any, definition: dict[str, Any]) -> None:
    Draft202012Validator(definition, format_checker=formats).validate(value)
