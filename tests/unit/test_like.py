"""Rows that are like another: what they take from it, and what is their own."""

import copy
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microstage.errors import StageError
from microstage.pipelines import load_pipeline
from microstage.table import Limits, Row, check_rows

Load = Callable[[str], dict[str, Row]]


@pytest.fixture
def load(write: Callable[[str, str], Path]) -> Load:
    """Return the rows of a table with this text."""

    def rows(text: str) -> dict[str, Row]:
        write("stages.toml", text)
        return load_pipeline().rows

    return rows


TRACK = """
[networks.tracking]
env = ["SERVICE_URL"]

[stages.track]
image    = "microstage/registry:1.0.0"
verb     = "track"
work     = "track-model"
reads    = { model = "models/{ds}", old = "production" }
writes   = { to = "models/{ds}/version", files = ["version.json"] }
params   = { name = "x", date = "{ds}" }
limits   = { cpus = 1, memory = "512m", pids = 64, timeout = "10m" }
network  = "tracking"
optional = ["old"]
always   = true
"""


def fetch(*lines: str) -> str:
    """Return a table with a row `fetch` of these lines, beside `track`."""
    return "\n".join([TRACK, "[stages.fetch]", *lines])


LIKE, HERE = 'like = "track"', 'writes = { to = "production/{ds}" }'


def test_what_a_row_does_not_say_comes_from_the_one_that_it_is_like(load: Load) -> None:
    rows = load(fetch(LIKE, HERE))

    for name in ("image", "verb", "work", "reads", "files", "params", "limits", "network", "env"):
        assert getattr(rows["track"], name) == getattr(rows["fetch"], name), name
    assert (("old",), True) == (rows["fetch"].optional, rows["fetch"].always)
    assert ("", "track") == (rows["track"].like, rows["fetch"].like)


def test_what_a_row_says_itself_wins(load: Load) -> None:
    own = {"verb": "fetch", "work": "fetch-model", "network": False, "always": False}
    lines = [f"{key} = {json.dumps(value)}" for key, value in own.items()]
    row = load(fetch(LIKE, HERE, *lines, 'reads = { local = "here" }', 'params = { name = "y" }'))[
        "fetch"
    ]

    assert ("fetch", "fetch-model", "", False) == (row.verb, row.work, row.network, row.always)
    assert ({"local": "here"}, {"name": "y"}) == (row.reads, row.params)


def test_of_limits_and_writes_a_part_may_be_said_alone(load: Load) -> None:
    row = load(fetch(LIKE, HERE, 'limits = { memory = "1g" }'))["fetch"]

    assert ("production/{ds}", ("version.json",)) == (row.to, row.files)
    assert Limits(cpus=1, memory=2**30, pids=64, timeout=600) == row.limits


@pytest.mark.parametrize(("name", "optional"), [("old", ("old",)), ("other", ())])
def test_what_may_be_absent_is_taken_along_where_it_is_read(
    load: Load, name: str, optional: tuple[str, ...]
) -> None:
    row = load(fetch(LIKE, HERE, f'reads = {{ {name} = "elsewhere" }}'))["fetch"]

    assert optional == row.optional


def test_a_row_may_be_like_one_that_is_like_another(load: Load) -> None:
    standby = ["[stages.standby]", 'like = "fetch"', 'writes = { to = "y" }']
    rows = load(fetch(LIKE, HERE, 'verb = "fetch"', *standby))

    assert ("fetch", rows["track"].image) == (rows["standby"].verb, rows["standby"].image)
    assert "track" == rows["standby"].like  # whose image it has


def test_a_row_with_an_image_of_its_own_has_all_else_from_the_other(load: Load) -> None:
    rows = load(fetch(LIKE, HERE, 'image = "mine:1"'))

    assert ("mine:1", "") == (rows["fetch"].image, rows["fetch"].like)
    assert rows["track"].params == rows["fetch"].params


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (['like = "trakc"'], "stage fetch: like names 'trakc', which is no stage here"),
        (["like = 3"], "stage fetch: like names 3"),
        (['like = ["track"]'], r"stage fetch: like names \['track'\]"),
        (['like = "fetch"'], "stage fetch: it is like itself, by fetch"),
        ([LIKE, "speed = 1"], "stage fetch has an unknown key 'speed'"),
        ([LIKE, "writes = 1"], "stage fetch: writes must be a table"),
        ([LIKE], "stage fetch, writes lacks to"),  # or two rows would publish one directory
    ],
)
def test_a_wrong_row_that_is_like_another_is_one_sentence(
    load: Load, lines: list[str], sentence: str
) -> None:
    with pytest.raises(StageError, match=sentence) as refused:
        load(fetch(*lines))

    assert 64 == refused.value.code


def test_rows_that_are_like_each_other_are_refused(load: Load) -> None:
    with pytest.raises(StageError, match="it is like itself, by fetch and standby"):
        load(fetch('like = "standby"', "[stages.standby]", 'like = "fetch"'))


# --- whatever a file says, it is one sentence

WRONG: list[Any] = [5, -1, 0.5, True, "", "x", "{", "\0", [], [1], [[1]], [{"a": 1}], {}, {"a": {}}]
ROWS = tomllib.loads(fetch(LIKE, HERE, "limits = {}", 'reads = { old = "x" }'))["stages"]


def places(value: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the way to every value in a table."""
    for key, inner in value.items() if isinstance(value, dict) else []:
        yield (*path, key)
        yield from places(inner, *path, key)


def sentence(rows: dict[str, Any]) -> str:
    """Return what is said of a table, nothing if it is fine."""
    try:
        check_rows(rows, {"": (), "tracking": ()}, dict.fromkeys(rows, "stages.toml"))
    except StageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("place", list(places(ROWS)), ids="-".join)
def test_a_value_of_any_kind_at_any_place_is_fine_or_one_sentence(place: tuple[str, ...]) -> None:
    for wrong in WRONG:
        rows = copy.deepcopy(ROWS)
        inner = rows
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = wrong

        assert not sentence(rows) or sentence(rows).startswith("stages.toml, stage ")
