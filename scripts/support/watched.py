"""What a stage needs on large data: seconds, and memory from its container's cgroup."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import docker

from support.command import UNAVAILABLE

from microstage.contract import Run, run_job
from microstage.data_folder import MANIFEST, DataFolder
from microstage.endpoint import endpoint
from microstage.engines.container import ContainerEngine, find_image
from microstage.errors import StageError
from microstage.exits import Exit
from microstage.jobs import Job, resolve
from microstage.pipelines import Pipeline
from microstage.table import Row

DAY = "2013-01-01"
EVERY = 0.02  # seconds


class Watch:
    """What a container used; filled by the client that starts it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.held = self.counted = 0  # bytes
        self.ended = threading.Event()

    def follow(self, stat: Path, peak: Path) -> None:
        """Read a cgroup until it is gone with its container."""
        while not self.ended.wait(EVERY):
            try:
                values = dict(re.findall(r"^(\w+) (\d+)$", stat.read_text(), re.MULTILINE))
                self.counted = int(peak.read_text())
            except OSError:
                return
            anonymous = values["anon"] if "anon" in values else values["total_rss"]
            self.held = max(self.held, int(anonymous))


class WatchingClient(docker.APIClient):
    """A client whose containers are watched from start to end."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(**endpoint().arguments, version="auto")
        self._watch = watch

    def start(self, *args: Any, **options: Any) -> None:
        self._started = time.perf_counter()
        super().start(*args, **options)
        pid = super().inspect_container(args[0])["State"]["Pid"]
        files = cgroup_files(Path(f"/proc/{pid}/cgroup").read_text())
        threading.Thread(target=self._watch.follow, args=files, daemon=True).start()

    def wait(self, *args: Any, **options: Any) -> Any:
        answer = super().wait(*args, **options)
        self._watch.seconds = time.perf_counter() - self._started
        self._watch.ended.set()
        return answer


def cgroup_files(cgroups: str) -> tuple[Path, Path]:
    """Return the files with the memory of a cgroup and with its peak, of version 1 or 2."""
    for pattern, root, name in (
        (
            r"^\d+:(?:.*,)?memory(?:,.*)?:(/.*)$",
            "/sys/fs/cgroup/memory",
            "memory.max_usage_in_bytes",
        ),
        (r"^0::(/.*)$", "/sys/fs/cgroup", "memory.peak"),
    ):
        found = re.search(pattern, cgroups, re.MULTILINE)
        if found and (peak := Path(root + found[1], name)).exists():
            return peak.with_name("memory.stat"), peak
    raise StageError(
        UNAVAILABLE,
        "The container's memory cgroup is not to be seen here; run this where the engine runs.",
    )


def job_of(pipeline: Pipeline, row: Row, rows: int) -> Job:
    """Return what a row does for the day, of so many rows."""
    params = {} if row.reads else {"rows": rows}
    return resolve(pipeline, row.stage, DAY, model=f"models/{DAY}", params=params)


def seconds_again(
    pipeline: Pipeline, data: DataFolder, row: Row, rows: int, *, full: bool
) -> float:
    """Return how long it takes to find that a step is done already; `full`: as of run_job."""

    def never(_job: Job, _staging: Path) -> Exit:
        raise StageError(1, f"{row.stage} is not up to date: something has changed it.")

    started = time.perf_counter()
    image = find_image(docker.APIClient(**endpoint().arguments, version="auto"), row.image)
    run_job(
        data,
        job_of(pipeline, row, rows),
        image_id=image.id,
        run=Run("measure_stages"),
        engine=never,
        log=lambda _: None,
        full=full,
    )
    return time.perf_counter() - started


@dataclass(frozen=True)
class Measured:
    """What one run of a stage took."""

    seconds: float
    """Of the whole step."""
    inside: float
    """Of its container alone."""
    held: int
    """Bytes of anonymous memory at the peak."""
    counted: int
    """Bytes that the kernel counted for the container, its page cache included."""
    rows: int


def measured(
    pipeline: Pipeline, data: DataFolder, row: Row, rows: int, *, force: bool = False
) -> Measured:
    """Run one stage; `force`: as of run_job."""
    job = job_of(pipeline, row, rows)
    watch = Watch()
    client = partial(WatchingClient, watch)
    run = Run("measure_stages", str(os.getpid()), row.stage)
    image = find_image(client(), row.image)
    started = time.perf_counter()
    with ContainerEngine(client, data, image=image, run=run, write=lambda _: None) as engine:
        summary = run_job(
            data, job, image_id=image.id, run=run, engine=engine, log=lambda _: None, force=force
        )
    seconds = time.perf_counter() - started
    return Measured(seconds, watch.seconds, watch.held, watch.counted, summary.get("rows", rows))


def line_of(pipeline: Pipeline, data: DataFolder, row: Row, rows: int) -> str:
    """Run one stage; return its line of the table."""
    found = measured(pipeline, data, row, rows)
    manifest = json.loads((data.path(job_of(pipeline, row, rows).target) / MANIFEST).read_bytes())
    read, written = (
        sum(file["size"] for file in manifest[kind].values()) / 1e6
        for kind in ("inputs", "outputs")
    )
    return (
        f"| {row.stage} | {found.rows:,} | {found.seconds:.1f} | {found.inside:.1f} "
        f"| {found.held / 1e6:.0f} | {found.counted / 1e6:.0f} | {read:.0f} | {written:.0f} |"
    )
