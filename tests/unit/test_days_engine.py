"""Days that wait become batches, and each is told how its own has ended; without an engine."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError
from unit_harness import PIPELINE, ROW

from microstage.contract import Run
from microstage.data_folder import STAGING, DataFolder
from microstage.engines import days as engine
from microstage.engines.container import ContainerEngine
from microstage.engines.days import DaysEngine, does_days
from microstage.errors import TRY_AGAIN, StageError
from microstage.exits import Exit
from microstage.images import Image
from microstage.jobs import Job
from microstage.table import Row

IMAGE = Image("sha256:0", "sha256:0", frozenset(), {})
DAYS = [f"2013-01-{n:02}" for n in range(1, 13)]


@dataclass
class Ran:
    """What has been run, and what is to become of it."""

    batches: list[list[str]] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    most: int = 0  # containers at once
    now: int = 0
    undone: tuple[str, ...] = ()
    error: Exception | None = None
    lines: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


KILLED = StageError(TRY_AGAIN, "train was stopped.")


@dataclass
class Fake(ContainerEngine):
    """A container that takes a moment."""

    ran: Ran = field(default_factory=Ran)

    def __call__(self, job: Job, staging: Path) -> Exit:
        assert ([], self.run.day) == (list(staging.iterdir()), job.target)
        self.ran.alone.append(self.run.day)
        self._take_a_moment()
        return Exit(1, "alone")

    def run_to_the_end(self, job: Job, command: Any, mounts: Any, **_: Any) -> Exit:
        assert (ROW, ["days"]) == (job.row, command)
        binds = {mount["Target"]: Path(mount["Source"]) for mount in mounts}
        given = json.loads((binds["/in"] / "days.json").read_bytes())["days"]
        self.ran.batches.append(list(given))
        self._take_a_moment()
        for day in given:
            (binds[f"/out/{day}"] / "file").write_text(day)
            self.write(f"{day}  hello")
            if day not in self.ran.undone:
                (binds["/out"] / f"{day}.json").write_text('{"code": 0, "last_line": ""}')
        self.write("nobody's")
        if self.ran.error:
            raise self.ran.error
        return Exit(0)

    def _take_a_moment(self) -> None:
        with self.ran.lock:
            self.ran.now += 1
            self.ran.most = max(self.ran.most, self.ran.now)
        time.sleep(0.05)
        with self.ran.lock:
            self.ran.now -= 1


@pytest.fixture
def ran() -> Ran:
    return Ran()


RunAll = Callable[..., dict[str, Any]]


@pytest.fixture
def run_all(tmp_path: Path, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> RunAll:
    """Run days as EachDay does; return of each its Exit or its error."""
    (tmp_path / STAGING).mkdir()
    data = DataFolder.at(tmp_path)
    monkeypatch.setattr(engine, "MOST", 4)

    def run(
        days: list[str],
        at_once: int = 2,
        stopped: Callable[[], StageError | None] = lambda: None,
    ) -> dict[str, Any]:
        task = Run("backfill", "manual", "train")
        several = DaysEngine(data, task, days, at_once, ran.lines.append)

        def one(day: str) -> Exit | Exception:
            staging = tmp_path / STAGING / day
            staging.mkdir()
            container = Fake(
                docker.APIClient,
                data,
                IMAGE,
                replace(task, day=day),
                lambda line: ran.lines.append(f"{day}: {line}"),
                stopped,
                ran=ran,
            )
            try:
                return several.of(container)(Job(PIPELINE, ROW, {}, {}, day), staging)
            except Exception as error:
                return error
            finally:
                several.gone(day)

        with ThreadPoolExecutor(at_once * several.size) as pool:
            return dict(zip(days, pool.map(one, days), strict=True))

    return run


def test_no_more_containers_run_at_once_than_may_and_each_day_once(
    run_all: RunAll, ran: Ran
) -> None:
    found = run_all(DAYS)

    assert {Exit(0)} == set(found.values())
    assert [DAYS[:3], DAYS[3:6], DAYS[6:9], DAYS[9:]] == sorted(ran.batches)
    assert (2, []) == (ran.most, ran.alone)


def test_nobody_waits_for_days_that_do_not_come(
    run_all: RunAll, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 60)
    started = time.monotonic()
    run_all(DAYS[:7], at_once=1)

    assert [4, 3] == [len(batch) for batch in ran.batches]
    assert time.monotonic() - started < 5


def test_nor_for_long_for_those_that_are_late(tmp_path: Path, ran: Ran) -> None:
    (tmp_path / STAGING / DAYS[0]).mkdir(parents=True)
    data, task = DataFolder.at(tmp_path), Run(day=DAYS[0])
    several = DaysEngine(data, task, DAYS, 1, ran.lines.append)
    container = Fake(docker.APIClient, data, IMAGE, task, print, ran=ran)
    job = Job(PIPELINE, ROW, {}, {}, DAYS[0])

    assert Exit(1, "alone") == several.of(container)(job, tmp_path / STAGING / DAYS[0])


def test_a_line_goes_to_its_day_and_what_is_nobodys_to_all(run_all: RunAll, ran: Ran) -> None:
    run_all(DAYS[:2], at_once=1)

    assert [
        "2013-01-01 to 2013-01-02: 2 days in one container.",
        "2013-01-01: hello",
        "2013-01-02: hello",
        "nobody's",
    ] == ran.lines


def test_a_day_that_was_not_done_is_done_alone_from_nothing(run_all: RunAll, ran: Ran) -> None:
    ran.undone = (DAYS[1], DAYS[2])
    found = run_all(DAYS[:4], at_once=1)

    assert [Exit(0), Exit(1, "alone"), Exit(1, "alone"), Exit(0)] == list(found.values())
    assert [DAYS[1], DAYS[2]] == sorted(ran.alone)
    assert 1 == ran.most


def test_none_is_done_again_while_nobody_knows_what_became_of_the_container(
    run_all: RunAll, ran: Ran
) -> None:
    ran.undone = tuple(DAYS)
    ran.error = docker.errors.DockerException("no answer")
    found = run_all(DAYS[:3], at_once=1)

    assert {ran.error} == set(found.values())
    assert [] == ran.alone


def test_what_the_engine_refuses_for_all_may_be_done_alone(
    run_all: RunAll, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[str] = []
    monkeypatch.setattr(engine, "_remove", lambda _, called: cleared.append(called))
    ran.undone = tuple(DAYS)
    ran.error = APIError("no such directory")
    found = run_all(DAYS[:2], at_once=1)

    assert {Exit(1, "alone")} == set(found.values())
    assert [f"{DAYS[0]} to {DAYS[1]}"] == cleared


def test_after_a_kill_none_is_done_alone(run_all: RunAll, ran: Ran) -> None:
    ran.undone = (DAYS[1],)
    found = run_all(DAYS[:2], at_once=1, stopped=lambda: KILLED if ran.batches else None)

    assert KILLED is found[DAYS[1]]
    assert [] == ran.alone


def test_what_waits_when_a_kill_comes_is_not_begun(run_all: RunAll, ran: Ran) -> None:
    found = run_all(DAYS[:2], at_once=1, stopped=lambda: KILLED)

    assert {KILLED} == set(found.values())
    assert ([], []) == (ran.batches, ran.alone)


def test_nothing_is_left_but_what_days_have_written(run_all: RunAll, tmp_path: Path) -> None:
    run_all(DAYS[:4])
    (tmp_path / STAGING / f"{Run('backfill', 'manual', 'train').instance}-days.old").mkdir()
    run_all(DAYS[4:5])

    assert DAYS[:5] == sorted(path.name for path in (tmp_path / STAGING).iterdir())


@pytest.mark.parametrize(
    ("labels", "row", "expected"),
    [
        ({"org.microstage.days": "1"}, ROW, True),
        ({"org.microstage.days": "1"}, replace(ROW, always=True), False),
        ({"org.microstage.days": "1"}, replace(ROW, network="bridge"), False),
        ({"org.microstage.days": "2"}, ROW, False),
        ({}, ROW, False),
    ],
)
def test_days_share_a_container_where_the_image_says_so_and_nothing_outside_is_touched(
    labels: Any, row: Row, expected: bool
) -> None:
    assert expected == does_days(replace(IMAGE, labels=labels), row)
