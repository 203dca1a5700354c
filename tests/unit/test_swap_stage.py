"""What swap_stage does to a pipeline's file and how it remembers, without Docker."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import swaps

from microstage.errors import StageError
from microstage.pipelines import DEFAULT, load_pipeline, table_path

ROOT = Path(__file__).resolve().parents[2]
PIN = f"microstage/mine:1@sha256:{64 * 'a'}"
FLIGHTS = """# real flights

[pipeline]
window = 13

[stages.generate]
image = "microstage/replay:1.0.0" # real ones
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table, and beside it that of flights."""
    path = tmp_path / "dags" / "stages.toml"
    (path.parent / "pipelines").mkdir(parents=True)
    shutil.copy(table_path(), path)
    (path.parent / "pipelines/flights.toml").write_text(FLIGHTS)
    monkeypatch.setenv("MICROSTAGE_STAGES", str(path))
    return path


def swap_stage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/swap_stage"), *arguments, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def image(stage: str, pipeline: str = DEFAULT) -> str:
    return load_pipeline(pipeline).row(stage).image


def changed(before: str, after: str) -> list[tuple[str, str]]:
    lines = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old, new) for old, new in lines if old != new]


def test_one_line_of_the_table_changes_and_no_other(table: Path, tmp_path: Path) -> None:
    before = table.read_text()

    swaps.change(tmp_path, DEFAULT, "split", PIN, "swap", "passed")

    assert changed(before, table.read_text()) == [
        ('image  = "microstage/preprocess:1.0.0"', f'image  = "{PIN}"')
    ]
    assert image("split") == PIN
    assert image("preprocess") == "microstage/preprocess:1.0.0"


def test_rows_that_are_like_it_are_swapped_with_it(table: Path, tmp_path: Path) -> None:
    swaps.change(tmp_path, DEFAULT, "predict", PIN, "swap")

    assert [PIN, PIN, PIN] == [image(stage) for stage in ("predict", "validate", "compare")]


@pytest.mark.parametrize("stage", ["transform", "validate", "compare", "promote", "standby"])
def test_a_row_that_is_like_another_is_refused_and_that_one_named(
    table: Path, tmp_path: Path, stage: str
) -> None:
    before, owner = table.read_text(), load_pipeline().row(stage).like
    done = swap_stage(tmp_path, stage, "microstage/mine:1")

    assert 64 == done.returncode
    assert f"{stage} has the image of {owner}: swap {owner}" in done.stderr
    assert f"into [stages.{stage}] of stages.toml" in done.stderr
    assert before == table.read_text()


def test_a_row_with_an_image_of_its_own_is_swapped_alone(table: Path, tmp_path: Path) -> None:
    text = table.read_text()
    own = '[stages.transform]\nimage = "microstage/other:1"\n'
    table.write_text(text.replace("[stages.transform]\n", own))

    assert swaps.swappable(DEFAULT, "transform").image == "microstage/other:1"
    swaps.change(tmp_path, DEFAULT, "transform", PIN, "swap")
    assert (image("transform"), image("preprocess")) == (PIN, "microstage/preprocess:1.0.0")


def test_in_a_pipelines_file_its_own_line_changes(table: Path, tmp_path: Path) -> None:
    before, file = table.read_text(), table.parent / "pipelines/flights.toml"

    swaps.change(tmp_path, "flights", "generate", PIN, "swap")

    assert before == table.read_text()
    assert changed(FLIGHTS, file.read_text()) == [
        ('image = "microstage/replay:1.0.0" # real ones', f'image = "{PIN}" # real ones')
    ]


def test_a_row_that_the_pipelines_file_does_not_name_gets_a_line_and_a_rollback_takes_it_out(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = table.parent / "pipelines/flights.toml"

    line = swaps.change(tmp_path, "flights", "train", PIN, "swap")
    swapped = image("train", "flights")
    swaps.change(tmp_path, "flights", "train", line, "rollback")

    assert ("", PIN) == (line, swapped)
    assert image("train") == image("train", "flights") == "microstage/train:1.0.0"
    assert FLIGHTS.strip() == file.read_text().strip()


def test_a_change_is_recorded_with_when_from_to_and_check(table: Path, tmp_path: Path) -> None:
    swaps.change(tmp_path, DEFAULT, "train", PIN, "swap", "passed in 9 s")

    (entry,) = swaps.history(tmp_path, "train")
    assert entry.pop("when").startswith("20")
    assert entry == {
        "action": "swap",
        "stage": "train",
        "from": "microstage/train:1.0.0",
        "to": PIN,
        "line": "microstage/train:1.0.0",
        "check": "passed in 9 s",
    }


def test_rollbacks_undo_swaps_one_after_the_other(table: Path, tmp_path: Path) -> None:
    swaps.change(tmp_path, DEFAULT, "train", "one", "swap")
    swaps.change(tmp_path, DEFAULT, "train", "two", "swap")

    seen = [image("train")]
    for _ in range(2):
        swaps.change(
            tmp_path, DEFAULT, "train", swaps.before(tmp_path, "train")["line"], "rollback"
        )
        seen.append(image("train"))

    assert seen == ["two", "one", "microstage/train:1.0.0"]
    with pytest.raises(StageError, match="no swap of train to undo"):
        swaps.before(tmp_path, "train")


def test_a_vanished_image_is_not_rolled_back_to(table: Path, tmp_path: Path) -> None:
    swaps.change(tmp_path, DEFAULT, "train", "microstage/vanished:1", "swap")
    swaps.change(tmp_path, DEFAULT, "train", "two", "swap")
    before = table.read_text()
    done = swap_stage(tmp_path, "train", "--rollback")

    assert 66 == done.returncode
    assert "microstage/vanished:1 is not on this machine" in done.stderr
    assert before == table.read_text()


def test_a_table_without_such_a_line_is_left_alone(table: Path, tmp_path: Path) -> None:
    text = table.read_text().replace('image  = "microstage/train:1.0.0"', "image = '''a\n'''")
    table.write_text(text)

    with pytest.raises(StageError):
        swaps.change(tmp_path, DEFAULT, "train", PIN, "swap")

    assert text == table.read_text()
    assert [] == [json.loads(x) for x in (tmp_path / "swaps.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train"], 64, "say one of"),
        (["nothing", "microstage/mine:1"], 64, "has no stage 'nothing'"),
        (["train", "microstage/none:1"], 66, "microstage/none:1 is not on this machine"),
        (["train", "x", "--pipeline", "nowhere"], 64, "There is no pipelines/nowhere.toml"),
        (["train", "--rollback"], 66, "no swap of train to undo"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    table: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = swap_stage(tmp_path, *arguments)

    assert code == done.returncode
    assert words in done.stderr.splitlines()[-1]
