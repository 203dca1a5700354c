"""What docs/pipelines.md and CHANGELOG.md say of tables and modules is so."""

import re
import shutil
from pathlib import Path

import pytest

from microstage.errors import StageError
from microstage.pipelines import SCHEDULE, load_pipeline, table_path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/pipelines.md").read_text("utf-8")
MODULES = ROOT / "dags/microstage"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The shipped table, and a folder for pipelines beside it."""
    (tmp_path / "pipelines").mkdir()
    return Path(shutil.copy(table_path(), tmp_path))


def named(text: str) -> list[str]:
    """Return what is marked as code, a dotted or called name by its last part alone."""
    return [re.split(r"[.(]", word)[-1] or word for word in re.findall(r"`([^`]+)`", text)]


def has(module: str, name: str) -> bool:
    """Whether a module of the platform has a name of its own, at its top or in a class."""
    source = (MODULES / f"{module.replace('.', '/')}.py").read_text("utf-8")
    return re.search(rf"(?m)^(class |def |    def |    )?{name}\b", source) is not None


def test_the_example_of_a_file_is_laid_over_the_table_as_the_page_says(table: Path) -> None:
    example = re.search(r"(?ms)^```toml\n(\[pipeline\].*?^)```$", PAGE)
    assert example
    (table.parent / "pipelines/mine.toml").write_text(example[1], "utf-8")
    default, mine = load_pipeline(table=table), load_pipeline("mine", table)
    ours, theirs = default.rows["train"], mine.rows["train"]

    assert (7, "mine", "0 6 * * 1") == (mine.window, mine.model, mine.schedules["train_model"])
    assert default.schedules["predict"] == mine.schedules["predict"]
    assert mine.rows["generate"].image != default.rows["generate"].image
    assert {**ours.params, "rounds": 400} == theirs.params
    assert (8 * 2**30, ours.limits.cpus) == (theirs.limits.memory, theirs.limits.cpus)


def test_the_words_for_times_are_those_that_the_table_knows() -> None:
    words = re.findall(r"`(@\w+)`", PAGE)

    assert words
    assert [] == [word for word in words if not SCHEDULE.fullmatch(word)]
    assert {word.lstrip("@") for word in words} == set(
        re.findall(r"\w+", SCHEDULE.pattern.split("@(")[1].split(")")[0])
    )


@pytest.mark.parametrize("name", ["Flights", "1st", "raw", "models"])
def test_names_that_are_taken_or_odd_are_refused(table: Path, name: str) -> None:
    (table.parent / f"pipelines/{name}.toml").write_text("", "utf-8")

    with pytest.raises(StageError):
        load_pipeline(name, table)


def test_a_table_of_before_is_read_and_has_no_schedule(table: Path) -> None:
    row = """
        [stages.train]
        image  = "microstage/train:1.0.0"
        verb   = "fit"
        reads  = { split = "split/{ds}" }
        writes = { to = "models/{ds}", files = ["model.txt"] }
        params = { seed = 17 }
        limits = { cpus = 2, memory = "4g", pids = 256, timeout = "2h" }
    """
    table.write_text(row, "utf-8")
    pipeline = load_pipeline(table=table)

    assert ({}, 1, "microstage") == (pipeline.schedules, pipeline.window, pipeline.model)
    assert ["train"] == list(pipeline.rows)


def test_what_a_dag_file_may_import_is_there() -> None:
    rows = re.findall(r"(?m)^\| (`(?:operator|sensors|decisions|schedule|alerts)\..*?) \|", PAGE)
    missing = []
    for row in rows:
        module = re.findall(r"`(\w+)\.", row)[0]
        missing += [f"{module}.{name}" for name in named(row) if not has(module, name)]

    assert len(rows) >= 6
    assert [] == missing


def test_the_modules_that_names_have_moved_to_have_them() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `stage_\w+`(?:: (.*?))? \| `microstage\.([\w.]+)`(.*?) \|$", text)
    missing = []
    for before, module, now in rows:
        names = named(now) if "(" in now else named(before)
        names = [name for name in names if name not in {"DAILY", "WEEKLY", "dag)", "stage)"}]
        missing += [f"{module}.{name}" for name in names if name.isidentifier()]
        missing = [path for path in missing if not has(*path.rsplit(".", 1))]

    assert len(rows) >= 12
    assert [] == missing
