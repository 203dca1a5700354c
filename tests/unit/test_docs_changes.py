"""docs/changes.md names what is there: files, keys of the table, settings, commands."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest

from microstage.pipelines import SECTION
from microstage.table import Limits

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/changes.md").read_text("utf-8")
PLACEHOLDERS = ("NAME", "DAY")  # what the reader puts in
ROW = {"image", "params", "limits", "network = true", "queue", "gpus"} | {
    f"limits.{field.name}" for field in fields(Limits)
}
VARIABLES = set(
    re.findall(
        r"(?m)^    (\w+)  +",
        (ROOT / "dags/microstage/decisions.py").read_text("utf-8").partition('"""\n\nfrom')[0],
    )
)
SETTINGS = set(re.findall(r"(?m)^(\w+)=", (ROOT / ".env.example").read_text("utf-8")))


class Change(NamedTuple):
    """A row of the page."""

    wish: str
    touch: str
    see: str


def changes() -> list[Change]:
    lines = [line for line in TEXT.splitlines() if line.startswith("| ")]
    rows = [Change(*(cell.strip() for cell in line.split("|")[1:-1])) for line in lines]
    return [row for row in rows if row.wish != "I want to …"]


def marked(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def is_there(path: str) -> bool:
    """Whether a path of the repository exists; of one with a placeholder, what is before it."""
    before = re.split("|".join(PLACEHOLDERS), path)[0]
    whole = before if before == path else before.rpartition("/")[0]
    made = {".env": ".env.example", "data/raw": "."}  # by the first build; by the first day
    return (ROOT / made.get(whole, whole)).exists()


def is_code(word: str, cell: str) -> bool:
    """Whether a name is one that a file of the same cell defines."""
    named = [ROOT / path for path in marked(cell) if "/" in path or path.endswith(".sh")]
    begins = re.compile(rf"(?m)^(def |class |FROM \w+ AS )?{re.escape(word)}\b")
    return any(begins.search(path.read_text("utf-8")) for path in named if path.is_file())


@pytest.mark.parametrize("change", changes(), ids=lambda change: change.wish)
def test_what_is_to_be_touched_is_there(change: Change) -> None:
    table = tomllib.loads((ROOT / "dags/stages.toml").read_text("utf-8"))
    parameters = {key for row in table["stages"].values() for key in row.get("params", {})}
    known = ROW | {f"[{name}]" for name in table} | SECTION.keys() | set(table["stages"])
    known |= VARIABLES | SETTINGS | parameters
    unknown = []
    for word in marked(change.touch):
        path = "/" in word or "." in word
        if word.startswith("params = "):
            tomllib.loads(word)
        elif not (
            (path and is_there(word)) or word in known or is_code(word, change.touch)
        ) and not is_parameter(word):
            unknown.append(word)

    assert [] == unknown


def is_parameter(word: str) -> bool:
    """Whether an image has a parameter of that name."""
    stages = ROOT.glob("containers/*/stage.py")
    return any(re.search(rf'"(--)?{word}"', path.read_text("utf-8")) for path in stages)


@pytest.mark.parametrize("change", changes(), ids=lambda change: change.wish)
def test_it_is_said_how_to_see_it(change: Change) -> None:
    commands = [word for word in marked(change.see) if " " in word]
    known = ("scripts/", "./build_images.sh ", "docker compose ", "docker run ")
    paths = [command.split()[0] for command in commands]

    assert change.see
    assert [] == [command for command in commands if not command.startswith(known)]
    assert [] == [path for path in paths if "/" in path and not (ROOT / path).is_file()]


def test_there_are_twenty_or_more() -> None:
    wishes = [change.wish for change in changes()]

    assert len(wishes) >= 20
    assert len(set(wishes)) == len(wishes)
