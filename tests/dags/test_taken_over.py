"""A stage whose task was killed goes on, and the next try takes it over: nothing runs twice."""

import contextlib
import json
import logging
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dags_harness import DAY, wait_for

from microstage.operator import StageOperator

Table = Callable[..., None]
Containers = Callable[[], list[Any]]
LONG = {"verb": "ticks", "params": {"count": 60, "code": 0}}


@dataclass(frozen=True)
class Task:
    """A try of a task in a process of its own, which can be killed."""

    pid: int
    log: Path

    def kill(self, signum: int = signal.SIGKILL) -> None:
        os.kill(self.pid, signum)

    def ended(self) -> str:
        """Wait for its end; return what it said."""
        os.waitpid(self.pid, 0)
        return self.log.read_text()


Start = Callable[[], Task]


@pytest.fixture
def start(data: Path, test_image: str, tmp_path: Path) -> Iterator[Start]:
    """Begin the next try of a task. A fork, as it is in Airflow, which need not import it again."""
    tries: list[Task] = []

    def begin() -> Task:
        log = tmp_path / f"try-{len(tries)}.log"
        names = {"dag_id": "test", "run_id": "manual", "task_id": "stage", "map_index": -1}
        ti: Any = SimpleNamespace(**names, try_number=len(tries) + 1)
        operator = StageOperator(task_id="stage", ds=DAY, force=False)
        child = os.fork()
        if child:
            tries.append(Task(child, log))
            return tries[-1]
        with log.open("w") as file:
            said = logging.Logger("try")
            said.addHandler(logging.StreamHandler(file))
            StageOperator.log = property(lambda _: said)  # type: ignore[assignment,method-assign]
            signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
            try:
                operator.execute({"ti": ti})
            except BaseException:
                said.exception("failed")
        os._exit(0)

    yield begin
    for each in tries:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            each.kill()
            os.waitpid(each.pid, 0)


def ticking(start: Start, containers: Containers, data: Path) -> tuple[Task, Any]:
    """Return a try whose stage runs and has said something, and its container."""
    task = start()
    [container] = wait_for(lambda: [c for c in containers() if c.status == "running"])
    wait_for(lambda: list((data / ".staging").glob("*.seen")))
    return task, container


def killed(start: Start, containers: Containers, data: Path) -> Any:
    """Return the container of a try that was killed while it ran."""
    task, container = ticking(start, containers, data)
    task.kill()
    task.ended()
    return container


def published(data: Path) -> dict[str, Any]:
    """Return what the stage has published, and what says how."""
    folder = data / "stage" / DAY
    found: dict[str, Any] = json.loads((folder / "summary.json").read_bytes())
    return {**found, "manifest": json.loads((folder / "manifest.json").read_bytes())}


def test_a_retry_goes_on_with_the_container_and_its_log(
    start: Start, table: Table, containers: Containers, data: Path
) -> None:
    table(stage=LONG)
    task, container = ticking(start, containers, data)
    time.sleep(4)
    task.kill()
    task.ended()
    ids = set()
    again = start()
    while os.waitpid(again.pid, os.WNOHANG) == (0, 0):
        ids |= {one.id for one in containers()}
        time.sleep(0.1)
    said = again.log.read_text()
    found = published(data)
    ticks = [int(number) for number in re.findall(r"\btick (\d+)\b", said)]

    assert {container.id} == ids
    assert found["host"] == container.id[:12]
    assert found["manifest"]["seconds"] >= 12, "of the stage, not of the last try"
    assert f"Going on with container {container.id[:12]}" in said
    assert ticks == list(range(ticks[0], 61))
    assert 1 < ticks[0] < 35, "from where it was"
    assert [] == list((data / ".staging").iterdir())


def test_a_stage_that_finished_meanwhile_is_published_and_not_run_again(
    start: Start, table: Table, containers: Containers, data: Path
) -> None:
    table(stage={"verb": "ticks", "params": {"count": 15, "code": 0}})
    container = killed(start, containers, data)
    wait_for(lambda: [one for one in containers() if one.status == "exited"])
    start().ended()

    assert published(data)["host"] == container.id[:12]
    assert [] == list((data / ".staging").iterdir())


@pytest.mark.parametrize("what", ["failed", "other parameters", "other input", "another limit"])
def test_what_is_not_the_same_work_or_has_failed_is_run_anew(
    start: Start, table: Table, containers: Containers, data: Path, what: str
) -> None:
    (data / "raw").mkdir()
    (data / "raw/data.csv").write_text("1\n")
    row = {"reads": {"raw": "raw"}, "verb": "ticks", "params": {"count": 15, "code": 0}}
    table(stage={**row, "params": {"count": 15, "code": 75 * (what == "failed")}})
    container = killed(start, containers, data)
    if what == "failed":
        # And is told not to fail the next time, which is not looked at: it has failed.
        wait_for(lambda: [one for one in containers() if one.status == "exited"])
    elif what == "other parameters":
        row["params"] = {"count": 2, "code": 0}
    elif what == "other input":
        (data / "raw/data.csv").write_text("2\n")
    else:
        row["limits"] = {"memory": "65m"}
    table(stage=row)
    said = start().ended()

    assert f"Removing container {container.id[:12]} of an earlier try." in said
    assert published(data)["host"] not in ("", container.id[:12])


def test_a_try_whose_place_was_taken_publishes_nothing_and_stops_nothing(
    start: Start, table: Table, containers: Containers, data: Path
) -> None:
    table(stage={"verb": "ticks", "params": {"count": 50, "code": 0}})
    asleep, container = ticking(start, containers, data)
    asleep.kill(signal.SIGSTOP)
    again = start()
    wait_for(lambda: list((data / ".staging").glob("*.*.*")))  # taken over
    asleep.kill(signal.SIGCONT)
    told = asleep.ended()
    again.ended()
    before = (data / "stage" / DAY).stat().st_ino

    assert published(data)["host"] == container.id[:12]
    # It depends on who is the first to hear of the end.
    assert re.search("Another try of this task has begun|container was removed while it ran", told)
    assert before == (data / "stage" / DAY).stat().st_ino
    assert [] == list((data / ".staging").iterdir())


def test_a_task_that_ends_as_the_api_server_is_away_leaves_its_stage_to_the_next_try(
    start: Start,
    table: Table,
    containers: Containers,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table(stage={"verb": "ticks", "params": {"count": 25, "code": 0}})
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://127.0.0.1:9/execution/")
    task, container = ticking(start, containers, data)
    task.kill(signal.SIGTERM)
    time.sleep(1)
    task.kill()  # as Airflow does then
    task.ended()
    survived = [one.id for one in containers()]
    start().ended()

    assert [container.id] == survived
    assert published(data)["host"] == container.id[:12]
