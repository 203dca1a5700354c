"""What a stage's run is through the guard: what it is without one, and its walls are up."""

import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from docker.errors import APIError
from guard.compose import LINK_LOCAL
from guard.settings import Settings
from guarded import DAY, IMAGE, INSTALL, SECRET, UID, Place, run_pinned, wait_for

from microstage.clearing import remove, remove_all, sweep
from microstage.contract import Run, run_job
from microstage.engines.container import ContainerEngine, find_image
from microstage.engines.days import DaysEngine
from microstage.errors import StageError
from microstage.jobs import window_days

Body = Callable[..., dict[str, Any]]


def run_days(place: Place, *days: str) -> tuple[dict[str, Any], list[str]]:
    """Run a row for several days at once; return the summary of each, and what was said."""
    run = Run("d", "r", "day")
    lines: list[str] = []
    image = find_image(place.client(), IMAGE)
    together = DaysEngine(place.folder(), run, days, 1, lines.append)

    def one(day: str) -> dict[str, Any]:
        who = replace(run, day=day)
        alone = ContainerEngine(place.client, place.folder(), image, who, lines.append)
        return run_job(
            place.folder(),
            place.job("day", day),
            image_id=image.id,
            run=who,
            engine=together.of(alone),
            log=lines.append,
            force=True,
        )

    with ThreadPoolExecutor(len(days)) as pool:
        return dict(zip(days, pool.map(one, days), strict=True)), lines


def test_a_row_is_run_and_published_with_its_inputs_and_an_empty_out(place: Place) -> None:
    summary = place.run(place.job("look", model="models/one", window=2))

    expected = f"model/file raw/2013-01-05/file raw/{DAY}/file same/file"
    assert {"files": expected, "there": ""} == summary
    assert "a result\n" == (place.data / "looked" / DAY / "result.txt").read_text()
    assert UID == (place.data / "looked" / DAY / "result.txt").stat().st_uid


def test_what_is_published_behind_links_is_read_as_if_it_were_there_itself(place: Place) -> None:
    folder = place.data / "raw"
    for day in ("2013-01-05", DAY):
        version = folder / f".versions/{day}.5f0c3a1b"
        version.parent.mkdir(exist_ok=True)
        (folder / day).rename(version)
        (folder / day).symlink_to(version.relative_to(folder))
    try:
        one = place.run(place.job("look", model="models/one", window=2))
        several, _ = run_days(place, "2013-01-05", DAY)
    finally:
        for day in ("2013-01-05", DAY):
            (folder / day).unlink()
            (folder / f".versions/{day}.5f0c3a1b").rename(folder / day)

    assert f"model/file raw/2013-01-05/file raw/{DAY}/file same/file" == one["files"]
    assert {day: {"files": "raw/file", "there": ""} for day in ("2013-01-05", DAY)} == several


def test_the_walls_are_up(place: Place, body: Body) -> None:
    client = place.client()
    made = client.create_container_from_config(body())["Id"]
    found = place.engine.inspect_container(made)
    host, mounts = found["HostConfig"], {each["Destination"]: each for each in found["Mounts"]}
    remove(client, made)

    assert f"{UID}:{UID}" == found["Config"]["User"]
    assert (True, ["ALL"], ["no-new-privileges"], True) == (
        host["ReadonlyRootfs"],
        host["CapDrop"],
        host["SecurityOpt"],
        host["Init"],
    )
    assert (2**26, 2**26, 16, 10**9) == (
        host["Memory"],
        host["MemorySwap"],
        host["PidsLimit"],
        host["NanoCpus"],
    )
    assert (None, None, None, False) == (
        host["Binds"],
        host["CapAdd"],
        host["Devices"],
        host["Privileged"],
    )
    assert ("none", "", "private") == (host["NetworkMode"], host["PidMode"], host["IpcMode"])
    assert {"/tmp": "rw,noexec,nosuid,nodev,size=256m,mode=1777"} == host["Tmpfs"]
    assert {"/out": True} == {to: True for to, each in mounts.items() if each["RW"]}
    volume = Settings(str(place.data), "", 0, install=INSTALL).volume
    assert {(volume, "volume")} == {(m["Name"], m["Type"]) for m in mounts.values()}


def test_no_variable_of_a_stage_is_told_by_the_guard(place: Place, body: Body) -> None:
    client = place.client()
    made = client.create_container_from_config(body("variables"))["Id"]
    told = json.dumps([client.inspect_container(made), client.containers(all=True)])
    known = place.engine.inspect_container(made)["Config"]["Env"]
    remove(client, made)

    assert f"SERVICE_TOKEN={SECRET}" in known
    assert SECRET not in told


def test_the_guard_fills_in_what_the_task_does_not_have(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVICE_TOKEN", raising=False)
    monkeypatch.setenv("SERVICE_USER", "somebody else")  # what a task has does not count

    assert {"SERVICE_USER": "stages", "SERVICE_TOKEN": SECRET} == place.run(place.job("variables"))


def test_a_row_that_leads_outside_does_not_reach_the_metadata_of_a_cloud(
    place: Place, metadata: str
) -> None:
    gateway = place.engine.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"]
    raw = place.engine.create_container(IMAGE, command=["reach"], user="0:0")["Id"]
    place.engine.start(raw)
    place.engine.wait(raw)
    unguarded = place.engine.logs(raw)
    place.engine.remove_container(raw)

    assert b"reached: True" in unguarded, "it is there, for whoever is not kept from it"
    assert {"reached": False} == place.run(place.job("reach"))
    inside = ["nsenter", "--target", (place.root / "engine.pid").read_text(), "--net"]
    serve = ["python3", "-m", "http.server", "--bind", gateway, "8000"]
    server = subprocess.Popen([*inside, *serve], stderr=subprocess.DEVNULL)
    try:
        wait_for(
            lambda: (
                b"8000"
                in subprocess.run([*inside, "ss", "-ltn"], check=True, capture_output=True).stdout
            )
        )
        outside = place.job("reach", params={"host": gateway, "port": 8000})
        assert {"reached": True} == place.run(outside), "it leads outside all the same"
    finally:
        server.terminate()
        server.wait(10)


def test_what_the_guard_has_made_comes_again_when_somebody_has_cleared_the_engine(
    place: Place, metadata: str
) -> None:
    volume = Settings(str(place.data), "", 0, install=INSTALL).volume
    place.run(place.job("reach"))
    place.engine.remove_network(LINK_LOCAL)  # as docker system prune does
    place.engine.remove_volume(volume)  # as docker volume prune --all does

    assert {"reached": False} == place.run(place.job("reach"))
    assert str(place.data) == place.engine.inspect_volume(volume)["Options"]["device"]


def test_a_row_of_a_service_has_its_network_alone(place: Place, body: Body) -> None:
    client = place.client()
    made = client.create_container_from_config(body("variables"))["Id"]
    networks = place.engine.inspect_container(made)["NetworkSettings"]["Networks"]
    remove(client, made)

    assert [f"{INSTALL}_tracking"] == list(networks)


def test_several_days_share_a_container(place: Place) -> None:
    results, lines = run_days(place, "2013-01-05", DAY)

    assert {day: {"files": "raw/file", "there": ""} for day in ("2013-01-05", DAY)} == results
    assert "2013-01-05 to 2013-01-06: 2 days in one container." in lines
    assert not [line for line in lines if "alone" in line]


def test_a_year_of_days_is_mounted(place: Place) -> None:
    for day in window_days(DAY, 365):
        (place.data / "raw" / day).mkdir(exist_ok=True)
        (place.data / "raw" / day / "file").write_text(day)
    summary = place.run(place.job("look", model="models/one", window=365))

    assert 365 == summary["files"].count("raw/")


def test_a_silent_stage_is_not_cut_off(place: Place) -> None:
    seconds = int(os.environ.get("MICROSTAGE_TEST_SILENCE") or 12)  # longer than a client may take

    assert {} == place.run(place.job("long", params={"seconds": seconds}))


def test_an_image_that_is_absent_is_told_with_the_way_to_get_it(place: Place) -> None:
    with pytest.raises(StageError, match=r"absent:1 is not on this machine; get it with ") as found:
        place.run(place.job("absent"))

    assert 66 == found.value.code


def test_a_pinned_image_is_run_whatever_its_name_means_by_now(place: Place) -> None:
    assert {} == run_pinned(place)


def test_an_image_that_does_not_say_it_is_a_stage_is_refused(place: Place) -> None:
    with pytest.raises(StageError, match=r"lacks the label org\.microstage\.contract=1"):
        place.run(place.job("unlabelled"))


def test_a_row_counts_from_the_next_container_on(place: Place, body: Body) -> None:
    before, sent = (place.dags / "stages.toml").read_text(), body("wait")
    try:
        (place.dags / "stages.toml").write_text(before.replace('memory = "64m"', 'memory = "65m"'))
        with pytest.raises(APIError, match="HostConfig, Memory"):
            place.client().create_container_from_config(sent)
        assert {} == place.run(place.job("wait"))
        (place.dags / "stages.toml").write_text("broken")
        made = body_of_65(sent)
        client = place.client()
        remove(client, client.create_container_from_config(made)["Id"])
    finally:
        (place.dags / "stages.toml").write_text(before)


def body_of_65(sent: dict[str, Any]) -> dict[str, Any]:
    """While the file is broken the row is what it was last."""
    return {
        **sent,
        "HostConfig": {**sent["HostConfig"], "Memory": 65 * 2**20, "MemorySwap": 65 * 2**20},
    }


def test_what_an_earlier_try_left_is_found_and_removed(place: Place, body: Body) -> None:
    client = place.client()
    left = client.create_container_from_config(body("wait", run="left"))["Id"]
    client.start(left)

    assert [left] == remove_all(place.client, Run("d", "left", "wait"))
    assert left not in place.containers()


def test_what_is_past_its_deadline_is_swept(place: Place, body: Body) -> None:
    client = place.client()
    left = client.create_container_from_config(body("wait"))["Id"]

    assert [] == sweep(client)
    client.remove_container(left, force=True)


def test_no_more_containers_are_made_than_there_may_be(place: Place, body: Body) -> None:
    client = place.client()
    bodies = [body("wait", map=number) for number in range(64)]

    def make_all() -> None:
        for sent in bodies:
            client.create_container_from_config(sent)

    with pytest.raises(APIError, match="is the most that") as refused:
        make_all()
    made = client.containers(all=True)
    for each in made:
        client.remove_container(each["Id"], force=True)

    assert 429 == refused.value.status_code
    assert 12 <= len(made) < len(bodies)
