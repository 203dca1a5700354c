"""The file of a release's digests, and what is said of how it was made; without Docker."""

from pathlib import Path
from typing import Any

import pytest

from support import release
from support.release import provenance, read_lock, take, version, write_lock

from microstage.errors import StageError

COMMIT, OTHER = ("d" * 40, "e" * 40)
ONE, TWO = (f"sha256:{letter * 64}" for letter in "ab")
WORKFLOW = {
    "GITHUB_SERVER_URL": "https://forge.example.org",
    "GITHUB_REPOSITORY": "team/microstage",
    "GITHUB_WORKFLOW_REF": "team/microstage/.github/workflows/release.yml@refs/tags/v1.0.0",
    "GITHUB_REF": "refs/tags/v1.0.0",
    "GITHUB_SHA": "c" * 40,
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_lock(tmp_path / "images.lock", {"train": TWO, "split_lua": ONE})

    assert {"split_lua": (version(), ONE), "train": (version(), TWO)} == read_lock(
        tmp_path / "images.lock"
    )


@pytest.mark.parametrize(
    "line", ["train:1.0.0", f"train@{ONE}", f"train:1.0.0@{ONE[:-1]}", f"train:1.0.0 @{ONE}"]
)
def test_a_line_that_names_no_digest_is_refused(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "images.lock"
    lock.write_text(f"# Images\n{line}\n")

    with pytest.raises(StageError, match="which is no NAME:VERSION@DIGEST") as refused:
        read_lock(lock)

    assert 66 == refused.value.code


def test_a_file_that_is_not_there_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="it is attached to each release"):
        read_lock(tmp_path / "images.lock")


def test_how_it_was_made_names_the_commit_the_workflow_and_the_run() -> None:
    said = provenance(WORKFLOW)
    url = "https://forge.example.org/team/microstage"

    [source] = said["buildDefinition"]["resolvedDependencies"]
    assert {
        "uri": f"git+{url}@refs/tags/v1.0.0",
        "digest": {"gitCommit": "c" * 40},
    } == source
    assert {
        "ref": "refs/tags/v1.0.0",
        "repository": url,
        "path": ".github/workflows/release.yml",
    } == said["buildDefinition"]["externalParameters"]["workflow"]
    assert f"{url}/actions/runs/7/attempts/1" == said["runDetails"]["metadata"]["invocationId"]


def test_outside_of_a_workflow_nothing_is_said() -> None:
    with pytest.raises(StageError, match="has no GITHUB_SERVER_URL"):
        provenance({})


# --- taking one


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the engine knows of an image that it has pulled."""
    labels = {release.TITLE: "train", release.REVISION: COMMIT}
    found = {"Id": TWO, "Size": 7, "Os": "linux", "Architecture": "amd64"}
    image: dict[str, Any] = {**found, "Config": {"Labels": labels}}
    monkeypatch.setattr(release, "pull", lambda *_: None)
    monkeypatch.setattr(release, "look", lambda _: image)
    monkeypatch.setattr(release, "run", lambda *_, **__: "linux/amd64\n")
    return image


@pytest.mark.parametrize("commit", [COMMIT, ""])
@pytest.mark.usefixtures("released")
def test_what_fits_is_taken_also_where_nobody_knows_the_commit(commit: str) -> None:
    taken = take("registry.example.org", {"train": (version(), ONE)}, "train", commit)

    assert (TWO, 7, f"registry.example.org/microstage/train@{ONE}") == taken


@pytest.mark.parametrize(
    ("change", "commit", "told"),
    [
        ({}, OTHER, f"is of the commit {COMMIT}, and here it is {OTHER}."),
        ({}, f"{COMMIT}-dirty", f"is of the commit {COMMIT}, and here it is {COMMIT}-dirty."),
        ({"Architecture": "arm64"}, COMMIT, "is for linux/arm64, and here it is linux/amd64."),
        ({"Config": {"Labels": None}}, "", "is an image of none, and here it is train."),
        (
            {"Config": {"Labels": {release.TITLE: "train"}}},
            COMMIT,
            f"is of the commit none, and here it is {COMMIT}.",
        ),
    ],
)
def test_what_is_not_of_what_is_here_is_not_taken(
    released: dict[str, Any], change: dict[str, Any], commit: str, told: str
) -> None:
    released.update(change)
    with pytest.raises(StageError) as refused:
        take("registry.example.org", {"train": (version(), ONE)}, "train", commit)

    assert str(refused.value).endswith(told)
