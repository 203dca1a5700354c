"""An output directory is put in its place as a whole, checked, or not at all."""

import errno
import json
import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from unit_harness import (
    PIPELINE,
    RunJob,
    another_user,
    cannot_exchange,
    fail,
    folder_for_all,
    names,
    stage,
)

from microstage import publishing, replacing
from microstage.contract import Run
from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.exits import Exit
from microstage.jobs import Job


@pytest.mark.usefixtures("either_file_system")
def test_a_directory_is_replaced_as_a_whole_with_what_was_published_inside_it(
    run: RunJob, data: DataFolder
) -> None:
    run(stage(extra="old"))
    run(stage(), target="models/day/validation")
    run(stage(model="new"), params={"seed": 2})

    assert ["manifest.json", "model.txt", "summary.json"] == names(data.root / "models/day")
    assert "new" == (data.root / "models/day/model.txt").read_text()


@pytest.mark.usefixtures("either_file_system")
def test_a_directory_is_replaced_in_one_step_under_a_reader(run: RunJob, data: DataFolder) -> None:
    run(stage())
    target = data.root / "models/day"
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add((target / "model.txt").read_text())
            except FileNotFoundError:
                seen.add("missing")

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(200):
        run(stage(model="a model" if turn % 2 else "new"), force=True)
    done.set()
    reader.join()

    assert {"a model", "new"} == seen


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_swap_is_published_to_all_the_same(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    cannot_exchange(monkeypatch, number)
    run(stage())
    run(stage(model="new"), params={"seed": 2})

    assert "new" == (data.root / "models/day/model.txt").read_text()
    assert [] == names(data.root / ".staging")


@pytest.mark.parametrize("kept", [True, False])
def test_where_there_are_no_links_either_it_is_moved_aside_and_back_if_the_new_one_cannot_come(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    def no_links(*_: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    cannot_exchange(monkeypatch)
    monkeypatch.setattr(Path, "symlink_to", no_links)
    run(stage())
    if kept:
        run(stage(), target="other/day")  # finds out what the file system can
        moves = iter([None, OSError(errno.EIO, "no more"), None])  # it is full, out of it, back
        rename = Path.rename

        def fails_once(path: Path, target: Path) -> Path:
            if target == data.root / "models/day" and isinstance(error := next(moves), OSError):
                raise error
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", fails_once)
        with pytest.raises(StageError):
            run(stage(model="new"), params={"seed": 2})
    else:
        run(stage(model="new"), params={"seed": 2})

    assert ("a model" if kept else "new") == (data.root / "models/day/model.txt").read_text()
    assert not (data.root / "models/day").is_symlink()
    assert not (data.root / "models/.versions").exists()
    assert [] == names(data.root / ".staging")


def versions(data: DataFolder, folder: str = "models") -> dict[str, str]:
    """Return the version of each model in a folder of links."""
    found = (data.root / folder / ".versions").iterdir()
    return {path.name: (path / "model.txt").read_text() for path in found if path.is_dir()}


def test_a_name_is_a_link_where_nothing_can_be_exchanged_and_a_reader_goes_on_with_its_version(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_exchange(monkeypatch)
    run(stage())
    begun = data.path("models/day")  # as a task resolves what it has mounted
    run(stage(model="new"), params={"seed": 2})

    assert "a model" == (begun / "model.txt").read_text()
    assert {"a model", "new"} == set(versions(data).values())
    assert "new" == versions(data)[(data.root / "models/day").readlink().name]


def test_versions_that_were_replaced_go_after_an_hour_and_others_stay(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_exchange(monkeypatch)
    run(stage(model="moved away by a person"), target="models/moved")
    (data.root / "models/moved").rename(data.root / "moved")
    run(stage())
    run(stage(model="new"), params={"seed": 2})
    later = time.time() + replacing.KEPT_SECONDS + 60
    monkeypatch.setattr(time, "time", lambda: later)
    run(stage(), target="models/other")

    assert ["a model", "moved away by a person", "new"] == sorted(versions(data).values())
    assert ["models", "moved", "raw"] == [name for name in names(data.root) if name[0] != "."]


def test_what_was_published_before_there_were_links_is_replaced_by_one(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(stage())
    cannot_exchange(monkeypatch)
    run(stage(model="new"), params={"seed": 2})

    assert (data.root / "models/day").is_symlink()
    assert {"new"} == set(versions(data).values())
    assert [] == names(data.root / ".staging")


def test_a_copy_on_a_file_system_that_can_exchange_has_directories_again(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        cannot_exchange(elsewhere)
        run(stage())
        run(stage(), target="models/day/validation")
    run(stage(model="new"), params={"seed": 2})

    assert not (data.root / "models/day").is_symlink()
    assert ["manifest.json", "model.txt", "summary.json"] == names(data.root / "models/day")
    assert {} == versions(data)


def test_a_version_that_cannot_be_put_in_its_place_leaves_the_one_before(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def full(*_: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full_for_links(path: Path, target: Path) -> Path:
        return full() if path.is_symlink() else rename(path, target)

    run(stage())
    cannot_exchange(monkeypatch)
    run(stage(), target="other/day")  # finds out what the file system can
    for step, fails in (("symlink_to", full), ("rename", full_for_links)):
        with monkeypatch.context() as broken:
            broken.setattr(Path, step, fails)
            with pytest.raises(StageError, match="is full"):
                run(stage(model="new"), params={"seed": 2})

        assert "a model" == (data.root / "models/day/model.txt").read_text()
        assert {} == versions(data)
        assert [] == names(data.root / ".staging")


def test_a_try_that_died_between_two_renames_loses_nothing(run: RunJob, data: DataFolder) -> None:
    run(stage())
    key = Run("dag", "run", "train").key
    (data.root / "models/day").rename(data.root / ".staging" / f"{key}.abc.old")

    with pytest.raises(StageError):
        run(fail)

    assert "a model" == (data.root / "models/day/model.txt").read_text()


def test_what_a_try_had_half_removed_when_it_died_never_comes_back(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: Path, **_: object) -> None:
        (path / "model.txt").unlink()
        raise KeyboardInterrupt

    run(stage())
    with monkeypatch.context() as broken:
        cannot_exchange(broken)
        run(stage(), target="other/day")  # finds out what the file system can
        broken.setattr("shutil.rmtree", dies)
        with pytest.raises(KeyboardInterrupt):
            run(stage(model="new"), params={"seed": 2})
    (data.root / "models/day").rename(data.root / "models/taken-away")  # as by a person
    with pytest.raises(StageError):
        run(fail)

    assert "new" == (data.root / "models/taken-away/model.txt").read_text()
    assert not (data.root / "models/day").exists()


def test_a_retry_clears_what_earlier_tries_of_the_task_left_and_nothing_else(
    run: RunJob, data: DataFolder
) -> None:
    staging = data.root / ".staging"
    mine, other = (f"{Run('dag', 'run', task).key}.x" for task in ("train", "other"))
    for name in (mine, other):
        (staging / name).mkdir(parents=True)
        (staging / name / "half").write_text("half")
    run(stage())

    assert [other] == names(staging)


def test_jobs_that_end_meanwhile_are_no_obstacle(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = data.root / ".staging"
    staging.mkdir()
    seen = Path.iterdir
    gone = lambda path: [*seen(path), path / "gone"] if path == staging else seen(path)  # noqa: E731
    monkeypatch.setattr(Path, "iterdir", gone)
    run(stage())

    assert (data.root / "models/day/manifest.json").is_file()


def test_what_nobody_cleared_for_a_week_is_swept(run: RunJob, data: DataFolder) -> None:
    for name, age in (("old", 8), ("young", 6)):
        path = data.root / ".staging" / name
        path.mkdir(parents=True)
        then = path.stat().st_mtime - age * 86400
        os.utime(path, (then, then))
    run(stage())

    assert ["young"] == names(data.root / ".staging")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"model": ""}, "an empty model.txt"),
        ({"summary": ""}, "an empty summary.json"),
        ({"summary": "["}, "not valid JSON"),
        ({"summary": "[1]"}, "one flat JSON object"),
        ({"summary": '{"a": [1]}'}, "one flat JSON object"),
        ({"summary": '{"auc": NaN}'}, "NaN is not a JSON number"),
        ({"summary": '{"auc": 1e999}'}, "1e999 is not a JSON number"),
        ({"summary": "[" * 60_000}, "not valid JSON: its brackets are nested too deeply"),
        ({"summary": '{"why": "a\\u0000b"}'}, "holds what is no text"),
        ({"summary": '{"\\ud800": 1}'}, "holds what is no text"),
        ({"a\nb": "1"}, r"wrote 'a\\nb', which is no name"),
        ({"\udcff": "1"}, r"wrote '\\udcff', which is no name"),
        ({"summary": json.dumps({"a": "x" * 70000})}, "larger than 65536 bytes"),
        ({"manifest.json": "{}"}, "a name that the platform uses"),
    ],
)
def test_an_output_that_breaks_the_contract_is_refused(
    run: RunJob, data: DataFolder, files: dict[str, str], reason: str
) -> None:
    with pytest.raises(StageError, match=reason) as refused:
        run(stage(**files))

    assert refused.value.final
    assert not (data.root / "models").exists()


@pytest.mark.parametrize("kind", ["link", "directory link", "pipe"])
def test_what_is_neither_file_nor_directory_is_refused(
    run: RunJob, data: DataFolder, kind: str
) -> None:
    def special(job: Job, out: Path) -> Exit:
        stage()(job, out)
        (out / "deep").mkdir()
        if kind == "pipe":
            os.mkfifo(out / "deep" / "x")
        else:
            (out / "deep" / "x").symlink_to("/etc/passwd" if kind == "link" else "/etc")
        return Exit(0)

    with pytest.raises(StageError, match="/out/deep/x, a link or a special file"):
        run(special)


def test_a_published_file_is_readable_and_never_set_uid(run: RunJob, data: DataFolder) -> None:
    def odd(job: Job, out: Path) -> Exit:
        stage()(job, out)
        (out / "model.txt").chmod(0o4711)
        return Exit(0)

    run(odd)
    mode = (data.root / "models/day/model.txt").stat().st_mode

    assert 0o644 == stat.S_IMODE(mode)


@pytest.mark.parametrize(
    ("number", "sentence", "final"),
    [
        (errno.ENOSPC, "is full", False),
        (errno.EDQUOT, "is full", False),
        (errno.EACCES, "must be able to read and write", True),
        (errno.EIO, "Input/output error", False),
    ],
)
def test_trouble_with_the_disk_is_one_sentence(
    run: RunJob, number: int, sentence: str, final: bool
) -> None:
    def trouble(_: Job, __: Path) -> Exit:
        raise OSError(number, os.strerror(number), "/data/models")

    with pytest.raises(StageError, match=sentence) as failed:
        run(trouble)

    assert final == failed.value.final


@pytest.mark.parametrize("closed", ["raw/data.csv", "raw", "."])
def test_what_may_not_be_read_says_by_whom_and_whose_it_is(run: RunJob, closed: str) -> None:
    with folder_for_all() as folder:
        (folder / "raw").mkdir()
        (folder / "raw/data.csv").write_text("x")
        place = folder / closed
        owner = place.stat().st_uid
        place.chmod(0)
        with another_user() as uid, pytest.raises(StageError) as refused:
            run(stage(), data=DataFolder(folder, folder))
        place.chmod(0o700)

    assert 66 == refused.value.code
    assert f"(Permission denied): {place} belongs to uid {owner}, mode 0000; uid {uid} must" in str(
        refused.value
    )


def test_what_cannot_be_put_in_its_place_is_a_matter_of_the_folder_there(tmp_path: Path) -> None:
    target = tmp_path / "models/day"
    refused = OSError(errno.EACCES, os.strerror(errno.EACCES), "staging", None, str(target))

    assert f"{target} cannot be used (Permission denied): {tmp_path} belongs to uid" in str(
        publishing.os_failure(refused)
    )


def test_another_pipeline_stages_and_publishes_below_its_own_name(
    run: RunJob, data: DataFolder
) -> None:
    flights = data.below("flights")
    (data.root / "flights/raw").mkdir(parents=True)
    (data.root / "flights/raw/data.csv").write_text("x\n2\n")
    seen: list[Path] = []

    def look(job: Job, out: Path) -> Exit:
        seen.append(out.parent)
        return stage()(job, out)

    run(look, data=flights, pipeline=replace(PIPELINE, name="flights"))

    assert [data.root / "flights/.staging"] == seen
    assert [".staging", "models", "raw"] == names(data.root / "flights")
    assert ["flights", "raw"] == names(data.root)


def test_an_engine_gets_through_to_what_is_being_written_and_nobody_looks_in(
    data: DataFolder,
) -> None:
    (data.root / ".staging").mkdir(0o700)  # as a version before made it
    staging = publishing.prepare(data, data.root / "models/day", "key")

    assert 0o711 == stat.S_IMODE(staging.parent.stat().st_mode)
    assert 0o700 == stat.S_IMODE(staging.stat().st_mode)
