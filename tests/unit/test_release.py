"""The file of a release's digests, and what is said of how it was made; without Docker."""

from pathlib import Path

import pytest

from support.release import provenance, read_lock, version, write_lock

from microstage.errors import StageError

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
