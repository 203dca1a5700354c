"""A try that was given up publishes nothing, and one that is left is taken up by the next."""

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest
from unit_harness import ROW, RunJob, never, stage

from microstage.contract import Resumed, Run
from microstage.data_folder import STAGING, DataFolder
from microstage.errors import TRY_AGAIN, LeftRunningError, StageError
from microstage.exits import Exit
from microstage.jobs import Job
from microstage.publishing import prepare, staging_of, take_over
from microstage.replacing import discard
from microstage.tries import Claim, reap

RUN = Run("dag", "run", "train")


def staged(data: DataFolder) -> list[Path]:
    return sorted((data.root / STAGING).iterdir())


def begun(data: DataFolder) -> Path:
    """Return the directory of a try that has written everything, and ended."""
    staging = prepare(data, data.root / "models/day", RUN.key)
    stage(model="of the first try")(Job(None, ROW, {}, {}, ""), staging)  # type: ignore[arg-type]
    return staging


def test_what_an_earlier_try_has_begun_is_published_as_what_it_was(
    run: RunJob, data: DataFolder
) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    resumed = Resumed(begun(data), began)
    summary = run(lambda *_: Exit(0), resume=lambda _: resumed)
    manifest = (data.root / "models/day/manifest.json").read_text()

    assert {"rows": 3} == summary
    assert "of the first try" == (data.root / "models/day/model.txt").read_text()
    assert began.isoformat() in manifest
    assert [] == staged(data)


def test_work_that_is_done_is_not_asked_about(run: RunJob) -> None:
    run(stage())

    def asked(_: Job) -> None:
        raise AssertionError("it was asked")

    run(never, resume=asked)


def test_a_try_that_is_refused_at_the_last_moment_publishes_nothing(
    run: RunJob, data: DataFolder
) -> None:
    run(stage(model="before"))

    def confirm() -> None:
        raise StageError(TRY_AGAIN, "given up")

    with pytest.raises(StageError, match="given up"):
        run(stage(model="after"), force=True, confirm=confirm)

    assert "before" == (data.root / "models/day/model.txt").read_text()
    assert [] == staged(data)


def test_what_nobody_could_confirm_stays_for_the_next_try(run: RunJob, data: DataFolder) -> None:
    def confirm() -> None:
        raise LeftRunningError("Airflow is away.")

    with pytest.raises(LeftRunningError):
        run(stage(), confirm=confirm)

    [left] = staged(data)
    assert "a model" == (left / "model.txt").read_text()
    assert not (data.root / "models/day").exists()


def test_a_try_whose_directory_was_taken_over_meanwhile_publishes_nothing(
    run: RunJob, data: DataFolder
) -> None:
    taken: list[Path | None] = []

    def asleep(job: Job, staging: Path) -> Exit:
        stage()(job, staging)
        taken.append(take_over(data, staging.name))
        return Exit(0)

    with pytest.raises(StageError, match="Another try of this task has begun"):
        run(asleep)

    [there] = taken
    assert there
    assert "a model" == (there / "model.txt").read_text()
    assert not (data.root / "models/day").exists()


def test_a_try_that_begins_anew_takes_away_what_an_earlier_one_may_be_about_to_publish(
    run: RunJob, data: DataFolder
) -> None:
    def asleep(job: Job, staging: Path) -> Exit:
        stage(model="stale")(job, staging)
        run(stage(model="new"), force=True)
        return Exit(0)

    with pytest.raises(StageError, match="Another try of this task has begun"):
        run(asleep, force=True)

    assert "new" == (data.root / "models/day/model.txt").read_text()
    assert [] == staged(data)


def test_it_can_be_taken_over_again_and_again(data: DataFolder) -> None:
    first = begun(data)
    second = take_over(data, first.name)
    third = take_over(data, first.name)

    assert second
    assert third
    assert len({first, second, third}) == 3
    assert [third] == staged(data)
    assert "of the first try" == (third / "model.txt").read_text()


def test_what_was_published_before_is_no_directory_to_take_over(data: DataFolder) -> None:
    (staging_of(data) / f"{RUN.key}.abcdefgh.old").mkdir()

    assert take_over(data, f"{RUN.key}.abcdefgh") is None


def test_what_is_discarded_loses_its_name_before_its_files(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = begun(data)
    monkeypatch.setattr("microstage.publishing.remove", lambda _: None)
    discard(staging)

    assert not staging.exists()
    discard(staging)  # gone already


def test_the_try_that_began_last_is_the_one_that_counts(data: DataFolder) -> None:
    first, second = (Claim(data, RUN, 60) for _ in range(2))
    other = Claim(data, Run("dag", "run", "other"), 60)
    first.take()
    other.take()
    assert first.holds()
    second.take()

    assert (False, True, True) == (first.holds(), second.holds(), other.holds())
    first.release()
    assert second.holds(), "what was given up clears nothing"


def test_a_task_that_has_ended_leaves_nothing_and_others_are_left_alone(data: DataFolder) -> None:
    claim, other = Claim(data, RUN, 60), Claim(data, Run("dag", "run", "train-2"), 60)
    claim.take()
    other.take()
    begun(data)
    begun(data)
    prepare(data, data.root / "models/day", f"{RUN.instance}-2013-01-06")
    (data.root / STAGING / f"{RUN.key}.seen").touch()
    theirs = prepare(data, data.root / "models/2", other.run.key)
    (data.root / STAGING / f"{RUN.key}.abcdefgh.old").mkdir()
    claim.release()

    assert {f"{RUN.key}.abcdefgh.old", theirs.name, f"{other.run.instance}-try"} == {
        path.name for path in staged(data)
    }


def test_what_a_lost_machine_left_is_cleared_when_its_time_is_over(data: DataFolder) -> None:
    late, busy = Claim(data, RUN, -3600), Claim(data, Run("dag", "run", "busy"), 60)
    late.take()
    left = begun(data)
    busy.take()
    theirs = prepare(data, data.root / "models/2", busy.run.key)
    foreign = data.root / STAGING / "x-try"
    foreign.write_text("no JSON")
    reap(data.root / STAGING)

    assert not left.exists()
    assert {foreign, theirs, theirs.with_name(f"{busy.run.instance}-try")} == set(staged(data))


def test_on_a_full_disk_a_try_is_refused_in_a_sentence_and_leaves_nothing(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StageError, match=r"The disk under .* is full: make room") as refused:
        Claim(data, RUN, 60).take()

    assert TRY_AGAIN == refused.value.code
    assert [] == staged(data)
