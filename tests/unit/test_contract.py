"""One job: what is run and when, what is refused, and what is left alone."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit_harness import ROW, RunJob, names, never, stage

from microstage.contract import Run
from microstage.data_folder import DataFolder, digest
from microstage.errors import StageError
from microstage.exits import Exit, failure
from microstage.jobs import Job


def test_what_a_stage_wrote_is_published_with_a_manifest(run: RunJob, data: DataFolder) -> None:
    summary = run(stage(), params={"seed": 17})
    target = data.root / "models/day"
    manifest = json.loads((target / "manifest.json").read_text())

    assert {"rows": 3} == summary
    assert ["manifest.json", "model.txt", "summary.json"] == names(target)
    assert [
        "version",
        "stage",
        "verb",
        "parameters",
        "image",
        "image_id",
        "sources",
        "inputs",
        "outputs",
        "stamps",
        "started",
        "seconds",
        "run",
    ] == list(manifest)
    assert {
        "raw/data.csv": {"sha256": hashlib.sha256(b"x\n1\n").hexdigest(), "size": 4}
    } == manifest["inputs"]
    assert ["model.txt", "summary.json"] == list(manifest["outputs"])
    assert [] == names(data.root / ".staging")


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"outputs": []}',
        '{"outputs": {"../x": 1}}',
        '{"outputs": 3}',
    ],
)
def test_work_whose_manifest_says_nothing_is_done_anew(
    run: RunJob, data: DataFolder, manifest: str
) -> None:
    run(stage())
    (data.root / "models/day/manifest.json").write_text(manifest)

    assert {"rows": 4} == run(stage(summary='{"rows": 4}'))


@pytest.mark.parametrize("code", [1, 64, 65, 66, 75, 137])
def test_a_stage_that_fails_publishes_nothing_and_keeps_what_was_there(
    run: RunJob, data: DataFolder, code: int
) -> None:
    run(stage())

    def half(job: Job, out: Path) -> Exit:
        stage(model="new")(job, out)
        return Exit(code, "row 7 is bad")

    with pytest.raises(StageError, match=f"row 7 is bad .exit code {code}") as failed:
        run(half, params={"seed": 2})

    assert (code in (64, 65, 66)) == failed.value.final
    assert "a model" == (data.root / "models/day/model.txt").read_text()
    assert [] == names(data.root / ".staging")


def test_no_time_and_no_memory_are_reasons_to_retry_that_name_the_row() -> None:
    slow = failure(ROW, Exit(143, timed_out=True))
    fat = failure(ROW, Exit(137, out_of_memory=True))

    assert "stages.toml, stage train, limits.timeout" in str(slow)
    assert "its limit of 1024 MiB" in str(fat)
    assert [75, 75] == [error.code for error in (slow, fat) if error]


def test_unchanged_work_is_not_done_again(run: RunJob) -> None:
    lines: list[str] = []
    first = run(stage(), params={"seed": 17})
    second = run(never, params={"seed": 17}, log=lines.append)

    assert first == second
    assert 1 == len(lines)
    assert "up to date" in lines[0]
    assert "force" in lines[0]


def change_input(data: DataFolder) -> None:
    (data.root / "raw/data.csv").write_text("x\n2\n")


def add_input(data: DataFolder) -> None:
    (data.root / "raw/more.csv").write_text("x\n2\n")


def change_output(data: DataFolder) -> None:
    (data.root / "models/day/model.txt").write_text("by hand")


def lose_output(data: DataFolder) -> None:
    (data.root / "models/day/model.txt").unlink()


def damage_manifest(data: DataFolder) -> None:
    (data.root / "models/day/manifest.json").write_text("{")


@pytest.mark.parametrize(
    "change", [change_input, add_input, change_output, lose_output, damage_manifest]
)
def test_changed_files_are_a_reason_to_run_again(
    run: RunJob, data: DataFolder, change: Callable[[DataFolder], None]
) -> None:
    run(stage())
    change(data)
    summary = run(stage(summary='{"rows": 4}'))

    assert {"rows": 4} == summary


@pytest.mark.parametrize(
    "change", [{"image_id": "sha256:2"}, {"params": {"seed": 2}}, {"force": True}]
)
def test_another_image_other_parameters_and_force_are_a_reason_to_run_again(
    run: RunJob, change: dict[str, Any]
) -> None:
    run(stage())
    summary = run(stage(summary='{"rows": 4}'), **change)

    assert {"rows": 4} == summary


def test_published_files_are_not_read_again_unless_all_are(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def reading(path: Path) -> dict[str, Any]:
        read.append(path.name)
        return digest(path)

    run(stage(), target="models/base", sources={})
    sources = {"base": "models/base"}
    run(stage(), sources=sources)
    monkeypatch.setattr("microstage.digests.digest", reading)
    run(never, sources=sources)
    trusted = [*read]
    run(never, sources=sources, full=True)

    assert [] == trusted
    assert ["model.txt", "model.txt", "summary.json", "summary.json"] == sorted(read)


def test_what_was_changed_behind_the_platforms_back_is_found_by_reading_all(
    run: RunJob, data: DataFolder
) -> None:
    run(stage(model="a model"))
    file = data.root / "models/day/model.txt"
    before = file.stat()
    file.write_text("no model")
    os.truncate(file, before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    trusted = run(never)
    found = run(stage(summary='{"rows": 4}'), full=True)

    assert [{"rows": 3}, {"rows": 4}] == [trusted, found]


def test_files_that_no_stage_published_are_left_alone_unless_forced(
    run: RunJob, data: DataFolder
) -> None:
    (data.root / "models/day").mkdir(parents=True)
    (data.root / "models/day/model.txt").write_text("mine")
    with pytest.raises(StageError, match="no stage published"):
        run(never)
    before = (data.root / "models/day/model.txt").read_text()
    run(stage(), force=True)

    assert "mine" == before
    assert "a model" == (data.root / "models/day/model.txt").read_text()


def test_an_input_replaced_while_the_stage_reads_it_is_a_reason_to_retry(
    run: RunJob, data: DataFolder
) -> None:
    def meanwhile(_: Job, __: Path) -> Exit:
        change_input(data)
        return Exit(66, "data.csv is gone")

    with pytest.raises(StageError, match="were replaced") as failed:
        run(meanwhile)

    assert not failed.value.final


def test_a_key_is_the_same_for_every_try_and_another_for_every_task() -> None:
    keys = {
        Run(dag, run, task, index, attempt).key
        for dag, run, task, index in [
            ("a", "b", "c", -1),
            ("a", "b", "c", 0),
            ("ab", "", "c", -1),
            ("a", "x", "c", -1),
        ]
        for attempt in (1, 2)
    }

    assert 4 == len(keys)


def test_the_days_of_a_task_have_keys_of_their_own_and_its_instance_in_common() -> None:
    runs = [Run("a", "b", "c", day=day) for day in ("", "2013-01-06", "2013-01-07")]

    assert 3 == len({run.key for run in runs})
    assert {runs[0].key} == {run.instance for run in runs}


def test_a_row_that_always_runs_leaves_what_is_the_same_in_its_place(
    data: DataFolder, run: RunJob
) -> None:
    always = replace(ROW, always=True)
    ran: list[Path] = []

    def counted(job: Job, out: Path) -> Exit:
        ran.append(out)
        return stage()(job, out)

    run(counted, row=always)
    before = (data.root / "models/day").stat().st_ino
    run(counted, row=always)
    same = (data.root / "models/day").stat().st_ino
    run(stage(model="another"), row=always)

    assert 2 == len(ran)
    assert before == same
    assert "another" == (data.root / "models/day/model.txt").read_text()


def test_a_manifest_names_the_version_of_the_model(data: DataFolder, run: RunJob) -> None:
    (data.root / "production").mkdir()
    (data.root / "production/version.json").write_text('{"name": "microstage", "version": "3"}')
    run(stage(), sources={"model": "production"})

    manifest = json.loads((data.root / "models/day/manifest.json").read_text())
    assert {"path": "production", "name": "microstage", "version": "3"} == manifest["model"]


def test_a_manifest_names_the_version_that_was_tracked_beside_a_model(
    data: DataFolder, run: RunJob
) -> None:
    (data.root / "models/mine/version").mkdir(parents=True)
    (data.root / "models/mine/model.txt").write_text("a model")
    version = data.root / "models/mine/version/version.json"
    version.write_text('{"name": "microstage", "version": "2"}')
    run(stage(), sources={"model": "models/mine"})

    manifest = json.loads((data.root / "models/day/manifest.json").read_text())
    assert {"path": "models/mine", "name": "microstage", "version": "2"} == manifest["model"]


def test_a_stage_that_was_killed_is_said_to_be(run: RunJob) -> None:
    with pytest.raises(StageError, match=r"exit code 137, somebody or something killed it"):
        run(lambda _, __: Exit(137))
