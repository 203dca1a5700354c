"""Work on parts in several processes: what comes back is what one process would have made."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest
from stageframe import TRY_AGAIN, StageError
from stageframe.parallel import cpus, worked

PARTS = range(7)


def double(part: int) -> int:
    return 2 * part


@pytest.mark.parametrize("processes", [1, 2, 3, 10])
def test_results_come_in_the_order_of_their_parts(processes: int) -> None:
    assert [2 * part for part in PARTS] == [*worked(lambda: PARTS, double, processes)]
    assert [] == [*worked(lambda: (), double, processes)]


def test_each_process_works_on_its_share_and_one_process_is_this_one() -> None:
    pids = [*worked(lambda: PARTS, lambda _: os.getpid(), 3)]

    assert pids[:3] == pids[3:6]
    assert 3 == len({*pids} - {os.getpid()})
    assert {os.getpid()} == {*worked(lambda: PARTS, lambda _: os.getpid(), 1)}


def test_results_may_be_larger_than_a_pipe() -> None:
    sizes = [len(text) for text in worked(lambda: PARTS, lambda _: bytes(2**22), 2)]

    assert [2**22] * len(PARTS) == sizes


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_fault_is_raised_in_its_turn(processes: int) -> None:
    def work(part: int) -> int:
        if part == 4:
            raise StageError("t.csv, row 4: correct it", TRY_AGAIN)
        return part

    found = list[int]()
    with pytest.raises(StageError, match="row 4") as caught:
        found.extend(worked(lambda: PARTS, work, processes))

    assert [0, 1, 2, 3] == found
    assert ("t.csv, row 4: correct it", TRY_AGAIN) == (str(caught.value), caught.value.code)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_fault_of_reading_is_raised_in_its_turn(processes: int) -> None:
    def parts() -> Iterator[int]:
        yield from range(4)
        raise FileNotFoundError(2, "No such file", "/in/t.csv")

    found = list[int]()
    with pytest.raises(FileNotFoundError) as caught:
        found.extend(worked(parts, double, processes))

    assert ([0, 2, 4, 6], "/in/t.csv") == (found, caught.value.filename)


def test_a_bug_in_another_process_tells_where_it_is() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(worked(lambda: PARTS, lambda part: 1 / (part - 1), 2))

    assert "test_frame_parallel.py" in caught.value.__notes__[0]


def test_a_process_that_is_killed_is_one_that_had_no_memory() -> None:
    def work(part: int) -> int:
        if part == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    with pytest.raises(MemoryError):
        list(worked(lambda: PARTS, work, 2))


def test_who_stops_early_leaves_no_process_behind() -> None:
    with closing(worked(lambda: PARTS, lambda _: os.getpid(), 2)) as pids:
        first = next(pids)

    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


@pytest.mark.parametrize(
    ("asked", "expected"), [("1", 1), ("2", 2), ("64", 2), ("0", 1), ("", 2), ("all", 2), (None, 2)]
)
def test_as_many_cpus_are_used_as_the_platform_says_and_no_more_than_there_are(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)

    assert expected == cpus()
