"""The calls that there are: a method and a whole path, never a part of one, and never decoded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from guard.refusals import MalformedError, RefusedError
from guard.request import Request

API = "1.45"  # the first that mounts a directory of a volume, and the one that is spoken
PREFIX = rf"/v{re.escape(API)}"
CONTAINER = rf"{PREFIX}/containers/([0-9a-f]{{64}})"
TRUE, FALSE = ("1", "True", "true"), ("0", "False", "false")


@dataclass(frozen=True)
class Route:
    """A call: what it is named by here, and what its query may say."""

    name: str
    method: str
    path: re.Pattern[str]
    query: dict[str, Callable[[str], bool]]


def _route(name: str, method: str, path: str, **query: Callable[[str], bool]) -> Route:
    return Route(name, method, re.compile(path), query)


def _text(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def _any(value: str) -> bool:
    return bool(value)


def _seconds(value: str) -> bool:
    return bool(re.fullmatch(r"\d{1,2}", value))


def _tail(value: str) -> bool:
    return value == "all" or bool(re.fullmatch(r"\d{1,4}", value))


def _time(value: str) -> bool:
    return bool(re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value))


ROUTES = (
    _route("ping", "GET", rf"(?:{PREFIX})?/_ping"),
    _route("version", "GET", rf"(?:{PREFIX})?/version"),
    _route(
        "list",
        "GET",
        rf"{PREFIX}/containers/json",
        all=_text(*TRUE, *FALSE),
        filters=_any,
        limit=_text("-1"),
        size=_text(*FALSE),
        trunc_cmd=_text(*FALSE),
    ),
    _route("networks", "GET", rf"{PREFIX}/networks", filters=_any),
    _route("image", "GET", rf"{PREFIX}/images/([!-~]+)/json"),
    _route("inspect", "GET", rf"{CONTAINER}/json"),
    _route("create", "POST", rf"{PREFIX}/containers/create"),
    _route("start", "POST", rf"{CONTAINER}/start"),
    _route("stop", "POST", rf"{CONTAINER}/stop", t=_seconds),
    _route(
        "wait",
        "POST",
        rf"{CONTAINER}/wait",
        condition=_text("not-running", "next-exit", "removed"),
    ),
    _route(
        "attach",
        "POST",
        rf"{CONTAINER}/attach",
        logs=_text("0"),
        stdout=_text("1"),
        stderr=_text("1"),
        stream=_text("1"),
    ),
    _route(
        "logs",
        "GET",
        rf"{CONTAINER}/logs",
        stdout=_text("0", "1"),
        stderr=_text("1"),
        follow=_text("0", "1"),
        timestamps=_text("0"),
        tail=_tail,
        since=_time,
    ),
    _route(
        "stats",
        "GET",
        rf"{CONTAINER}/stats",
        **{"stream": _text(*FALSE), "one-shot": _text(*TRUE)},
    ),
    _route(
        "remove",
        "DELETE",
        CONTAINER,
        v=_text(*TRUE, *FALSE),
        link=_text(*FALSE),
        force=_text(*TRUE, *FALSE),
    ),
)


def route_of(request: Request) -> tuple[str, str]:
    """Return the name of the call, and what its path names. Raises RefusedError."""
    for route in ROUTES:
        found = route.path.fullmatch(request.path)
        if not found or route.method != request.method:
            continue
        for key, value in request.query.items():
            if key not in route.query or not route.query[key](value):
                raise RefusedError(f"This call's query does not have {key} so.")
        if request.body and route.name != "create":
            raise MalformedError("This call has no body.")
        if request.upgrade != (route.name == "attach"):
            raise MalformedError("A stream is what attach asks for, and nothing else.")
        return route.name, found[1] if found.groups() else ""
    raise RefusedError("This call is none that a stage needs.")
