"""Several runs that want the same directory, and none that has room for it."""

import datetime as dt
import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from slow_pipeline import Slow
from stack import docker, meanwhile, wait_until

from support.swaps import present

MIB = 2**20


@contextmanager
def reader(directory: Path) -> Iterator[dict[str, int]]:
    """Read a published day all the time, as somebody would; count what is seen.

    Who opens the directory once sees one state of it, and opens it again where that has gone.
    """
    seen = {"whole": 0, "mixed": 0, "missing": 0}

    def read(folder: int, name: str) -> bytes:
        handle = os.open(name, os.O_RDONLY, dir_fd=folder)
        with os.fdopen(handle, "rb") as file:
            return file.read()

    def look() -> None:
        try:
            folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            seen["missing"] += 1
            return
        try:
            manifest = read(folder, "manifest.json").decode()
            digest = hashlib.sha256(read(folder, "data.csv")).hexdigest()
            seen["whole" if digest in manifest else "mixed"] += 1
        except FileNotFoundError:
            pass  # replaced between the opening of the two, and removed
        finally:
            os.close(folder)

    with meanwhile(look, 0.001):
        yield seen


def test_two_runs_of_one_day_publish_whole_directories_which_a_reader_never_misses(
    slow: Slow,
) -> None:
    day = dt.date(2020, 9, 1)
    slow.takes(1)
    slow.run("generate_data", day)
    before = slow.manifest(f"raw/{day}")
    slow.takes(8)
    with reader(slow.data / f"raw/{day}") as counted:
        alone = slow.airflow.trigger("generate_data", dt.date(2020, 9, 2), {"day": str(day)})
        conf = {"first": str(day), "last": str(day), "force": True}
        slow.airflow.switch_on("backfill")
        filled = slow.airflow.trigger("backfill", day, conf)
        wait_until(lambda: len(slow.running()) == 2)
        at_once = [container[:12] for container in slow.running()]
        wait_until(lambda: slow.has_ended(alone) and slow.has_ended(filled))
    after = slow.manifest(f"raw/{day}")
    data = (slow.data / f"raw/{day}/data.csv").read_bytes()

    assert "success" == slow.state_of(alone)
    assert "success" == slow.states("backfill", day)["generate"]
    assert slow.host(day) in at_once
    assert after["run"] != before["run"]
    assert hashlib.sha256(data).hexdigest() in str(after["outputs"]["data.csv"])
    assert counted["whole"] > 100
    assert 0 == counted["mixed"] == counted["missing"], counted
    assert [] == slow.left()


def test_a_day_whose_row_got_another_image_meanwhile_is_made_by_that_alone(slow: Slow) -> None:
    day, other = dt.date(2020, 9, 3), f"{slow.image}-other"
    slow.build(other, "--label", "org.opencontainers.image.version=other")
    of_other = present(other).id
    slow.takes(40)
    run = slow.start("generate_data", day)
    wait_until(slow.running)
    [first] = slow.running()
    at_once = []
    slow.file.write_text(slow.file.read_text().replace(slow.image, other).replace("40", "5"))
    slow.kill_task()
    while not slow.has_ended(run):
        at_once.append(len(slow.running()))
    docker("rmi", "--force", other)

    assert "success" == slow.state_of(run)
    assert of_other == slow.manifest(f"raw/{day}")["image_id"]
    assert first != slow.host(day)
    assert max(at_once) == 1, "the first one is gone when the second one begins"
    assert [] == slow.left()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_on_a_full_disk_what_is_published_stays_and_with_room_the_run_goes_on(slow: Slow) -> None:
    day, whole = dt.date(2020, 9, 4), dt.date(2020, 9, 5)
    with small_disk(slow, MIB) as ballast:
        slow.takes(1)
        slow.run("generate_data", whole)
        before = slow.manifest(f"raw/{whole}")
        slow.takes(1, mib=2)
        runs = [
            slow.start("generate_data", day),
            slow.start("backfill", whole, first=str(whole), last=str(whole)),
        ]
        wait_until(lambda: all(slow.has_ended(run) for run in runs))
        ended = [slow.state_of(run) for run in runs]
        stopped = slow.log("generate_data", day, "generate")
        nothing = not (slow.data / f"raw/{day}").exists()
        kept = slow.manifest(f"raw/{whole}")
        fill(ballast)
        slow.takes(1)
        failed = slow.run("generate_data", day)
        refused = slow.log("generate_data", day, "generate")
        ballast.unlink()
        states = slow.run("generate_data", day)

        assert ["failed", "failed"] == ended
        assert "No space left on device (exit code 1" in stopped
        assert nothing
        assert before == kept
        assert {"failed"} == set(failed.values())
        assert "The disk under" in refused
        assert "is full: make room and run it again" in refused
        assert {"success"} == set(states.values())
        assert [] == slow.left()


def fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@contextmanager
def small_disk(slow: Slow, size: int) -> Iterator[Path]:
    """Give the pipeline a disk of so many bytes; yield a file to fill it with."""
    folder = slow.data
    recreate = ["up", "--detach", "--wait", "--force-recreate", "--no-deps"]
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    options = f"size={size},uid={aside.stat().st_uid},gid={aside.stat().st_gid},mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        slow.stack.run("docker", "compose", *recreate, "scheduler", "guard")
        yield folder / "ballast"
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
        aside.rename(folder)
        slow.stack.run("docker", "compose", *recreate, "scheduler", "guard")
        time.sleep(1)
