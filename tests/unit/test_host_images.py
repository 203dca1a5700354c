"""Worker hosts say which images they have, and a swap looks there; without Docker."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from unit_harness import another_user, folder_for_all, names

from support import host_images
from support.host_images import check_hosts, tell, writing

from microstage.errors import StageError
from microstage.images import Image

Has = Callable[..., None]
OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")
PIN = f"mine:1@{NEW}"


@pytest.fixture
def has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Has:
    """Let a host have these images, and say so."""

    def has(name: str, *images: str, queues: str = "workers") -> None:
        there = [Image(each, "", frozenset(), {}) for each in images]
        monkeypatch.setattr(host_images, "docker", lambda *_: "")
        monkeypatch.setattr(host_images, "all_of", lambda *_: there)
        tell(tmp_path, name, queues.split(","))

    return has


def test_a_swap_tells_which_hosts_of_the_queue_have_the_image(tmp_path: Path, has: Has) -> None:
    has("one", OLD, NEW)
    has("two", NEW, NEW, queues="gpu,workers")
    has("three", OLD, queues="elsewhere")

    assert ["one, of the queue workers, has it", "two, of the queue workers, has it"] == list(
        check_hosts(tmp_path, ["workers"], PIN)
    )


def test_one_that_has_it_not_is_named_with_what_to_do(tmp_path: Path, has: Has) -> None:
    has("one", NEW)
    has("two", OLD)
    with pytest.raises(StageError) as refused:
        list(check_hosts(tmp_path, ["workers"], PIN))

    assert 66 == refused.value.code
    told = str(refused.value)
    assert told.startswith(f"two, a host of the queue workers, has no mine:1 of the id {12 * 'b'}")
    assert "scripts/pull_images REGISTRY mine:1" in told
    assert str(tmp_path / ".hosts/two.json") in told


def test_what_a_host_says_takes_the_place_of_what_it_said_before(tmp_path: Path, has: Has) -> None:
    has("one", OLD)
    has("one", NEW)

    assert ["one.json"] == names(tmp_path / ".hosts")
    assert [NEW] == json.loads((tmp_path / ".hosts/one.json").read_text())["images"]


def test_a_queue_of_no_host_is_told_and_none_is_no_matter(tmp_path: Path) -> None:
    assert ["No host of the queue gpu has said which images it has"] == list(
        check_hosts(tmp_path, ["gpu"], PIN)
    )
    assert [] == list(check_hosts(tmp_path, [], PIN))


def test_what_was_not_written_so_is_refused(tmp_path: Path, has: Has) -> None:
    has("one", NEW)
    (tmp_path / ".hosts/one.json").write_text("[")

    with pytest.raises(StageError, match=r"one\.json is not as it was written: scripts"):
        list(check_hosts(tmp_path, ["workers"], PIN))


def test_a_share_that_takes_root_for_nobody_is_written_to_as_who_tasks_run_as(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with folder_for_all() as folder:
        with another_user() as uid:
            gid = os.getegid()
        os.chown(folder, uid, gid)
        monkeypatch.setattr(os, "access", lambda *_: False)
        with writing(folder, uid, gid):
            (folder / "file").touch()

        assert uid == (folder / "file").stat().st_uid
        assert os.geteuid() == os.getuid()
