"""Many days in one run, on a real engine: each published once, whatever becomes of the others."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from dags_harness import DAY, give, read_xcom, run_each_day, states, wait_for

from microstage.each_day import DAYS, at_once, unsignalled
from microstage.table import Limits

HERE = Path(__file__).resolve().parent
DAGS = HERE.parents[1] / "dags"
FIVE = [f"2013-01-0{n}" for n in range(1, 6)]
MOMENTS = (pendulum.datetime(2013, 2, 1).add(minutes=n) for n in range(1000))
READS = {"reads": {"raw": "raw/{day}"}}
RunDays = Callable[..., dict[str, Any]]


@pytest.fixture
def run_days(data: Path, table: Callable[..., None], test_image: str) -> RunDays:
    """Run the operator on one row, for five days: run_days("ok"); returns its XCom `days`."""

    def run(
        verb: str, attempt: int = 1, run_id: str = "manual", row: Any = None, **options: Any
    ) -> dict[str, Any]:
        table(stage={"verb": verb, **(row or {})})
        return run_each_day(FIVE, attempt, run_id, **options)

    return run


def manifests(data: Path, folder: str = "stage") -> dict[str, str]:
    found = sorted(data.glob(f"{folder}/*/manifest.json"))
    return {path.parent.name: path.read_text() for path in found}


def test_each_day_is_published_on_its_own_and_told_apart_in_the_log(
    run_days: RunDays, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run_days("ok", row={"params": {"date": "{ds}"}})
    log = capsys.readouterr().out
    summaries = [json.loads((data / f"stage/{d}/summary.json").read_text()) for d in FIVE]

    assert {"done": FIVE, "left_out": {}, "failed": {}} == told
    assert FIVE == list(manifests(data))
    assert [f"--date {day}" for day in FIVE] == [each["arguments"] for each in summaries]
    assert all(f"{day}  a line on stderr" in log for day in FIVE)
    assert [] == list((data / ".staging").iterdir())


def test_as_many_days_run_at_once_as_the_engine_has_cores(
    run_days: RunDays, containers: Callable[[], list[Any]], engine: Any
) -> None:
    cores = min(engine.info()["NCPU"], len(FIVE))
    task = threading.Thread(
        target=run_days, args=["sleep"], kwargs={"row": {"params": {"seconds": 3}}}
    )
    task.start()
    wait_for(lambda: cores <= len(containers()))
    time.sleep(0.5)
    seen = containers()
    task.join()

    assert cores == len({each.labels["microstage.day"] for each in seen}) == len(seen)


@pytest.mark.parametrize(
    ("cores", "memory", "expected"), [(4, 64, 4), (4, 7, 3), (1, 64, 1), (8, 1, 1)]
)
def test_no_more_days_run_at_once_than_memory_holds_by_their_limits(
    cores: int, memory: int, expected: int
) -> None:
    limits = Limits(cpus=2, memory=2 * 2**30, pids=64, timeout=60)

    assert expected == at_once(cores, memory * 2**30, limits)


def test_what_is_up_to_date_is_not_run_again(
    run_days: RunDays, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_days("random", last=FIVE[1])
    before = manifests(data)
    capsys.readouterr()
    told = run_days("random")

    assert FIVE == told["done"]
    assert before.items() <= manifests(data).items()
    assert 2 == capsys.readouterr().out.count("is up to date")


def test_a_day_that_fails_stops_no_other_and_another_try_does_that_one_alone(
    run_days: RunDays, data: Path
) -> None:
    give(data, dict.fromkeys(FIVE, 0) | {FIVE[1]: 75, FIVE[2]: 65})
    with pytest.raises(AirflowException) as failed:
        run_days("told", row=READS)
    first = manifests(data)
    give(data, {FIVE[1]: 0, FIVE[2]: 0})
    told = run_days("told", attempt=2, row=READS)
    again = manifests(data)

    assert not isinstance(failed.value, AirflowFailException)
    assert (
        "2 of 5 days failed: 2013-01-02 to 2013-01-03; the first, 2013-01-02: stage: told to end "
        "with 75 (exit code 75, try again later)"
    ) == str(failed.value)
    assert [FIVE[0], *FIVE[3:]] == list(first)
    assert FIVE == told["done"] == list(again)
    assert first.items() <= again.items()


def test_days_that_no_other_try_can_help_are_not_tried_again(run_days: RunDays, data: Path) -> None:
    give(data, dict.fromkeys(FIVE, 0) | {FIVE[1]: 66, FIVE[4]: 65})

    with pytest.raises(AirflowFailException, match="days failed: 2013-01-02, 2013-01-05"):
        run_days("told", row=READS)


def test_a_day_without_its_data_is_left_out_and_named(run_days: RunDays, data: Path) -> None:
    give(data, dict.fromkeys(FIVE[1:], 0))
    told = run_days("told", row=READS)

    assert FIVE[1:] == told["done"] == list(manifests(data))
    assert [FIVE[0]] == list(told["left_out"])
    assert "raw/2013-01-01 does not exist" in told["left_out"][FIVE[0]]


def test_a_range_without_any_data_is_skipped_and_says_what_is_missing(run_days: RunDays) -> None:
    with pytest.raises(AirflowSkipException, match=r"2013-01-01 to 2013-01-05; .*not exist"):
        run_days("told", row=READS)


def test_what_a_person_put_there_is_left_alone_and_no_failure(
    run_days: RunDays, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "stage" / FIVE[2]).mkdir(parents=True)
    (data / "stage" / FIVE[2] / "result.txt").write_text("mine")
    told = run_days("ok", keep_foreign=True, force=True)

    assert FIVE == told["done"]
    assert "mine" == (data / f"stage/{FIVE[2]}/result.txt").read_text()
    assert 4 == len(manifests(data))
    assert f"{FIVE[2]}  stage/{FIVE[2]} holds files" in capsys.readouterr().out


def test_another_try_with_force_leaves_alone_what_this_run_has_done(
    run_days: RunDays, data: Path
) -> None:
    give(data, dict.fromkeys(FIVE, 0))
    run_days("told", row=READS, run_id="earlier")
    earlier = manifests(data)
    give(data, {FIVE[1]: 75})
    with pytest.raises(AirflowException):
        run_days("told", row=READS, force=True)
    between = manifests(data)
    give(data, {FIVE[1]: 0})
    run_days("told", attempt=2, row=READS, force=True)
    after = manifests(data)

    assert [FIVE[0], *FIVE[2:]] == [day for day in FIVE if earlier[day] != between[day]]
    assert [FIVE[1]] == [day for day in FIVE if between[day] != after[day]]


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("2013-02-01", "2013-01-01", "The first day, 2013-02-01, is after the last, 2013-01-01."),
        ("2013-01-01", "2015-01-01", "are 731 days; one run does 366 at most"),
        ("January", "2013-01-01", "'January' is not a day"),
    ],
)
def test_a_range_that_is_none_fails_at_once(
    run_days: RunDays, first: str, last: str, reason: str
) -> None:
    with pytest.raises(AirflowFailException, match=reason):
        run_days("ok", first=first, last=last)


@pytest.mark.parametrize("verb", ["sleep", "stubborn"])
def test_a_kill_removes_the_containers_of_all_days_and_begins_no_other(
    table: Callable[..., None],
    containers: Callable[[], list[Any]],
    data: Path,
    test_image: str,
    verb: str,
) -> None:
    table(stage={"verb": verb, "params": {"seconds": 60}})
    command = [sys.executable, str(HERE / "killed_task.py"), str(HERE / "tiny"), "days", DAY]
    some = min(2, os.cpu_count() or 1)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as task:
        wait_for(lambda: len([c for c in containers() if c.status == "running"]) >= some)
        task.send_signal(signal.SIGTERM)
        started = time.monotonic()
        wait_for(lambda: not containers())
        seconds = time.monotonic() - started
        task.communicate()

    assert seconds < 5  # then the supervisor sends SIGKILL
    assert [] == containers()
    assert {} == manifests(data)


def test_a_signal_wakes_the_task_whatever_its_threads_are_at() -> None:
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    over = threading.Event()

    def begin_threads() -> None:
        while not over.is_set():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    late = 0
    with unsignalled(2) as pool:
        days = [pool.submit(begin_threads) for _ in range(2)]
        try:
            for _ in range(200):
                told.clear()
                threading.Timer(0.01, kill).start()
                # As the main thread waits for the days, which nothing but a signal ends.
                late += not told.wait(0.5)
        finally:
            over.set()
            signal.signal(signal.SIGTERM, before)

    assert late == 0
    assert all(day.result() is None for day in days)


# --- the DAG, with small stages


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(DAGS)


@pytest.fixture
def rows(data: Path, table: Callable[..., None], test_image: str) -> Callable[..., None]:
    """Write the rows of the DAG, all of the test stage: rows(fetch={"verb": "fail"})."""

    def write(**changes: dict[str, Any]) -> None:
        files = {"to": "production/{ds}", "files": ["result.txt"]}
        model = {"model": "{model}"}
        shipped: dict[str, dict[str, Any]] = {
            "generate": {"verb": "raw", "writes": {"to": "raw/{ds}", "files": ["code"]}},
            "train": {"verb": "ok"},
            "fetch": {"verb": "ok", "writes": files, "always": True},
            "transform": {"verb": "told", "reads": {"raw": "raw/{day}", **model}},
            "predict": {"verb": "random", "reads": {"features": "transform/{ds}", **model}},
            "monitor": {
                "verb": "report",
                "reads": {"predictions": "predict/{day}", **model},
                "optional": ["predictions"],
                "writes": {"to": "reports/{ds}", "files": ["quality.json"]},
            },
        }
        table(**{name: {**row, **changes.get(name, {})} for name, row in shipped.items()})

    return write


@pytest.fixture
def backfill(bag: DagBag) -> Callable[..., Any]:
    """Run the DAG for the five days."""

    def run(**conf: Any) -> Any:
        # All of them, as Airflow keeps the parameters of the last run in a process.
        conf = {"first": FIVE[0], "last": FIVE[-1], "generate": True, "force": False, **conf}
        return bag.dags["backfill"].test(logical_date=next(MOMENTS), run_conf=conf)

    return run


def result(run: Any) -> dict[str, str]:
    return {task: state for task, (state, _) in states(run).items()}


def test_the_dag_makes_predicts_and_reports_and_a_daily_run_finds_it_done(
    bag: DagBag, rows: Callable[..., None], backfill: Callable[..., Any], data: Path
) -> None:
    rows()
    run = backfill()
    before = manifests(data, "*")
    folders = [p.name for p in sorted(data.iterdir()) if not p.name.startswith(".")]
    predicted = {day: json.loads(text)["model"]["path"] for day, text in before.items()}
    texts = {p: p.read_text() for p in data.glob("*/*/manifest.json")}
    for dag in ("generate_data", "predict", "monitor"):
        bag.dags[dag].test(logical_date=next(MOMENTS), run_conf={"day": FIVE[2]})
    again = backfill()

    assert {"success"} == set(result(run).values()) == set(result(again).values())
    assert ["predict", "production", "raw", "reports", "transform"] == folders
    assert {day: f"production/{day}" for day in FIVE} == predicted
    assert 5 * len(FIVE) == len(texts)
    assert texts == {path: path.read_text() for path in texts}
    assert {"generate": 5, "transform": 5, "predict": 5, "monitor": 5, "poor": 5} == read_xcom(
        run, "check"
    )


def test_the_days_that_can_be_done_are_done_and_the_run_is_red(
    rows: Callable[..., None], backfill: Callable[..., Any], data: Path
) -> None:
    rows()
    give(data, {FIVE[1]: 65})  # what a person put there
    run = backfill()
    good = [FIVE[0], *FIVE[2:]]

    assert "failed" == str(run.state)
    assert {"transform": "failed", "check": "failed"} == {
        task: state for task, state in result(run).items() if state != "success"
    }
    assert good == list(manifests(data, "predict")) == list(manifests(data, "reports"))
    assert [FIVE[1]] == list(read_xcom(run, "predict", DAYS)["left_out"])


def test_without_a_model_in_production_the_data_is_made_and_the_rest_skipped(
    rows: Callable[..., None], backfill: Callable[..., Any], data: Path
) -> None:
    rows(fetch={"verb": "fail", "params": {"code": 66}})
    run = backfill()

    assert "success" == str(run.state)
    assert {"generate", "check"} == {t for t, state in result(run).items() if state == "success"}
    assert {"success", "skipped"} == set(result(run).values())
    assert FIVE == list(manifests(data, "raw"))


def test_no_data_is_made_where_a_person_says_so(
    rows: Callable[..., None], backfill: Callable[..., Any], data: Path
) -> None:
    rows()
    give(data, {FIVE[1]: 0, FIVE[3]: 0})
    run = backfill(generate=False)

    assert "success" == str(run.state)
    assert "skipped" == result(run)["generate"]
    assert [FIVE[1], FIVE[3]] == list(manifests(data, "reports"))
    assert {} == manifests(data, "raw")
    assert [FIVE[0], FIVE[2], FIVE[4]] == list(read_xcom(run, "transform", DAYS)["left_out"])


def test_the_variable_model_path_is_the_model_of_all_days(
    rows: Callable[..., None],
    backfill: Callable[..., Any],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows()
    (data / "train" / DAY).mkdir(parents=True)
    (data / "train" / DAY / "result.txt").write_text("a model")
    monkeypatch.setenv("AIRFLOW_VAR_MODEL_PATH", f"train/{DAY}")
    backfill()
    models = {json.loads(text)["model"]["path"] for text in manifests(data, "predict").values()}

    assert {f"train/{DAY}"} == models
    assert not (data / "production").exists()


def test_the_run_is_red_when_the_model_cannot_be_fetched(
    rows: Callable[..., None], backfill: Callable[..., Any]
) -> None:
    rows(fetch={"verb": "fail", "params": {"code": 65}})
    run = backfill()

    assert "failed" == str(run.state)
    assert ("success", "failed", "failed") == tuple(
        result(run)[task] for task in ("generate", "fetch", "check")
    )
    assert {"upstream_failed"} == {
        result(run)[task] for task in ("transform", "predict", "monitor")
    }
