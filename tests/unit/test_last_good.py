"""The table as it was last whole: a run goes on with it while a file is broken."""

from collections.abc import Callable
from pathlib import Path

import pytest

from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.last_good import last_whole, load_for_run
from microstage.pipelines import Pipeline

TABLE = """
[stages.train]
image   = "microstage/train:1.0.0"
verb    = "fit"
reads   = {}
writes  = { to = "models/{ds}", files = ["model.txt"] }
params  = {}
limits  = { cpus = 2, memory = "4g", pids = 256, timeout = "2h" }
"""
Write = Callable[[str, str], Path]
Load = Callable[[], Pipeline]


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def load(
    write: Write, data: DataFolder, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> Load:
    """Load the pipeline flights as a task that starts now does."""
    monkeypatch.setenv("MICROSTAGE_DATA", str(data.root))
    write("stages.toml", TABLE)
    write("pipelines/flights.toml", "[pipeline]\nwindow = 13\n")
    return lambda: load_for_run("flights", data.below("flights"), warnings.append)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pipelines/flights.toml", "[pipeline]\nwindow = 0"),
        ("pipelines/flights.toml", "[pipeline"),
        ("stages.toml", ""),
        ("stages.toml", TABLE.replace("verb", "verbb")),
    ],
)
def test_a_task_that_starts_while_a_file_is_broken_has_the_table_as_it_was_and_warns(
    load: Load, write: Write, warnings: list[str], file: str, text: str
) -> None:
    whole = load()
    write(file, text)
    found = load()
    [warning] = warnings

    assert (13, whole.rows) == (found.window, found.rows)
    assert warning.startswith(file)
    assert "this run goes on with the table as it was before" in warning


def test_a_file_that_was_removed_is_as_a_broken_one(
    load: Load, write: Write, warnings: list[str]
) -> None:
    whole = load()
    write("pipelines/flights.toml", "").unlink()

    assert whole == load()
    assert "There is no pipelines/flights.toml" in warnings[0]


def test_what_is_mended_or_changed_counts_from_the_next_task_on(
    load: Load, write: Write, warnings: list[str]
) -> None:
    load()
    write("stages.toml", "")
    load()
    write("stages.toml", TABLE.replace("1.0.0", "2.0.0"))
    mended = load()
    write("stages.toml", "")

    assert "microstage/train:2.0.0" == mended.rows["train"].image
    assert mended.rows == load().rows
    assert 2 == len(warnings)


def test_without_a_copy_the_task_fails_with_the_sentence(load: Load, write: Write) -> None:
    write("pipelines/flights.toml", "[pipeline]\nwindow = 0")

    with pytest.raises(StageError, match=r"^pipelines/flights\.toml, pipeline: window must be"):
        load()


def test_the_copy_is_in_the_pipelines_own_data(load: Load, data: DataFolder) -> None:
    load()
    copies = data.root / "flights/.tables"

    assert TABLE == (copies / "stages.toml").read_text()
    assert ["pipelines", "pipelines/flights.toml", "stages.toml"] == sorted(
        str(path.relative_to(copies)) for path in copies.rglob("*")
    )


def test_a_copy_that_cannot_be_kept_does_not_keep_a_run_from_going_on(
    load: Load, data: DataFolder, warnings: list[str]
) -> None:
    (data.root / "flights").mkdir()
    (data.root / "flights/.tables").write_text("in the way")

    assert 13 == load().window
    assert "The table could not be copied to" in warnings[0]


def test_how_a_pipeline_was_last_is_known_without_a_task(load: Load, write: Write) -> None:
    assert last_whole("flights") is None
    whole = load()
    write("stages.toml", "")

    assert whole == last_whole("flights")
    assert last_whole("default") is None


def test_where_there_is_no_data_folder_nobody_knows(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    monkeypatch.setenv("MICROSTAGE_DATA", "/nowhere")  # as Airflow's DAG processor has none

    assert last_whole("flights") is None
