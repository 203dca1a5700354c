"""What a stage used is in its manifest, and scripts/usage tells it beside the limits."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from unit_harness import RunJob, stage

from microstage.data_folder import DataFolder
from microstage.engines.usage import used
from microstage.exits import Exit
from microstage.jobs import Job

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/usage"
MIB = 2**20
DISKS = [{"op": "Read", "value": 5}, {"op": "Write", "value": 7}, {"op": "Total", "value": 12}]


@pytest.mark.parametrize("name", ["total_rss", "anon"])  # of cgroups of version 1 and 2
def test_memory_is_what_the_processes_hold(name: str) -> None:
    stats = {
        "memory_stats": {"usage": 999, "stats": {name: 123, "cache": 456}},
        "cpu_stats": {"cpu_usage": {"total_usage": 1_234_000_000}},
        "blkio_stats": {"io_service_bytes_recursive": DISKS},
    }

    assert {
        "memory": 123,
        "cpu_seconds": 1.23,
        "bytes_read": 5,
        "bytes_written": 7,
    } == used(stats)


def test_an_engine_that_counts_no_disk_and_no_memory_says_0() -> None:
    stats: dict[str, Any] = {
        "memory_stats": {},
        "cpu_stats": {"cpu_usage": {"total_usage": 0}},
        "blkio_stats": {"io_service_bytes_recursive": None},
    }

    assert {0} == set(used(stats).values())


def test_a_manifest_has_what_was_used_if_that_is_known(run: RunJob, data: DataFolder) -> None:
    seen = {"memory": 5, "cpu_seconds": 0.1, "bytes_read": 0, "bytes_written": 1}

    def watched(job: Job, staging: Path) -> Exit:
        stage()(job, staging)
        return Exit(0, used=seen)

    run(watched)
    manifest = data.root / "models/day/manifest.json"
    assert seen == json.loads(manifest.read_text())["used"]
    run(stage(), force=True)
    assert "used" not in json.loads(manifest.read_text())


def published(data: Path, day: str, stage: str = "train", age: int = 1, **more: Any) -> None:
    started = dt.datetime.now(dt.UTC) - dt.timedelta(days=age)
    folder = data / "models" / day
    folder.mkdir(parents=True)
    manifest = {"stage": stage, "started": started.isoformat(), "seconds": 10.0, **more}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def usage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, SCRIPT, "--data", data, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_stage_has_a_line_with_its_median_its_most_and_a_proposal(tmp_path: Path) -> None:
    for number, memory in enumerate((100, 120, 300)):
        taken = {"memory": memory * MIB, "cpu_seconds": 15}
        published(tmp_path, f"2013-01-0{number}", used=taken)
    published(tmp_path, "2013-01-05", seconds=30.0)
    published(tmp_path, "2013-01-06", age=40, used={"memory": 2**40, "cpu_seconds": 1})
    published(tmp_path, "2013-01-07", stage="split", used={"memory": MIB, "cpu_seconds": 1})
    published(tmp_path, "2013-01-08", stage="nobody's")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/manifest.json").write_text("[]")
    done = usage(tmp_path)

    [train] = [line for line in done.stdout.splitlines() if line.startswith("| train ")]
    [split] = [line for line in done.stdout.splitlines() if line.startswith("| split ")]
    assert train.startswith("| train | 4 | 10.0 | 30.0 | ")
    assert " | 120 | 300 | " in train
    assert " | 512 | 1.5 | 1.5 | " in train, "half as much again, rounded up"
    assert " |  | 0.1 | 0.1 | " in split, "one run is not enough to propose by"
    assert "nobody" not in done.stdout


def test_where_nothing_was_published_it_says_so(tmp_path: Path) -> None:
    done = usage(tmp_path)

    assert 66 == done.returncode
    assert f"{tmp_path} has nothing that was published in 4 weeks." in done.stderr
