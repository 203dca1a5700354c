"""The keys of a table in TOML, and what kind each is. Standard library only."""

from __future__ import annotations

from typing import Any

from microstage.errors import USAGE, StageError


def checked(
    where: str, value: object, required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a table with these keys, of these kinds (None: any). Raises StageError (64)."""
    known = {**required, **(optional or {})}
    if not isinstance(value, dict):
        raise StageError(USAGE, f"{where} must be a table with {', '.join(known)}.")
    if missing := [key for key in required if key not in value]:
        raise StageError(USAGE, f"{where} lacks {', '.join(missing)}.")
    for key, item in value.items():
        if key not in known:
            raise StageError(
                USAGE, f"{where} has an unknown key {key!r}; known are {', '.join(known)}."
            )
        kind = known[key]
        if kind is None:
            continue
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
