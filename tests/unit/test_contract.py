"""The contract: what is published and when, what is refused, and what is left alone."""

import errno
import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microstage import publishing
from microstage.contract import Exit, Run, failure, run_job
from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.inputs import variables
from microstage.jobs import Job
from microstage.pipelines import load_pipeline
from microstage.table import Limits, Row

ROW = Row(
    stage="train",
    image="microstage/train:1.0.0",
    verb="fit",
    reads={"raw": "raw"},
    to="models/day",
    files=("model.txt",),
    params={},
    limits=Limits(cpus=1, memory=2**30, pids=64, timeout=60),
    optional=("extra",),
    where="stages.toml, stage train",
)
Stage = Callable[[Path], Exit]
PIPELINE = load_pipeline()


def stage(**files: str) -> Stage:
    """Return a stage that writes these files ("model" is model.txt) and succeeds."""

    def write(out: Path) -> Exit:
        for name, text in {"model": "a model", "summary": '{"rows": 3}', **files}.items():
            (out / {"model": "model.txt", "summary": "summary.json"}.get(name, name)).write_text(
                text
            )
        return Exit(0)

    return write


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data.csv").write_text("x\n1\n")
    return DataFolder.at(tmp_path)


@pytest.fixture
def run(data: DataFolder) -> Callable[..., dict[str, Any]]:
    """Run one job: run(stage, target=..., sources=..., params=..., force=...)."""

    def start(
        engine: Stage,
        *,
        target: str = "models/day",
        sources: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
        image_id: str = "sha256:1",
        row: Row = ROW,
        **options: Any,
    ) -> dict[str, Any]:
        options.setdefault("log", print)
        return run_job(
            data,
            Job(
                PIPELINE, row, params or {}, {"raw": "raw"} if sources is None else sources, target
            ),
            image_id=image_id,
            run=options.pop("run", Run("dag", "run", "train")),
            engine=lambda _, staging: engine(staging),
            **options,
        )

    return start


RunJob = Callable[..., dict[str, Any]]


def never(_: Path) -> Exit:
    raise AssertionError("it was run")


def fail(_: Path) -> Exit:
    return Exit(1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
        "started",
        "seconds",
        "run",
    ] == list(manifest)
    assert {
        "raw/data.csv": {"sha256": hashlib.sha256(b"x\n1\n").hexdigest(), "size": 4}
    } == manifest["inputs"]
    assert ["model.txt", "summary.json"] == list(manifest["outputs"])
    assert [] == names(data.root / ".staging")


def test_a_directory_is_replaced_as_a_whole_with_what_was_published_inside_it(
    run: RunJob, data: DataFolder
) -> None:
    run(stage(extra="old"))
    run(stage(), target="models/day/validation")
    run(stage(model="new"), params={"seed": 2})

    assert ["manifest.json", "model.txt", "summary.json"] == names(data.root / "models/day")
    assert "new" == (data.root / "models/day/model.txt").read_text()


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
    def unsupported(*_: Path) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(publishing, "_exchange", unsupported)
    run(stage())
    run(stage(model="new"), params={"seed": 2})

    assert "new" == (data.root / "models/day/model.txt").read_text()
    assert [] == names(data.root / ".staging")


def test_a_try_that_died_between_two_renames_loses_nothing(run: RunJob, data: DataFolder) -> None:
    run(stage())
    key = Run("dag", "run", "train").key
    (data.root / "models/day").rename(data.root / ".staging" / f"{key}.abc.old")

    with pytest.raises(StageError):
        run(fail)

    assert "a model" == (data.root / "models/day/model.txt").read_text()


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


def test_what_nobody_cleared_for_a_week_is_swept(run: RunJob, data: DataFolder) -> None:
    for name, age in (("old", 8), ("young", 6)):
        path = data.root / ".staging" / name
        path.mkdir(parents=True)
        then = path.stat().st_mtime - age * 86400
        os.utime(path, (then, then))
    run(stage())

    assert ["young"] == names(data.root / ".staging")


@pytest.mark.parametrize("code", [1, 64, 65, 66, 75, 137])
def test_a_stage_that_fails_publishes_nothing_and_keeps_what_was_there(
    run: RunJob, data: DataFolder, code: int
) -> None:
    run(stage())

    def half(out: Path) -> Exit:
        stage(model="new")(out)
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


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"model": ""}, "an empty model.txt"),
        ({"summary": ""}, "an empty summary.json"),
        ({"summary": "["}, "not valid JSON"),
        ({"summary": "[1]"}, "one flat JSON object"),
        ({"summary": '{"a": [1]}'}, "one flat JSON object"),
        ({"summary": '{"auc": NaN}'}, "NaN is not a JSON number"),
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
    def special(out: Path) -> Exit:
        stage()(out)
        (out / "deep").mkdir()
        if kind == "pipe":
            os.mkfifo(out / "deep" / "x")
        else:
            (out / "deep" / "x").symlink_to("/etc/passwd" if kind == "link" else "/etc")
        return Exit(0)

    with pytest.raises(StageError, match="/out/deep/x, a link or a special file"):
        run(special)


def test_a_published_file_is_readable_and_never_set_uid(run: RunJob, data: DataFolder) -> None:
    def odd(out: Path) -> Exit:
        stage()(out)
        (out / "model.txt").chmod(0o4711)
        return Exit(0)

    run(odd)
    mode = (data.root / "models/day/model.txt").stat().st_mode

    assert 0o644 == stat.S_IMODE(mode)


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


def test_what_is_published_inside_an_input_does_not_belong_to_it(
    run: RunJob, data: DataFolder
) -> None:
    run(stage(), target="other", sources={"models": "raw"})
    (data.root / "raw/validation").mkdir()
    (data.root / "raw/validation/manifest.json").write_text("{}")

    run(never, target="other", sources={"models": "raw"})


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


@pytest.mark.parametrize("missing", ["models/2013-01-06", "processed/2013-01-06/split"])
def test_a_missing_input_names_the_stage_that_writes_it(run: RunJob, missing: str) -> None:
    writer = "split" if "split" in missing else "train"

    with pytest.raises(StageError, match=f"the stage {writer} writes it, run that for 2013-01-06"):
        run(never, sources={"x": missing})


def test_an_input_that_is_a_link_is_refused(run: RunJob, data: DataFolder) -> None:
    (data.root / "raw/target.csv").symlink_to("/etc/passwd")

    with pytest.raises(StageError, match=r"target\.csv is a link"):
        run(never)


def test_an_input_replaced_while_the_stage_reads_it_is_a_reason_to_retry(
    run: RunJob, data: DataFolder
) -> None:
    def meanwhile(_: Path) -> Exit:
        change_input(data)
        return Exit(66, "data.csv is gone")

    with pytest.raises(StageError, match="were replaced") as failed:
        run(meanwhile)

    assert not failed.value.final


@pytest.mark.parametrize(
    "path", ["../x", "/etc", "raw/../../x", "", ".", "raw/..", "a\0b", ".staging/x", "out"]
)
def test_a_path_that_leaves_the_data_folder_is_refused(data: DataFolder, path: str) -> None:
    (data.root / "out").symlink_to("/etc")

    with pytest.raises(StageError, match="not a path below the data folder") as refused:
        data.path(path)

    assert 64 == refused.value.code


def test_the_host_sees_the_same_paths_below_its_own_root(tmp_path: Path) -> None:
    data = DataFolder.at(tmp_path, "/srv/microstage")

    assert Path("/srv/microstage/raw/day") == data.host_path(data.path("raw/day"))


def test_a_missing_data_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="MICROSTAGE_DATA"):
        DataFolder.at(tmp_path / "none")


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
    def trouble(_: Path) -> Exit:
        raise OSError(number, os.strerror(number), "/data/models")

    with pytest.raises(StageError, match=sentence) as failed:
        run(trouble)

    assert final == failed.value.final


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


# --- rows that read what may be absent, and rows that always run


def test_an_optional_source_may_be_absent_and_is_an_input_when_it_is_there(
    data: DataFolder, run: RunJob
) -> None:
    sources = {"raw": "raw", "extra/2013-01-01": "extra/one", "extra/2013-01-02": "extra/two"}
    (data.root / "extra" / "two").mkdir(parents=True)
    (data.root / "extra" / "two" / "x").write_text("1")
    run(stage(), sources=sources)
    manifest = json.loads((data.root / "models/day/manifest.json").read_text())

    assert {"raw": "raw", "extra/2013-01-02": "extra/two"} == manifest["sources"]
    assert {"raw/data.csv", "extra/2013-01-02/x"} == set(manifest["inputs"])


def test_a_row_that_always_runs_leaves_what_is_the_same_in_its_place(
    data: DataFolder, run: RunJob
) -> None:
    always = replace(ROW, always=True)
    ran: list[Path] = []

    def counted(out: Path) -> Exit:
        ran.append(out)
        return stage()(out)

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
        run(lambda _: Exit(137))


def test_a_setting_that_a_network_needs_is_named_when_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVICE_URL", "http://service")
    monkeypatch.delenv("SERVICE_PASSWORD", raising=False)

    both = replace(ROW, env=("SERVICE_URL", "SERVICE_PASSWORD"))
    assert {"OMP_NUM_THREADS": "1", "SERVICE_URL": "http://service"} == variables(
        replace(ROW, env=("SERVICE_URL",))
    )
    with pytest.raises(StageError, match=r"stage train: .* lacks SERVICE_PASSWORD\."):
        variables(both)
