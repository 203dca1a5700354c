"""What a save is: several files at once are one, by whatever way of saving, and none is missed."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.loop import watch
from support.sources import copy, files_of, saved, settled, started, to_build
from support.trial import last_job

from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.pipelines import load_pipeline


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "train"
    folder.mkdir()
    for name in ("stage.py", "fit.py", "Dockerfile"):
        (folder / name).write_text(name)
    return folder


class Script:
    """A trial whose runs do what they are told to, and the last of which is interrupted."""

    def __init__(self, folder: Path, *steps: Any) -> None:
        self.folder, self.steps = folder, list(steps)
        self.job = SimpleNamespace(row=SimpleNamespace(stage="train"), target="m", shown=str)
        self.runs = 0

    def __call__(self) -> list[str]:
        if not self.steps:
            raise KeyboardInterrupt
        self.runs += 1
        self.steps.pop(0)()
        return []


def test_a_save_during_a_run_makes_one_more_and_ctrl_c_ends_with_0(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def save_both() -> None:
        (folder / "fit.py").write_text("changed once")
        (folder / "stage.py").write_text("changed too")

    def fail() -> None:
        (folder / "fit.py").write_text("changed again")
        raise StageError(65, "train: the reason")

    trial: Any = Script(folder, save_both, fail)

    assert 0 == watch(trial, "2013-01-06")
    assert 2 == trial.runs
    said = capsys.readouterr().out
    assert "saved: fit.py, stage.py\n" in said
    assert "train of 2013-01-06: exit code 65 after 0.0 s\n  train: the reason\n" in said
    assert "saved: fit.py\n" in said


def test_files_that_are_saved_one_after_the_other_settle_as_one_change(folder: Path) -> None:
    before = files_of(folder)
    steps: list[Callable[[], object]] = [
        (folder / "fit.py").unlink,  # as some editors do, to put another in its place
        lambda: (folder / "fit.py").write_text("new"),
        lambda: (folder / "stage.py").write_text("new"),
        lambda: None,
    ]
    now = settled(folder, lambda _: steps.pop(0)() and None)

    assert ["fit.py", "stage.py"] == saved(before, now)
    assert [] == steps


def test_a_save_by_renaming_of_the_same_text_at_the_same_time_is_seen(folder: Path) -> None:
    before, path = files_of(folder), folder / "fit.py"
    aside = folder / ".fit.py.swp"
    aside.write_bytes(path.read_bytes())
    aside.rename(path)

    assert ["fit.py"] == saved(before, files_of(folder))


def test_what_editors_and_python_keep_aside_is_no_save(folder: Path) -> None:
    before = files_of(folder)
    (folder / "__pycache__").mkdir()
    names = [".fit.py.swp", "fit.py~", "#fit.py#", "4913", "__pycache__/fit.pyc"]
    for name in names:
        (folder / name).write_text("")

    assert before == files_of(folder)


def test_a_run_has_a_copy_that_its_user_can_read(folder: Path, tmp_path: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "one.py").write_text("1")
    (folder / "parts" / "one.py").chmod(0o600)
    copy(folder, tmp_path / "copy")
    copied = tmp_path / "copy/parts/one.py"

    assert set(files_of(folder)) == set(files_of(tmp_path / "copy"))
    assert 0o755 == copied.stat().st_mode & 0o777


def test_what_is_in_the_image_is_to_be_built(folder: Path) -> None:
    assert "" == to_build(["fit.py"], folder)
    assert "run ./build_images.sh train, and" in to_build(["Dockerfile"], folder)
    assert "run scripts/lock train and ./build_images.sh train, and" in to_build(
        ["requirements.in", "fit.py"], folder
    )


def test_the_folder_takes_the_place_of_what_the_image_starts(folder: Path) -> None:
    def place(workdir: str, *entrypoint: str) -> int:
        config = {"WorkingDir": workdir, "Entrypoint": list(entrypoint)}
        return started("microstage/train:1", config, folder)

    assert 1 == place("", "python3", "/app/stage.py")
    assert 1 == place("/app", "python3", "stage.py")
    with pytest.raises(StageError, match="starts no file of train in /app") as raised:
        place("/", "python3", "/srv/stage.py")
    assert 64 == raised.value.code


def test_the_last_inputs_are_those_of_the_newest_day_that_still_has_them(tmp_path: Path) -> None:
    for day in ("2013-01-05", "2013-01-06", "2013-01-07"):
        sources = {f"raw/{each}": f"raw/{each}" for each in ("2013-01-04", day)}
        publish(tmp_path / "processed" / day, sources)
    for day in ("2013-01-04", "2013-01-05", "2013-01-06"):  # not the last
        (tmp_path / "raw" / day).mkdir(parents=True)
    data, pipeline = DataFolder.at(tmp_path), load_pipeline()
    given: dict[str, Any] = {"window": None, "model": None, "params": {}}
    job, ds = last_job(data, pipeline, "preprocess", None, **given)
    other, _ = last_job(data, pipeline, "preprocess", "2013-01-05", **given | {"window": "1"})

    assert "2013-01-06" == ds
    assert ["raw/2013-01-04", "raw/2013-01-05", "raw/2013-01-06"] == list(job.sources)
    assert ["raw/2013-01-05"] == list(other.sources)


def publish(directory: Path, sources: dict[str, str]) -> None:
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text(json.dumps({"sources": sources}))
