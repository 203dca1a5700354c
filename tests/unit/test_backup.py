"""A backup's file: of each directory one publication, whole or refused, put back as it was."""

import gzip
import io
import json
import os
import stat
import tarfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from unit_harness import SPLIT, RunJob, names, stage

from support.archive import INDEX, Writer, members, read_index
from support.backups import whole
from support.command import UNAVAILABLE
from support.put_back import Owners, extract, put_in_place
from support.restores import merged
from support.services import docker
from support.snapshot import copy

from microstage.alone import alone
from microstage.data_folder import DataFolder
from microstage.errors import BAD_DATA, TRY_AGAIN, USAGE, StageError

SAME = Owners(1, 1, os.getuid(), os.getgid())


def backed_up(folder: Path) -> tuple[bytes, list[str]]:
    """Return an archive of a folder, and what was noted."""
    sink, notes = io.BytesIO(), list[str]()
    archive = Writer(sink)
    copy(archive, folder, "data", notes)
    archive.close({"made": "today"})
    return sink.getvalue(), notes


def contents(archive: bytes) -> dict[str, bytes]:
    """Return what is in the files of an archive, which is whole."""
    read_index(io.BytesIO(archive))
    files = members(io.BytesIO(archive))
    return {member.name: content.read() for member, content in files if member.isreg()}


def put_back(archive: bytes, folder: Path, owners: Owners = SAME) -> None:
    inside = (each for each in members(io.BytesIO(archive)) if each[0].name != INDEX)
    extract(inside, folder, owners)


@pytest.mark.usefixtures("either_file_system")
def test_what_is_replaced_while_it_is_copied_is_never_a_mix(run: RunJob, data: DataFolder) -> None:
    """The model's directory and the split in it are published over and over; so is each file."""
    target, ended, published = "models/2013-01-06", threading.Event(), 0

    def publish(text: str) -> None:
        run(stage(model=text, a=text, z=text), target=target, force=True)
        inner = f"{target}/split"
        run(stage(model=text, a=text, z=text), target=inner, row=SPLIT, force=True)

    def go_on() -> None:
        nonlocal published
        while not ended.is_set():
            publish(f"{published + 1} " * 20_000)
            published += 1

    publish("0 ")
    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        copies: list[tuple[bytes, list[str]]] = []
        while len(copies) < 30 or (published < 5 and writer.is_alive()):
            copies.append(backed_up(data.root))
    finally:
        ended.set()
        writer.join()

    seen = set()
    for archive, notes in copies:
        files = contents(archive)
        model = {files[f"data/{target}/{name}"] for name in ("model.txt", "a", "z")}
        assert (1, []) == (len(model), notes)
        split = {
            content for name, content in files.items() if name.startswith(f"data/{target}/split/")
        }
        assert len(split) in (0, 3)  # a text, the summary, the manifest
        assert not [name for name in files if ".staging" in name]
        seen |= model
    assert len(seen) > 1, "it was not replaced while it was copied"


def test_what_is_not_as_it_was_published_is_copied_and_named(run: RunJob, data: DataFolder) -> None:
    run(stage(a="a", b="b"))
    (data.root / "models/day/a").write_text("by hand")
    (data.root / "models/day/b").unlink()
    archive, notes = backed_up(data.root)

    assert b"by hand" == contents(archive)["data/models/day/a"]
    assert [
        "data/models/day/a is not what was published there",
        "data/models/day/b was published there, and is gone",
    ] == notes


def test_a_file_that_is_written_to_while_it_is_copied_is_named(data: DataFolder) -> None:
    path = data.root / "raw/data.csv"
    path.write_bytes(os.urandom(2**20))

    class Sink(io.BytesIO):
        """Whoever uploads the file goes on as soon as a part of it is copied."""

        def write(self, block: object) -> int:
            if self.tell() > 1000:
                path.write_bytes(b"short")
            return super().write(block)  # type: ignore[arg-type]

    notes: list[str] = []
    archive = Writer(Sink())
    copy(archive, data.root, "data", notes)

    assert ["data/raw/data.csv was written to while it was copied"] == notes


def test_files_get_their_modes_times_and_links_back(data: DataFolder, tmp_path: Path) -> None:
    raw = data.root / "raw"
    (raw / "data.csv").chmod(0o4640)
    (raw / "link").symlink_to("data.csv")
    (raw / "closed").mkdir()
    (raw / "closed/file").write_text("inside")
    (raw / "closed").chmod(0o2550)
    os.utime(raw, (1e9, 1e9))
    archive, notes = backed_up(raw)
    put_back(archive, tmp_path / "back")
    back = tmp_path / "back"

    assert [] == notes
    assert (["closed", "data.csv", "link"], 1e9) == (names(back), back.stat().st_mtime)
    # Nothing is run from there as another user than who runs it.
    assert 0o640 == stat.S_IMODE((back / "data.csv").stat().st_mode)
    assert 0o2550 == stat.S_IMODE((back / "closed").stat().st_mode)
    assert ("data.csv", "inside") == (
        str((back / "link").readlink()),
        (back / "closed/file").read_text(),
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files away")
def test_what_was_the_installations_users_is_this_ones_and_the_rest_stays_whose_it_was(
    data: DataFolder, tmp_path: Path
) -> None:
    (data.root / "raw/other").touch()
    os.chown(data.root / "raw/data.csv", 4711, 4712)
    os.chown(data.root / "raw/other", 1234, 1235)
    put_back(backed_up(data.root / "raw")[0], tmp_path / "back", Owners(4711, 4712, 8, 9))
    found = [(tmp_path / "back" / name).stat() for name in ("data.csv", "other")]

    assert [(8, 9), (1234, 1235)] == [(each.st_uid, each.st_gid) for each in found]


def test_what_is_put_in_place_takes_the_place_of_all_that_is_there(tmp_path: Path) -> None:
    root, new = tmp_path / "data", tmp_path / "data/.restoring"
    (new / "raw").mkdir(parents=True)
    (root / "raw/old").mkdir(parents=True)
    (root / "models").mkdir()
    new.chmod(0o750)
    put_in_place(new, root)

    assert (["raw"], []) == (names(root), names(root / "raw"))
    assert 0o750 == stat.S_IMODE(root.stat().st_mode)


def changed(archive: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return gzip.compress(change(gzip.decompress(archive)), 1)


def test_a_backup_that_is_not_whole_is_refused_wherever_it_breaks(data: DataFolder) -> None:
    (data.root / "raw/data.csv").write_bytes(os.urandom(50_000))
    good, _ = backed_up(data.root)
    tar = gzip.decompress(good)
    place = tar.index((data.root / "raw/data.csv").read_bytes()) + 100
    broken = {
        "cut": good[: len(good) // 2],
        "without its end": good[:-100],
        "cut at a member": gzip.compress(tar[: place - 100 - 512] + bytes(1024)),
        "a bit": changed(good, lambda t: t[:place] + bytes([t[place] ^ 1]) + t[place + 1 :]),
        "another mode": changed(good, lambda t: t.replace(b'"mode": 420', b'"mode": 511', 1)),
        "no backup": b"something else",
        "empty": b"",
        "of a later version": changed(good, lambda t: t.replace(b'"format": 1', b'"format": 2', 1)),
    }

    read_index(io.BytesIO(good))
    for what, archive in broken.items():
        with pytest.raises(StageError, match=r"[Bb]ackup") as refused:
            read_index(io.BytesIO(archive))
        assert BAD_DATA == refused.value.code, what


@pytest.mark.parametrize(
    ("name", "kind"),
    [("../out", b"0"), ("/out", b"0"), ("data/../../out", b"5"), ("data/fifo", b"6")],
)
def test_a_backup_that_leads_out_of_its_folder_is_refused(name: str, kind: bytes) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        archive.addfile(member)

    with pytest.raises(StageError, match="The backup has"):
        list(members(io.BytesIO(sink.getvalue())))


def test_no_file_is_written_through_a_link_of_a_backup(tmp_path: Path) -> None:
    sink = io.BytesIO()
    archive = Writer(sink)
    for name, kind in (("data", b"5"), ("data/out", b"2")):
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.mode = kind, str(tmp_path), 0o755
        archive.add(member)
    archive.add_bytes("data/out/file", b"outside")
    archive.close({})

    with suppress(OSError):
        put_back(sink.getvalue(), tmp_path / "back")
    assert not (tmp_path / "file").exists()


def test_an_interrupted_backup_leaves_nothing_and_none_takes_the_place_of_another(
    tmp_path: Path,
) -> None:
    target = tmp_path / "backup"

    def interrupted() -> None:
        with whole(target) as sink:
            sink.write(b"half")
            assert not target.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    left = names(tmp_path)
    with whole(target) as sink:
        sink.write(b"all")
    with pytest.raises(StageError, match="is there already") as refused, whole(target):
        pass

    assert [] == left
    assert (b"all", 0o600) == (target.read_bytes(), stat.S_IMODE(target.stat().st_mode))
    assert USAGE == refused.value.code


def test_without_docker_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StageError, match="There is no docker command") as refused:
        docker("version")
    assert UNAVAILABLE == refused.value.code


def test_the_data_folder_is_copied_or_cleared_by_one_at_a_time(data: DataFolder) -> None:
    with alone(data), pytest.raises(StageError) as refused, alone(data):
        pass
    with alone(data):
        pass

    assert TRY_AGAIN == refused.value.code


def test_secrets_come_from_the_backup_and_the_place_from_here() -> None:
    backup = "# why\nCOMPOSE_PROJECT_NAME=old\nKEY=a=b\nAIRFLOW_PORT=1\nexport MAIL_PORT=2\n"
    here = {"COMPOSE_PROJECT_NAME": "new", "KEY": "c", "MAIL_PORT": "3", "NEW_PORT": "4"}

    assert (
        "# why\nCOMPOSE_PROJECT_NAME=new\nKEY=a=b\nAIRFLOW_PORT=1\nMAIL_PORT=3\nNEW_PORT=4\n"
        == merged(backup, here)
    )


def test_the_index_says_of_every_member_what_it_is(data: DataFolder) -> None:
    archive, _ = backed_up(data.root)
    index = json.loads(contents(archive)[INDEX])

    assert {"data", "data/raw", "data/raw/data.csv"} == set(index["members"])
    assert 4 == index["members"]["data/raw/data.csv"]["size"]
