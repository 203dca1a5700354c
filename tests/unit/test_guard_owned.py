"""What the guard of a worker host removes: what nobody listens to; without an engine."""

import asyncio
import json
from typing import Any

import pytest
from guard.engine import Answer
from guard.owned import Owned

NEVER = str(2**40)


class Engine:
    """A stand-in that has containers, and lets them be removed."""

    def __init__(self, *containers: str) -> None:
        self.there = list(containers)

    async def call(self, method: str, path: str, *_: Any, **__: Any) -> Answer:
        if method == "DELETE":
            self.there.remove(path.rpartition("/")[2])
        labels = {"microstage.deadline": NEVER}
        listed = [{"Id": container, "Labels": labels} for container in self.there]
        return Answer(200, json.dumps(listed).encode())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("guard.owned.time.monotonic", lambda: now[0])
    return now


def swept(owned: Owned) -> list[str]:
    return list(asyncio.run(owned.sweep()))


def test_what_nobody_listens_to_goes_after_a_while(clock: list[float]) -> None:
    engine: Any = Engine("heard", "alone")
    owned = Owned(engine, "microstage", 10, unattended=60)
    assert [] == swept(owned)
    with owned.heard("heard"):
        clock[0] += 61
        assert ["alone"] == swept(owned)
    clock[0] += 59
    assert [] == swept(owned), "its time begins when the last one has gone"
    clock[0] += 2
    assert ["heard"] == swept(owned)
    assert [] == engine.there


def test_who_comes_back_in_time_finds_it(clock: list[float]) -> None:
    engine: Any = Engine("a")
    owned = Owned(engine, "microstage", 10, unattended=60)
    for _ in range(3):
        with owned.heard("a"), owned.heard("a"):
            clock[0] += 100
            assert [] == swept(owned)
        clock[0] += 50
        assert [] == swept(owned)


def test_on_one_machine_it_waits_for_the_next_try(clock: list[float]) -> None:
    engine: Any = Engine("alone")
    owned = Owned(engine, "microstage", 10)
    assert [] == swept(owned)
    clock[0] += 10**6

    assert [] == swept(owned)
