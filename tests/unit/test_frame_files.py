"""What stages find and leave beside tables: days and JSON."""

import hashlib
import os
from pathlib import Path

import pytest
from stageframe import StageError, digest, find_days, read_json, shown, write_json
from stageframe.files import require_files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of what a stage reads."""
    monkeypatch.setattr("stageframe.files.IN", tmp_path)
    return tmp_path


def test_days_come_in_the_order_of_time_and_files_are_passed_over(root: Path) -> None:
    for day in ("2013-01-10", "2012-12-31", "2013-01-09"):
        (root / "raw" / day).mkdir(parents=True)
    (root / "raw" / "notes.txt").write_text("")

    assert ["2012-12-31", "2013-01-09", "2013-01-10"] == [day.name for day in find_days("raw")]


@pytest.mark.parametrize("name", ["2013-1-6", "latest", "2013-01-06 ", "२०१३-०१-०६"])
def test_a_folder_of_another_name_is_no_day(root: Path, name: str) -> None:
    (root / "raw" / name).mkdir(parents=True)

    with pytest.raises(StageError, match=f"^raw/{name} is no day: name it like 2013-01-31$"):
        find_days("raw")


def test_no_days_are_no_fault_of_the_frame(root: Path) -> None:
    (root / "raw").mkdir()

    assert [] == find_days("raw")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"a": NaN, "b": 1}', "is not JSON (NaN is no number)"),
        ('{"a": -Infinity, "b": 1}', "is not JSON (-Infinity is no number)"),
        ("[]", "is no object with a, b"),
        ('{"a": 1}', "is no object with a, b"),
        ('{"a": 1, "b": 2}', "is not version 1 with a, b"),
        ('{"a": 1, "b": 2, "version": 2}', "is not version 1 with a, b"),
        (b'{"a": "\xff", "b": 2}', "is not JSON"),
        ("[" * 100_000, "is not JSON of the contract (it is nested too deeply)"),
        ('{"a": ' * 50_000, "is not JSON of the contract (it is nested too deeply)"),
    ],
)
def test_what_is_not_the_object_that_is_wanted_is_refused(
    root: Path, text: str | bytes, says: str
) -> None:
    path = root / "model.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(StageError) as caught:
        read_json(path, "a", "b", version=1)
    assert 65 == caught.value.code
    assert str(caught.value).startswith(f"model.json {says}")
    assert str(caught.value).endswith(": write it again")


def test_an_object_may_have_more_than_is_asked_for(root: Path) -> None:
    path = root / "model.json"
    path.write_text('{"version": 1, "a": {"b": [1, 2.5]}, "more": null}')

    assert {"b": [1, 2.5]} == read_json(path, "a", version=1)["a"]
    assert 3 == len(read_json(path))


def test_json_is_the_same_bytes_for_the_same_value(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"größe": 1.5, "a": [1]})

    expected = '{\n  "größe": 1.5,\n  "a": [\n    1\n  ]\n}\n'
    assert expected.encode() == (tmp_path / "x.json").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_is_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"auc": value})
    assert not (tmp_path / "x.json").exists()


def test_a_pipe_or_a_device_among_the_inputs_is_refused_before_it_is_read(root: Path) -> None:
    (root / "raw/2013-01-06").mkdir(parents=True)
    (root / "model").mkdir()
    (root / "model/nowhere.json").symlink_to("/nowhere")  # who reads it says so
    require_files()
    for odd in (root / "model/pipe", root / "raw/2013-01-06/data.csv"):
        os.mkfifo(odd)
        with pytest.raises(StageError, match=f"^{shown(odd)} is no file: put one in its place"):
            require_files()
        odd.unlink()
    (root / "model/zero").symlink_to("/dev/zero")

    with pytest.raises(StageError, match=r"^model/zero is no file"):
        require_files()


def test_a_digest_is_that_of_manifests(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"some bytes" * 100_000)

    assert hashlib.sha256(b"some bytes" * 100_000).hexdigest() == digest(tmp_path / "x")


def test_paths_are_shown_below_their_root(root: Path) -> None:
    assert "raw/data.csv" == shown(root / "raw" / "data.csv")
    assert "/elsewhere/data.csv" == shown("/elsewhere/data.csv")
