"""Which rows a change swaps, by the tables of before and now; without Docker."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support import swap_report
from support.swap_report import Swap, earlier, report, swapped

from microstage.errors import StageError

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "microstage/train:1.0.0", "microstage/train_sklearn:1.0.0"


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """Return the table of before and that of now, which are the same."""
    for name in ("before", "now"):
        folder = tmp_path / name
        shutil.copytree(ROOT / "dags/pipelines", folder / "pipelines")
        shutil.copy(ROOT / "dags/stages.toml", folder)
    return tmp_path / "before/stages.toml", tmp_path / "now/stages.toml"


def change(table: Path, old: str, new: str) -> None:
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))


def test_a_change_of_something_else_swaps_nothing(tables: tuple[Path, Path]) -> None:
    change(tables[1], "seed = 17", "seed = 18")

    assert [] == list(swapped(*tables))
    assert ("No image is swapped.\n", True) == report([], tables[0], Path())


def test_an_image_that_several_pipelines_follow_is_swapped_once(
    tables: tuple[Path, Path],
) -> None:
    change(tables[1], OLD, NEW)

    assert [Swap("default", "train", OLD, NEW)] == list(swapped(*tables))


def test_a_row_of_a_pipelines_own_is_swapped_there(tables: tuple[Path, Path]) -> None:
    flights = tables[1].parent / "pipelines/flights.toml"
    flights.write_text(f'{flights.read_text()}\n[stages.train]\nimage = "{NEW}"\n')

    assert [Swap("flights", "train", OLD, NEW)] == list(swapped(*tables))


def test_a_new_pipeline_swaps_nothing(tables: tuple[Path, Path]) -> None:
    flights = tables[0].parent / "pipelines/flights.toml"
    flights.unlink()
    change(tables[1].parent / "pipelines/flights.toml", "[pipeline]", "[pipeline]  # new")

    assert [] == list(swapped(*tables))


def test_the_tables_of_a_commit_are_those_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    (clone / "dags/pipelines").mkdir(parents=True)
    for name in ("stages.toml", "pipelines/one.toml"):
        (clone / "dags" / name).write_text(f"# {name}\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], cwd=clone, check=True)
    (clone / "dags/stages.toml").write_text("# changed\n")
    monkeypatch.setattr(swap_report, "REPOSITORY", clone)
    table = earlier("HEAD", tmp_path / "laid")

    assert "# stages.toml\n" == table.read_text()
    assert "# pipelines/one.toml\n" == (table.parent / "pipelines/one.toml").read_text()
    with pytest.raises(StageError, match="name a commit that is in this clone"):
        earlier("nowhere", tmp_path)


def test_a_refused_image_is_told_with_what_was_seen_and_not_compared(
    tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def refuse(command: list[str], *_: Path) -> tuple[str, int]:
        said.append(command[0])
        return "REFUSED\n```\n", 1

    monkeypatch.setattr(swap_report, "_said", refuse)
    text, kept = report([Swap("default", "train", OLD, NEW)], tables[0], Path())

    assert not kept
    assert ["scripts/check_stage"] == said
    assert f"`{NEW}` is refused" in text
    assert "````\nREFUSED\n```\n````" in text
