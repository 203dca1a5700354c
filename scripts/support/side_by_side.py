"""Two images on the same real inputs, and how their outputs differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.swaps import present

from microstage.data_folder import MANIFEST, SUMMARY, walk
from microstage.errors import StageError
from microstage.jobs import DAY, resolve
from microstage.pipelines import Pipeline
from microstage.table import Row


def newest(data: Path, row: Row) -> tuple[dict[str, Any] | None, str]:
    """Return the manifest and day of the stage's newest result whose inputs are still there."""
    pattern = row.to.replace("{ds}", "*")
    for path in sorted(data.glob(f"{pattern}/{MANIFEST}"), reverse=True):
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        day = re.search(DAY, str(path.relative_to(data)))
        if day and all((data / source).is_dir() for source in manifest["sources"].values()):
            return manifest, day[0]
    return None, ""


def run_all(
    pipeline: Pipeline,
    data: Path,
    folder: Path,
    rows: Sequence[Row],
    manifest: dict[str, Any],
    ds: str,
    image: str,
) -> Iterator[tuple[str, str, dict[str, Any], float]]:
    """Run the stage with an image, then its readers; yield stage, target, summary, seconds.

    `data`: the pipeline's own; `folder`: a data folder for all pipelines, which is filled.
    """
    own = folder / pipeline.folder
    daily = [name for name in manifest["sources"] if re.fullmatch(rf".+/{DAY}", name)]
    model = manifest["sources"].get("model")
    for row in rows:
        first = row is rows[0]
        window = len(daily) if daily and "{day}" in "".join(row.reads.values()) else 1
        job = resolve(pipeline, row.stage, ds, window=window, model=model or "models/none")
        there = [link(data, own, s) or job.is_optional(m) for m, s in job.sources.items()]
        if not all(there):
            continue  # a reader that also reads what is not there
        command: list[str | Path] = [REPOSITORY / "scripts/run_stage", row.stage]
        command += ["--ds", ds, "--data", folder]
        command += ["--pipeline", pipeline.name, "--window", str(window)]
        command += [*(["--model", model] if model else []), *(["--image", image] if first else [])]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StageError(1, done.stderr.strip().splitlines()[-1])
        yield row.stage, job.target, json.loads(done.stdout), time.monotonic() - started


def link(data: Path, folder: Path, source: str) -> bool:
    """Provide a published directory in `folder`, by hard links; say whether it is there."""
    if not (folder / source).exists() and (data / source).is_dir():
        for directory, files in walk(data / source):
            target = folder / directory.relative_to(data)
            target.mkdir(parents=True, exist_ok=True)
            for file in files:
                os.link(directory / file, target / file)
    return (folder / source).is_dir()


def differences(old: Path, new: Path) -> Iterator[tuple[str, str]]:
    """Yield name and difference of each published file that is not the same."""
    names = {path.name for folder in (old, new) for path in folder.iterdir() if path.is_file()}
    for name in sorted(names - {MANIFEST, SUMMARY}):
        one, other = old / name, new / name
        if not one.exists() or not other.exists():
            yield name, "only the current one writes it" if one.exists() else "new"
        elif name.endswith(".csv"):
            with one.open(encoding="utf-8") as a, other.open(encoding="utf-8") as b:
                changed = [x != y for x, y in zip_longest(a, b)]
            if any(changed):
                yield name, f"{sum(changed[1:])} of {len(changed) - 1} rows differ"
        elif one.read_bytes() != other.read_bytes():
            yield name, f"differs, {one.stat().st_size} -> {other.stat().st_size} bytes"


def megabytes(image: str) -> float:
    """Return the uncompressed size of an image."""
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", present(image).store_id]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6
