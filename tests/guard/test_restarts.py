"""What becomes of a task when the guard, the engine or the client goes away in mid-run."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from guard.settings import Settings
from guarded import DAY, GUARD_IMAGE, IMAGE, INSTALL, Place, wait_for

from microstage.clearing import remove

Body = Callable[..., dict[str, Any]]


def waiting(place: Place, run: str, seconds: int) -> tuple[threading.Thread, list[Any], str]:
    """Return a task whose stage runs, how it will have ended, and its container."""
    ended: list[Any] = []
    job = place.job("wait", params={"seconds": seconds})

    def task() -> None:
        try:
            ended.append(place.run(job, run=run))
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=task)
    thread.start()
    ours = {"label": "org.microstage.guard"}
    [left] = wait_for(lambda: [c["Id"] for c in place.engine.containers(filters=ours)])
    return thread, ended, left


def stages(place: Place) -> list[dict[str, Any]]:
    return list(place.engine.containers(all=True, filters={"label": "org.microstage.guard"}))


def published(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.data / f"waited/{DAY}/manifest.json").read_bytes())
    return found


def test_a_task_goes_on_when_the_guard_comes_back(bare: Place, place: Place) -> None:
    thread, ended, _ = waiting(place, "restart", 10)
    guards = place.engine.containers(filters={"ancestor": GUARD_IMAGE})
    place.engine.restart(guards[0]["Id"], timeout=5)
    thread.join(60)

    assert [{}] == ended
    assert 1 == published(place)["run"]["try"]
    assert [] == stages(place)


def test_a_task_whose_engine_stopped_is_tried_again(place: Place) -> None:
    thread, ended, left = waiting(place, "engine", 60)
    place.stop_engine()
    place.start_engine()
    guard = place.engine.containers(all=True, filters={"ancestor": GUARD_IMAGE})
    place.engine.start(guard[0]["Id"])  # as its restart policy would
    place.wait_for_guard()
    thread.join(60)

    assert "somebody or something killed it" in str(ended[0])
    assert {} == place.run(place.job("wait"), run="engine", attempt=2)
    assert left not in {each["Id"] for each in stages(place)}


def test_a_task_goes_on_when_an_engine_comes_back_that_left_its_container_running(
    bare: Place, place: Place
) -> None:
    place.stop_engine()
    place.start_engine("--live-restore")
    [guard] = place.engine.containers(all=True, filters={"ancestor": GUARD_IMAGE})
    place.engine.start(guard["Id"])
    place.wait_for_guard()
    try:
        thread, ended, left = waiting(place, "live", 15)
        place.stop_engine()
        place.start_engine("--live-restore")
        running = [each["Id"] for each in stages(place)]
        # Its socket is that of the engine before: it ends by itself, to be started anew.
        place.engine.wait(guard["Id"], timeout=60)
        place.engine.start(guard["Id"])
        thread.join(90)
    finally:
        place.stop_engine()
        place.start_engine()
        place.engine.start(guard["Id"])
        place.wait_for_guard()

    assert [left] == running
    assert [{}] == ended
    assert 1 == published(place)["run"]["try"]
    assert [] == stages(place)


def test_a_guard_sweeps_at_its_start_what_nobody_waits_for_any_more(place: Place) -> None:
    labels = {"org.microstage.guard": INSTALL, "microstage.deadline": str(int(time.time()) - 1)}
    others = {**labels, "org.microstage.guard": "another"}
    late, foreign = (
        place.engine.create_container(IMAGE, ["wait", "--seconds", "60"], labels=marks)["Id"]
        for marks in (labels, others)
    )
    try:
        place.engine.start(late)
        [guard] = place.engine.containers(filters={"ancestor": GUARD_IMAGE})
        place.engine.restart(guard["Id"], timeout=5)
        wait_for(lambda: late not in place.containers())
        place.wait_for_guard()
        assert foreign in place.containers()
    finally:
        place.engine.remove_container(foreign, force=True)


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
