"""What becomes of a task when the guard, the engine or the client goes away in mid-run."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from guard.settings import Settings
from guarded import GUARD_IMAGE, INSTALL, Place, wait_for

from microstage.clearing import remove, remove_all
from microstage.contract import Run

Body = Callable[..., dict[str, Any]]


def waiting(place: Place, run: str) -> tuple[threading.Thread, list[Exception], list[str]]:
    """Return a task whose stage runs, what it will have failed with, and its containers."""
    failed: list[Exception] = []
    job = place.job("wait", params={"seconds": 60})

    def task() -> None:
        try:
            place.run(job, run=run)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=task)
    thread.start()
    ours = {"label": "org.microstage.guard"}
    left = wait_for(lambda: [c["Id"] for c in place.engine.containers(filters=ours)])
    return thread, failed, left


def test_a_guard_that_comes_back_knows_its_containers_and_the_next_try_clears_them(
    bare: Place, place: Place
) -> None:
    thread, failed, left = waiting(place, "restart")
    guards = place.engine.containers(filters={"ancestor": GUARD_IMAGE})
    place.engine.restart(guards[0]["Id"], timeout=5)
    thread.join(60)
    place.wait_for_guard()

    assert failed, "the task fails, and is tried again"
    assert left == remove_all(place.client, Run("d", "restart", "wait"))
    assert {} == place.run(place.job("wait"), run="restart", attempt=2)


def test_an_engine_that_comes_back_has_what_was_left_cleared_by_the_next_try(place: Place) -> None:
    thread, failed, left = waiting(place, "engine")
    place.stop_engine()
    thread.join(60)
    place.start_engine()
    guard = place.engine.containers(all=True, filters={"ancestor": GUARD_IMAGE})
    place.engine.start(guard[0]["Id"])  # as its restart policy would
    place.wait_for_guard()

    assert failed, "the task fails, and is tried again"
    assert left == remove_all(place.client, Run("d", "engine", "wait"))
    assert {} == place.run(place.job("wait"), run="engine", attempt=2)


def test_a_client_that_goes_away_leaves_no_call_behind(place: Place, body: Body) -> None:
    client = place.client()
    sent = body("wait", run="gone", params={"seconds": 60})
    made = client.create_container_from_config(sent)["Id"]
    try:
        client.start(made)
        for _ in range(5):
            leaving = place.client()
            with pytest.raises(Exception, match="timed out"):
                leaving.wait(made, timeout=1)
            leaving.close()
        started = time.monotonic()
        assert client.ping()
        assert time.monotonic() - started < 5
    finally:
        remove(client, made)


def test_a_guard_does_not_start_where_the_volume_of_its_name_is_another_folder(
    place: Place,
) -> None:
    moved = str(place.root / "moved")
    volume = Settings(moved, "", 0, install=INSTALL).volume
    options = {"type": "none", "o": "rbind", "device": str(place.data)}
    place.engine.create_volume(volume, driver="local", driver_opts=options)
    other = place.start_guard(MICROSTAGE_HOST_DATA=moved)
    try:
        assert 78 == place.engine.wait(other)["StatusCode"]
        told = place.engine.logs(other).decode()
    finally:
        place.engine.remove_container(other, force=True)

    assert f"is not the folder {moved}, which MICROSTAGE_DATA of .env names" in told
    assert f"docker volume rm {volume}" in told
