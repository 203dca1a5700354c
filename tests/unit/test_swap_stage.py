"""What swap_stage does to the table and how it remembers, without Docker."""

import json
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from stage_table import StageError, load_table

ROOT = Path(__file__).resolve().parents[2]
PIN = f"microstage/mine:1@sha256:{64 * 'a'}"


@pytest.fixture
def swap_stage() -> ModuleType:
    loader = SourceFileLoader("swap_stage", str(ROOT / "scripts/swap_stage"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stages.toml"
    path.write_bytes((ROOT / "dags/stages.toml").read_bytes())
    monkeypatch.setenv("MICROSTAGE_STAGES", str(path))
    return path


def test_one_line_of_the_table_changes_and_no_other(
    swap_stage: ModuleType, table: Path, tmp_path: Path
) -> None:
    before = table.read_text().splitlines()

    swap_stage.change(tmp_path, "split", PIN, "swap", "passed")

    changed = [
        (old, new)
        for old, new in zip(before, table.read_text().splitlines(), strict=True)
        if old != new
    ]
    assert changed == [('image  = "microstage/preprocess:1.0.0"', f'image  = "{PIN}"')]
    assert load_table(table)["split"].image == PIN
    assert load_table(table)["preprocess"].image == "microstage/preprocess:1.0.0"


def test_a_change_is_recorded_with_when_from_to_and_check(
    swap_stage: ModuleType, table: Path, tmp_path: Path
) -> None:
    swap_stage.change(tmp_path, "train", PIN, "swap", "passed in 9 s")

    (entry,) = swap_stage.history(tmp_path, "train")
    assert entry.pop("when").startswith("20")
    assert entry == {
        "action": "swap",
        "stage": "train",
        "from": "microstage/train:1.0.0",
        "to": PIN,
        "check": "passed in 9 s",
    }


def test_rollbacks_undo_swaps_one_after_the_other(
    swap_stage: ModuleType, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap_stage, "pinned", lambda image: image)  # every image is there
    swap_stage.change(tmp_path, "train", "one", "swap", "")
    swap_stage.change(tmp_path, "train", "two", "swap", "")
    rollback = ["train", "--rollback", "--data", str(tmp_path)]

    seen = [load_table(table)["train"].image]
    for _ in range(2):
        assert swap_stage.main(rollback) == 0
        seen.append(load_table(table)["train"].image)

    assert seen == ["two", "one", "microstage/train:1.0.0"]
    assert swap_stage.main(rollback) == 66


def test_a_vanished_image_is_not_rolled_back_to(
    swap_stage: ModuleType, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap_stage.change(tmp_path, "train", "two", "swap", "")
    before = table.read_text()
    monkeypatch.setattr(swap_stage, "docker", lambda *_: "")  # an engine that has no image

    assert swap_stage.main(["train", "--rollback", "--data", str(tmp_path)]) == 66
    assert before == table.read_text()


def test_a_table_without_such_a_line_is_left_alone(
    swap_stage: ModuleType, table: Path, tmp_path: Path
) -> None:
    text = table.read_text().replace('image  = "microstage/train:1.0.0"', "image = '''a\n'''")
    table.write_text(text)

    with pytest.raises(StageError, match="no line image"):
        swap_stage.change(tmp_path, "train", PIN, "swap", "")

    assert text == table.read_text()
    assert [] == [json.loads(x) for x in (tmp_path / "swaps.jsonl").read_text().splitlines()]
