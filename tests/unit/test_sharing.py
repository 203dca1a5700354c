"""What several days have in one container: each its own place, and every directory there once."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from unit_harness import PIPELINE, ROW

from microstage.data_folder import DataFolder
from microstage.exits import Exit
from microstage.jobs import Job
from microstage.sharing import Place, ending, provide

ONE, TWO = "2013-01-05", "2013-01-06"


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    for folder in (f"raw/{ONE}", f"raw/{TWO}", "model", "staging"):
        (tmp_path / folder).mkdir(parents=True)
    return DataFolder.at(tmp_path)


@pytest.fixture
def places(data: DataFolder) -> list[Place]:
    days = {}
    for day, window in ((ONE, [ONE]), (TWO, [ONE, TWO])):
        sources = {"model": "model"} | {f"raw/{each}": f"raw/{each}" for each in window}
        job = Job(PIPELINE, replace(ROW, verb="report"), {"date": day}, sources, f"reports/{day}")
        days[day] = (job, data.root / "staging" / day)
    return provide(data, data.root / "batch", days)


def test_what_days_share_is_there_once_and_only_what_they_write_to_is_writable(
    data: DataFolder, places: list[Place]
) -> None:
    root = data.root
    expected = [
        Place("/in", root / "batch" / "in"),
        Place("/out", root / "batch" / "out", read_only=False),
        Place("/in/.sources/0", root / "model"),
        Place("/in/.sources/1", root / "raw" / ONE),
        Place(f"/out/{ONE}", root / "staging" / ONE, read_only=False),
        Place("/in/.sources/2", root / "raw" / TWO),
        Place(f"/out/{TWO}", root / "staging" / TWO, read_only=False),
    ]

    assert expected == places


def test_a_day_has_links_to_what_it_reads_and_to_nothing_else(
    data: DataFolder, places: list[Place]
) -> None:
    inputs = data.root / "batch" / "in"
    links = {
        str(path.relative_to(inputs)): str(path.readlink())
        for path in inputs.rglob("*")
        if path.is_symlink()
    }

    assert {
        f"{ONE}/model": "/in/.sources/0",
        f"{ONE}/raw/{ONE}": "/in/.sources/1",
        f"{TWO}/model": "/in/.sources/0",
        f"{TWO}/raw/{ONE}": "/in/.sources/1",
        f"{TWO}/raw/{TWO}": "/in/.sources/2",
    } == links


def test_each_day_has_a_line_of_its_own_in_the_list(data: DataFolder, places: list[Place]) -> None:
    text = (data.root / "batch" / "in" / "days.json").read_text("utf-8")
    days = {day: ["report", "--date", day] for day in (ONE, TWO)}

    assert {"version": 1, "days": days} == json.loads(text)
    assert 1 == sum(ONE in line for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"code": 0, "last_line": ""}', Exit(0)),
        (
            '{"code": 65, "last_line": "row 7:\\n it is odd", "more": 1}',
            Exit(65, "row 7: it is odd"),
        ),
        ('{"code": 75, "last_line": "the disk is full"}', None),
        ('{"code": "0", "last_line": ""}', None),
        ('{"code": true, "last_line": ""}', None),
        ('{"code": 256, "last_line": ""}', None),
        ('{"code": 0}', None),
        ("[0]", None),
        ('{"code": 0, "la', None),
    ],
)
def test_how_a_day_has_ended_is_what_its_stage_says_if_that_is_whole(
    tmp_path: Path, text: str, expected: Exit | None
) -> None:
    (tmp_path / "day.json").write_text(text)

    assert expected == ending(tmp_path / "day.json")


def test_what_is_no_file_of_its_own_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"code": 0, "last_line": ""}')
    (tmp_path / "link.json").symlink_to("elsewhere")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")

    assert {None} == {
        ending(tmp_path / f"{name}.json") for name in ("link", "folder", "pipe", "none")
    }
