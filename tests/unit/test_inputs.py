"""What a job reads: what must be there, what may be absent, what a stage is told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from unit_harness import ROW, RunJob, never, stage

from microstage import contract, inputs
from microstage.data_folder import DataFolder, published_files
from microstage.errors import StageError
from microstage.exits import Exit
from microstage.inputs import variables
from microstage.jobs import Job
from microstage.pipelines import Pipeline
from microstage.publishing import prepare

TRAIN = replace(ROW, to="models/{ds}")
MADE = Pipeline("default", {"train": TRAIN, "split": replace(ROW, stage="split", to="split/{ds}")})


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("models/2013-01-06", "the stage train writes it, run that for 2013-01-06 first"),
        ("split/2013-01-06", "the stage split writes it, run that for 2013-01-06 first"),
        ("models/mine", "no stage writes it, so put it there"),
    ],
)
def test_a_missing_input_names_the_stage_that_writes_it(
    run: RunJob, missing: str, sentence: str
) -> None:
    with pytest.raises(StageError, match=f"^{missing} does not exist: {sentence}") as refused:
        run(never, sources={"x": missing}, pipeline=MADE)

    assert 66 == refused.value.code


def test_a_directory_without_a_file_is_a_missing_input(run: RunJob, data: DataFolder) -> None:
    (data.root / "models/2013-01-06").mkdir(parents=True)

    with pytest.raises(StageError, match=r"^models/2013-01-06 is empty: the stage train"):
        run(never, sources={"x": "models/2013-01-06"}, pipeline=MADE)


def test_where_hosts_share_the_data_a_missing_input_is_looked_for_again(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSTAGE_PATIENCE", "20")
    folder = data.root / "models/2013-01-05"

    def arrive() -> None:
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text("late")

    timer = Timer(1, arrive)
    timer.start()
    run(stage(), sources={"x": "models/2013-01-05"}, pipeline=MADE)
    timer.join()
    monkeypatch.setenv("MICROSTAGE_PATIENCE", "0.1")
    with pytest.raises(StageError, match=r"^models/2013-01-04 does not exist"):
        run(never, sources={"x": "models/2013-01-04"}, pipeline=MADE)


def test_what_is_replaced_while_it_is_listed_is_listed_again(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, listing = data.root / "models/2013-01-05", published_files
    folder.mkdir(parents=True)
    (folder / "b.txt").write_text("what is left of the one of before")
    replaced: list[bool] = []

    def and_replace(directory: Path) -> Iterator[str]:
        yield from list(listing(directory))
        if not replaced:
            replaced.append(True)
            folder.rename(folder.with_name("gone"))
            folder.mkdir()
            for name in ("a.txt", "b.txt"):
                (folder / name).write_text("new")

    monkeypatch.setattr(inputs, "published_files", and_replace)
    run(stage(), sources={"x": "models/2013-01-05"}, pipeline=MADE)

    manifest = json.loads((data.root / "models/day/manifest.json").read_text())
    assert ["x/a.txt", "x/b.txt"] == list(manifest["inputs"])


def test_a_missing_input_of_another_pipeline_is_told_as_it_is_below_the_data_folder(
    run: RunJob, data: DataFolder
) -> None:
    options: dict[str, Any] = {
        "pipeline": replace(MADE, name="flights"),
        "data": data.below("flights"),
    }

    with pytest.raises(StageError, match=r"^flights/models/2013-01-06 does not exist: "):
        run(never, sources={"x": "models/2013-01-06"}, **options)


def test_an_input_that_is_a_link_is_refused(run: RunJob, data: DataFolder) -> None:
    (data.root / "raw/target.csv").symlink_to("/etc/passwd")

    with pytest.raises(StageError, match=r"target\.csv is a link"):
        run(never)


def test_what_is_published_inside_an_input_does_not_belong_to_it(
    run: RunJob, data: DataFolder
) -> None:
    run(stage(), target="other", sources={"models": "raw"})
    (data.root / "raw/validation").mkdir()
    (data.root / "raw/validation/manifest.json").write_text("{}")

    run(never, target="other", sources={"models": "raw"})


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


def test_what_appears_between_the_check_and_the_run_is_neither_given_nor_in_the_manifest(
    run: RunJob, data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []

    def prepared(*arguments: Any) -> Path:
        (data.root / "late").mkdir()
        (data.root / "late/x").write_text("1")
        return prepare(*arguments)

    def engine(job: Job, out: Path) -> Exit:
        given.append(job.sources)
        return stage()(job, out)

    monkeypatch.setattr(contract, "prepare", prepared)
    run(engine, sources={"raw": "raw", "extra": "late"})
    manifest = json.loads((data.root / "models/day/manifest.json").read_text())

    assert [{"raw": "raw"}] == given
    assert {"raw": "raw"} == manifest["sources"]
    assert {"raw/data.csv"} == set(manifest["inputs"])
