"""The data folder: paths stay in it, and each pipeline has a part of its own."""

import os
from pathlib import Path
from typing import Any

import pytest
from unit_harness import another_user, folder_for_all

from microstage.data_folder import DataFolder, digest, published_files, read_manifest
from microstage.errors import StageError


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/etc", "raw/../../x", "", ".", "raw/..", "a\0b", ".staging/x", "out", "out/x"),
        *("loop", "loop/x", "raw//x", "./raw", ".tables", "a\nb", "a\tb", "\u202eraw", "\ud800"),
        *("a" * 256, "a/" * 2000 + "a", None, 3, ["raw"]),
    ],
)
def test_a_path_that_leaves_the_data_folder_is_refused(data: DataFolder, path: Any) -> None:
    (data.root / "out").symlink_to("/etc")
    (data.root / "loop").symlink_to("loop")

    with pytest.raises(StageError, match="not a path below the data folder") as refused:
        data.path(path)

    assert 64 == refused.value.code
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "path", ["raw/2013-01-06/", "my data", "it's", 'a"b', "été/a, b\xa0", "-x"]
)
def test_a_path_of_any_words_is_one(data: DataFolder, path: str) -> None:
    assert data.root / path.rstrip("/") == data.path(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", "[" * 100_000, "\xff", None])
def test_a_manifest_that_is_none_says_nothing(data: DataFolder, text: str | None) -> None:
    manifest = data.root / "raw" / "manifest.json"
    if text is None:
        manifest.mkdir()
    else:
        manifest.write_text(text, "latin-1")

    assert {} == read_manifest(data.root / "raw")


def test_the_host_sees_the_same_paths_below_its_own_root(tmp_path: Path) -> None:
    data = DataFolder.at(tmp_path, "/srv/microstage")

    assert Path("/srv/microstage/raw/day") == data.host_path(data.path("raw/day"))


def test_a_missing_data_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="MICROSTAGE_DATA"):
        DataFolder.at(tmp_path / "none")


def test_a_data_folder_that_is_closed_says_to_whom_and_whose_it_is() -> None:
    with folder_for_all() as folder:
        closed = folder / "mine"
        (closed / "data").mkdir(parents=True)
        closed.chmod(0)
        owner = closed.stat().st_uid
        with another_user() as uid, pytest.raises(StageError) as refused:
            DataFolder.at(closed / "data")
        closed.chmod(0o700)

    assert 66 == refused.value.code
    assert f"{closed} belongs to uid {owner}, mode 0000; let uid {uid} enter it" in str(
        refused.value
    )


# --- a pipeline's part of it


def test_a_pipeline_has_the_directory_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_DATA", str(tmp_path))
    monkeypatch.setenv("MICROSTAGE_HOST_DATA", "/srv/microstage")
    whole, flights = DataFolder.from_environment(), DataFolder.from_environment("flights")

    assert (tmp_path, tmp_path / "flights") == (whole.root, flights.root)
    assert Path("/srv/microstage/flights/raw/day") == flights.host_path(flights.path("raw/day"))
    assert not flights.root.exists()  # until something is published there


def test_a_pipeline_does_not_reach_out_of_its_directory(data: DataFolder) -> None:
    (data.root / "flights").mkdir()
    (data.root / "flights/out").symlink_to(data.root / "raw")

    for path in ("../raw", "out"):
        with pytest.raises(StageError, match="not a path below the data folder"):
            data.below("flights").path(path)


def test_the_directory_of_a_pipeline_is_no_link(data: DataFolder, tmp_path: Path) -> None:
    (data.root / "flights").symlink_to(tmp_path)

    with pytest.raises(StageError, match="flights is a link; put the pipeline's directory itself"):
        data.below("flights")


def test_what_is_made_belongs_to_whom_the_data_folder_belongs_to(data: DataFolder) -> None:
    flights = data.below("flights")
    flights.make(flights.root / "raw/day")
    made = (data.root / "flights/raw/day").stat()

    assert data.owner == flights.owner == (made.st_uid, made.st_gid)


# --- files


def test_the_files_of_a_directory_are_those_of_no_directory_published_in_it(
    data: DataFolder,
) -> None:
    for file in ("manifest.json", "model.txt", "deep/x", "validation/manifest.json"):
        (data.root / "models" / file).parent.mkdir(parents=True, exist_ok=True)
        (data.root / "models" / file).write_text("1")

    assert ["deep/x", "model.txt"] == list(published_files(data.root / "models"))


@pytest.mark.parametrize("name", ["a\nb", "\udcff", "\u202ea"])
def test_a_file_has_a_name_that_can_be_written_down(data: DataFolder, name: str) -> None:
    (data.root / "raw" / name).touch()

    with pytest.raises(StageError, match="is no name for a file; give it another") as refused:
        list(published_files(data.root / "raw"))
    assert (65, True) == (refused.value.code, str(refused.value).isprintable())


@pytest.mark.parametrize("kind", ["link", "pipe", "link to itself"])
def test_a_file_is_a_file(data: DataFolder, kind: str) -> None:
    odd = data.root / "raw" / "odd.csv"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("odd.csv" if kind == "link to itself" else "/etc/passwd")

    with pytest.raises(StageError, match=r"raw/odd\.csv is a link or a special file; put the"):
        list(published_files(data.root / "raw"))


def test_a_digest_tells_content_and_size(data: DataFolder) -> None:
    (data.root / "empty").touch()
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    assert {"sha256": sha256, "size": 0} == digest(data.root / "empty")
