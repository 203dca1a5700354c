"""A try after one that ran out of memory gets twice as much, up to what its row allows."""

from dataclasses import replace
from typing import Any

import pytest
from unit_harness import PIPELINE, ROW

from microstage import memory
from microstage.contract import Run
from microstage.jobs import Job
from microstage.memory import Memory

GIB = 2**30


class Store(dict[str, Any]):
    """As Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def job(most: int) -> Job:
    return Job(PIPELINE, replace(ROW, limits=replace(ROW.limits, memory_max=most)), {}, {}, "x")


def given(store: Store, most: int, day: str = "") -> int:
    return Memory(store).given(job(most), Run(day=day)).row.limits.memory


def test_each_try_gets_twice_as_much_up_to_the_rows_maximum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "machine", lambda: 64 * GIB)
    store, run = Store(), Run()
    had = [given(store, 3 * GIB)]
    while Memory(store).ran_out(Memory(store).given(job(3 * GIB), run), run):
        had.append(given(store, 3 * GIB))

    assert [GIB, 2 * GIB, 3 * GIB] == had


def test_no_try_gets_more_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine", lambda: GIB + 5)
    store = Store()

    assert GIB + 5 == Memory(store).ran_out(job(8 * GIB), Run())
    assert GIB + 5 == given(store, 8 * GIB)


def test_a_row_without_a_maximum_has_what_it_says() -> None:
    store = Store()

    assert 0 == Memory(store).ran_out(job(0), Run())
    assert {} == store
    assert GIB == given(Store({"memory": 4 * GIB}), 0)


def test_the_days_of_a_task_are_told_apart_and_a_changed_row_counts() -> None:
    store = Store({"memory 2013-01-06": 2 * GIB})

    assert 2 * GIB == given(store, 4 * GIB, "2013-01-06")
    assert GIB == given(store, 4 * GIB, "2013-01-07")
    assert GIB + 1 == given(store, GIB + 1, "2013-01-06")


def test_without_airflow_nothing_is_known() -> None:
    assert 0 == Memory().ran_out(job(4 * GIB), Run())
    assert GIB == Memory().given(job(4 * GIB), Run()).row.limits.memory
