"""No container outlives its task: a kill from outside, a kill -9, and what nobody retried."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dags_harness import DAY, IMAGE, INSTALL, wait_for
from docker.errors import NotFound
from guard.compose import OURS

from microstage import walls
from microstage.engines import container
from microstage.operator import StageOperator

HERE = Path(__file__).resolve().parent
Containers = Callable[[], list[Any]]


@pytest.fixture
def task(data: Path, test_image: str) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a DAG of the test stage in another process."""
    started = []

    def start(dag_id: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(HERE / "killed_task.py"), str(HERE / "tiny"), dag_id, DAY]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def running(containers: Containers) -> Any:
    [container] = wait_for(lambda: [c for c in containers() if c.status == "running"])
    return container


@pytest.mark.parametrize("verb", ["sleep", "stubborn"])
def test_a_kill_from_the_ui_removes_the_container_before_airflow_loses_patience(
    task: Callable[[str], subprocess.Popen[bytes]],
    table: Callable[..., None],
    containers: Containers,
    data: Path,
    verb: str,
) -> None:
    table(stage={"verb": verb, "params": {"seconds": 60}})
    process = task("once")
    running(containers)
    process.send_signal(signal.SIGTERM)  # what Airflow's supervisor sends
    started = time.monotonic()
    wait_for(lambda: not containers())
    seconds = time.monotonic() - started

    assert seconds < 5  # then the supervisor sends SIGKILL
    assert not (data / "stage" / DAY).exists()


def test_a_retry_after_kill_9_removes_the_orphan_and_its_staging_first(
    task: Callable[[str], subprocess.Popen[bytes]],
    table: Callable[..., None],
    containers: Containers,
    engine: Any,
    data: Path,
) -> None:
    table(stage={"verb": "sleep", "params": {"seconds": 60}})
    process = task("alone")
    orphan = running(containers)
    process.kill()
    process.wait()
    time.sleep(0.5)
    orphan.reload()
    survived, staged = orphan.status, list((data / ".staging").glob("*.*"))
    table(stage={"verb": "ok"})
    task("alone").wait()

    assert "running" == survived  # or this test would show nothing
    assert 1 == len(staged)
    assert (data / "stage" / DAY / "manifest.json").is_file()
    assert [] == list((data / ".staging").iterdir())
    with pytest.raises(NotFound):
        engine.containers.get(orphan.id)


def test_a_container_past_its_deadline_is_swept_by_the_next_stage(
    run_stage: Callable[..., dict[str, Any]], engine: Any, containers: Containers
) -> None:
    labels = {"microstage.install": INSTALL, "microstage.stage": "other", "microstage.key": "x"}
    labels[OURS] = INSTALL  # as the guard labels what it makes
    late, busy, foreign = (
        engine.containers.run(
            IMAGE,
            ["sleep", "--seconds", "60"],
            detach=True,
            labels={**labels, "microstage.deadline": deadline},
        )
        for deadline in (str(int(time.time()) - 1), str(int(time.time()) + 60), "tomorrow")
    )
    run_stage("ok")
    left = {container.id for container in containers()}
    for one in (busy, foreign):
        one.remove(force=True)

    assert {busy.id, foreign.id} == left
    with pytest.raises(NotFound):
        engine.containers.get(late.id)


def test_a_kill_while_the_container_is_created_removes_it(
    run_stage: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = StageOperator(task_id="stage", ds=DAY, force=False)
    labels = walls.labels

    def killed_meanwhile(*arguments: Any, **marks: Any) -> dict[str, str]:
        operator.on_kill()
        return labels(*arguments, **marks)

    monkeypatch.setattr(container, "labels", killed_meanwhile)

    with pytest.raises(Exception, match="stage was stopped"):
        run_stage("ok", operator=operator)


def test_installations_on_one_engine_leave_each_other_alone(
    run_stage: Callable[..., dict[str, Any]], engine: Any, test_image: str
) -> None:
    other = engine.containers.run(
        test_image,
        ["sleep", "--seconds", "60"],
        detach=True,
        labels={"microstage.install": "another", "microstage.deadline": "1"},
    )
    try:
        run_stage("ok")
        other.reload()

        assert "running" == other.status
    finally:
        other.remove(force=True)


def test_a_try_after_one_that_ran_out_of_memory_gets_twice_as_much(
    task: Callable[[str], subprocess.Popen[bytes]], table: Callable[..., None], data: Path
) -> None:
    limits = {"memory": "16m", "memory_max": "40m"}
    table(stage={"verb": "some", "params": {"bytes": 24 * 2**20}, "limits": limits})
    said = task("alone").communicate()[0].decode()

    assert "stage needed more memory than 16 MiB; the next try gets 32 MiB." in said
    assert "This try has 32 MiB of memory: one before ran out of it." in said
    assert (data / "stage" / DAY / "manifest.json").is_file()
