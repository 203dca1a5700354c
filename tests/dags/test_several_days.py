"""Several days in one container, on a real engine: to each it is as if it had one of its own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from dags_harness import DAY, give, run_each_day, wait_for

from microstage.engines import container, days
from microstage.sharing import Place, provide

HERE = Path(__file__).resolve().parent
FOUR = [f"2013-01-0{n}" for n in range(1, 5)]
READS = {"reads": {"raw": "raw/{day}"}}
RunDays = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the containers that are run; and all days go into one."""
    commands: list[list[str]] = []
    create = container.ContainerEngine._create

    def recorded(self: Any, client: Any, job: Any, command: list[str], *given: Any) -> str:
        commands.append(command)
        return create(self, client, job, command, *given)

    monkeypatch.setattr(container.ContainerEngine, "_create", recorded)
    monkeypatch.setattr("microstage.each_day.at_once", lambda *_: 1)
    return commands


@pytest.fixture
def run_days(data: Path, table: Callable[..., None], days_image: str) -> RunDays:
    """Run the operator on one row, for four days; returns its XCom `days`."""

    def run(verb: str, **options: Any) -> dict[str, Any]:
        row = {"image": days_image, **options.pop("row", {})}
        table(stage={"verb": verb, **row})
        return run_each_day(FOUR, **options)

    return run


def published(data: Path) -> dict[str, dict[str, Any]]:
    """Return the summaries of the days that are published whole."""
    found = {}
    for path in sorted(data.glob("stage/*/manifest.json")):
        outputs = json.loads(path.read_bytes())["outputs"]
        there = {str(p.relative_to(path.parent)) for p in path.parent.rglob("*") if p != path}
        assert there == set(outputs)
        found[path.parent.name] = json.loads((path.parent / "summary.json").read_bytes())
    return found


def test_all_days_are_done_in_one_container_and_each_is_published_as_if_it_were_alone(
    run_days: RunDays,
    data: Path,
    runs: list[list[str]],
    test_image: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = run_days("ok", row={"params": {"date": "{ds}"}})
    together, log = published(data), capsys.readouterr().out
    manifests = [json.loads(p.read_text()) for p in sorted(data.glob("stage/*/manifest.json"))]
    run_days("ok", row={"params": {"date": "{ds}"}}, force=True, last=FOUR[0])

    assert {"done": FOUR, "left_out": {}, "failed": {}} == told
    assert [["days"], ["ok", "--date", FOUR[0]]] == runs
    assert {day: f"--date {day}" for day in FOUR} == {
        d: s["arguments"] for d, s in together.items()
    }
    assert [{"date": day} for day in FOUR] == [each["parameters"] for each in manifests]
    assert together == published(data)
    assert all(f"{day}  a line on {out}" in log for day in FOUR for out in ("stdout", "stderr"))
    assert [] == list((data / ".staging").iterdir())


def test_a_day_that_fails_fails_alone_with_its_own_sentence(
    run_days: RunDays, data: Path, runs: list[list[str]]
) -> None:
    give(data, dict.fromkeys(FOUR, 0) | {FOUR[1]: 65})
    with pytest.raises(AirflowFailException) as failed:
        run_days("told", row=READS)

    assert (
        "1 of 4 days failed: 2013-01-02: stage: told to end with 65 (exit code 65, bad data)"
    ) == str(failed.value)
    assert [FOUR[0], *FOUR[2:]] == list(published(data))
    assert [["days"]] == runs


def test_days_that_a_container_has_not_done_are_done_alone(
    run_days: RunDays, data: Path, runs: list[list[str]]
) -> None:
    told = run_days("dies")

    assert FOUR == told["done"] == list(published(data))
    assert [["days"], ["dies"], ["dies"], ["dies"]] == runs
    assert [] == list((data / ".staging").iterdir())


def test_so_are_those_that_the_engine_refuses_to_begin_with(
    run_days: RunDays, data: Path, runs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_one_that_vanishes(*given: Any) -> list[Place]:
        return [*provide(*given), Place("/in/.sources/9", data / "gone")]

    monkeypatch.setattr(days, "provide", with_one_that_vanishes)
    told = run_days("ok", last=FOUR[1])

    assert FOUR[:2] == told["done"] == list(published(data))
    assert [["days"], ["ok"], ["ok"]] == runs


@pytest.mark.parametrize(
    ("verb", "row", "reason"),
    [
        ("link", {}, "wrote /out/extra, a link or a special file; refused"),
        ("eat", {}, "needed more memory than its limit of 64 MiB"),
        ("sleep", {"params": {"seconds": 9}, "limits": {"timeout": "1s"}}, "after 1 s, its time"),
        ("fail", {"params": {"code": 75}}, "the reason, on row 7 (exit code 75, try again later)"),
    ],
)
def test_each_failure_is_told_as_that_of_a_day_alone(
    run_days: RunDays, verb: str, row: dict[str, Any], reason: str, data: Path
) -> None:
    with pytest.raises(AirflowException) as failed:
        run_days(verb, row=row, last=FOUR[1])

    assert "2 of 2 days failed" in str(failed.value)
    assert reason in str(failed.value)
    assert {} == published(data)


def test_a_day_sees_its_own_inputs_and_can_write_to_none(
    run_days: RunDays, data: Path, runs: list[list[str]]
) -> None:
    give(data, dict.fromkeys(FOUR, 0))
    run_days("others", row=READS)
    seen = {day: summary["in"].split() for day, summary in published(data).items()}
    run_days("look", row=READS, force=True)
    walls = list(published(data).values())

    assert [["days"], ["days"]] == runs
    for day, names in seen.items():
        assert "raw" in names
        assert [day] == [name for name in names if name.startswith("2013")]
    assert {"read-only"} == {each[key] for each in walls for key in ("in", "root")}
    assert {"lo "} == {each["interfaces"] for each in walls}
    assert {data.stat().st_uid} == {each["uid"] for each in walls}


def test_a_directory_that_all_days_read_is_mounted_once(
    run_days: RunDays, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(data, dict.fromkeys(FOUR, 0))
    targets: list[str] = []
    bind = container.ContainerEngine.bind

    def recorded(self: Any, target: str, path: Path, **given: Any) -> Any:
        targets.append(target)
        return bind(self, target, path, **given)

    monkeypatch.setattr(container.ContainerEngine, "bind", recorded)
    row = {**READS, "optional": ["raw"]}
    run_days("count", row=row, window=4)
    files = {day: summary["files"] for day, summary in published(data).items()}

    assert 4 == sum(target.startswith("/in/.sources/") for target in targets)
    assert 1 + 2 + 3 + 4 == sum(text.count("/code") for text in files.values())


@pytest.mark.parametrize(
    ("row", "expected"),
    [({"image": None}, False), ({"always": True}, False), ({"network": True}, False), ({}, True)],
)
def test_rows_of_other_images_or_of_work_elsewhere_run_day_by_day(
    run_days: RunDays, runs: list[list[str]], test_image: str, row: dict[str, Any], expected: bool
) -> None:
    told = run_days("ok", last=FOUR[1], row={k: v or test_image for k, v in row.items()})

    assert FOUR[:2] == told["done"]
    assert ([["days"]] if expected else [["ok"], ["ok"]]) == runs


@pytest.mark.parametrize("verb", ["sleep", "stubborn"])
def test_a_kill_removes_the_containers_of_several_days(
    table: Callable[..., None],
    containers: Callable[[], list[Any]],
    data: Path,
    days_image: str,
    verb: str,
) -> None:
    table(stage={"image": days_image, "verb": verb, "params": {"seconds": 60}})
    command = [sys.executable, str(HERE / "killed_task.py"), str(HERE / "tiny"), "days", DAY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as task:
        wait_for(lambda: [c for c in containers() if c.status == "running"])
        named = containers()[0].labels["microstage.day"]
        time.sleep(0.5)
        task.send_signal(signal.SIGTERM)
        started = time.monotonic()
        wait_for(lambda: not containers())
        seconds = time.monotonic() - started
        task.communicate()

    assert " to " in named
    assert seconds < 5  # then the supervisor sends SIGKILL
    assert [] == containers()
    assert {} == published(data)


def test_a_batch_is_as_large_as_keeps_all_busy(data: Path) -> None:
    def size(count: int, at_once: int) -> int:
        names = [str(n) for n in range(count)]
        folder: Any = SimpleNamespace(root=data)
        run: Any = SimpleNamespace(instance="stage-1")
        return days.DaysEngine(folder, run, names, at_once, print).size

    assert [1, 12, 15, 16, 1] == [size(1, 2), size(24, 2), size(60, 2), size(64, 4), size(4, 8)]
