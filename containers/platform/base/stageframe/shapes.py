"""What is in the JSON files of the contract, key by key (docs/contract.md), and what does not fit.

A shape is a type; [shape], a list; {"key": shape}, an object that has it, and may have others;
{"key?": shape}, that may have it; {str: shape}, an object of any keys; a tuple, one of several; or
a function that returns the fault of a value.
"""

from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import normalize

Fault = tuple[str, str]  # where, and what is there
NONE = ("", "")

MOST = 2**40  # of a count: no table has so many rows
LARGEST = 1.7e308
WORDS = {str: "a text", bool: "true or false", type(None): "null", dict: "an object"}


def number(value: Any) -> Fault:
    """Be the shape of a number that arithmetic can be done with."""
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    return NONE if fits and abs(value) <= LARGEST else ("", "no finite number")


def count(value: Any) -> Fault:
    """Be the shape of a number of rows."""
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
    return NONE if fits else ("", "no number of rows")


def names(value: Any) -> Fault:
    """Be the shape of a list of texts that differ."""
    if (fault := find(value, [str])) != NONE:
        return fault
    return ("", "a list that has a text twice") if len(set(value)) < len(value) else NONE


def column(value: Any) -> Fault:
    """Be the shape of a column of preprocess.json."""
    if (fault := find(value, {"name": str, "kind": str, "profile?": PROFILE})) != NONE:
        return fault
    if value["kind"] == "categorical":
        return find(value, {"categories": names})
    return NONE if value["kind"] == "numeric" else (".kind", "neither numeric nor categorical")


def columns(value: Any) -> Fault:
    """Be the shape of all of them: some, of names that differ."""
    if (fault := find(value, [column])) != NONE:
        return fault
    if not value:
        return "", "empty"
    _, twice = names([normalize("NFC", one["name"]) for one in value])
    return ("", "a list that has a name twice") if twice else NONE


PROFILE = {"edges?": [number], "counts?": [count], "missing?": count, "other?": count}
DAYS = [{"day": str, "rows": count}]
FILES = {str: {"sha256": str, "size?": count}}
TEXT = (str, int, type(None))

NEAR = {"share": number, "keys": [str], "cuts": {str: [number]}, "days": {str: {str: dict}}}

DOCUMENTS: Mapping[str, Any] = {
    "preprocess.json": {
        "columns?": columns,
        "classes?": names,
        "class_counts?": ([count], type(None)),
        "target?": ({"mean?": number}, type(None)),
        "days?": DAYS,
        "digests?": (
            {"days": {str: dict}, "share": number, "near?": (NEAR, type(None))},
            type(None),
        ),
    },
    "model.json": {
        "format?": str,
        "features?": names,
        "classes?": names,
        "trained_on?": ({"rows?": (count, type(None)), "sha256?": str, "days?": [str]}, type(None)),
        "params?": dict,
        "versions?": dict,
    },
    "metrics.json": {"scores?": {"edges?": [number], "counts?": {str: [count]}}},
    "version.json": {
        "name?": str,
        "version?": TEXT,
        "run_id?": TEXT,
        "date?": str,
        "files?": {str: str},
        "raw?": {str: TEXT},
    },
    "manifest.json": {
        "stage?": str,
        "image?": str,
        "image_id?": str,
        "inputs?": FILES,
        "outputs?": FILES,
        "run?": dict,
        "parameters?": dict,
        "sources?": {str: str},
    },
    "comparison.json": {"champion?": (dict, type(None)), "verdict?": (str, type(None))},
    "days.json": {"days?": {str: [str]}},
}


def fault_of(value: object, shape: Any) -> str:
    """Return what is wrong with a value, "" if nothing is: `days[3].rows is no whole number`."""
    where, what = find(value, shape)
    return f"{where.removeprefix('.')} is {what}" if where else what


def find(value: object, shape: Any) -> Fault:
    """Return the first fault of a value, NONE if it has none."""
    if isinstance(shape, tuple):
        faults = [find(value, one) for one in shape]
        return NONE if NONE in faults else max(faults, key=lambda fault: len(fault[0]))
    if isinstance(shape, list | dict):
        return _find_inside(value, shape)
    if isinstance(shape, type):
        fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        return "", "" if fits else f"not {WORDS.get(shape, 'a number')}"
    function: Callable[[object], Fault] = shape
    return function(value)


def _find_inside(value: Any, shape: Any) -> Fault:
    if not isinstance(value, type(shape)):
        return "", "no list" if isinstance(shape, list) else "no object"
    if isinstance(shape, list):
        parts: Any = ((f"[{i}]", one, shape[0]) for i, one in enumerate(value))
    else:
        parts = _members(value, shape)
    for place, one, inner in parts:
        where, what = ("", "missing") if one is _ABSENT else find(one, inner)
        if what:
            return f"{place}{where}", what
    return NONE


_ABSENT = object()


def _members(value: dict[str, Any], shape: dict[Any, Any]) -> Any:
    if str in shape:
        yield from ((f".{key[:50]}", one, shape[str]) for key, one in value.items())
        return
    for key, inner in shape.items():
        name = key.removesuffix("?")
        if name in value or name == key:
            yield f".{name}", value.get(name, _ABSENT), inner
