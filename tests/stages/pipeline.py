"""The steps of dags/stages.toml on two small days, so that every stage has real inputs.

They are run as the platform runs them, into a data folder that is kept: a step whose image and
inputs have not changed since the last time is not run again.
"""

import csv
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import stage_container
from harness import IMAGES, REPOSITORY, USER, reference
from stage_contract import DataFolder, Run, run_job
from stage_table import NO_INPUT, Job, Row, StageError, load_table, resolve

DAYS = ["2013-01-01", "2013-01-02"]
ROWS = 200  # of a day
MODEL = f"models/{DAYS[-1]}"
CACHE = REPOSITORY / ".cache" / "check_stage"

# A column's name that is unlike a programmer's, as those of a person's own table may be.
ODD_NAME = "Größe, total (m²)"

# What rows with a network write, the service at its other end being absent here.
EXAMPLES: dict[str, dict[str, object]] = {
    "version.json": {
        "name": "microstage",
        "version": "1",
        "run_id": "0" * 32,
        "experiment_id": "1",
        "date": DAYS[-1],
        "files": {},
        "raw": {},
    }
}


class Case(NamedTuple):
    """An image, as `reference` knows it, in the place of a stage."""

    image: str
    stage: str


def cases(*, served: bool = True) -> list[Case]:
    """Every row with the image that fills it, and every image here for what it says that it fills.

    `served` takes in rows with a network, although the service at its other end is not here.
    """
    rows = [row for row in load_table().values() if served or not row.network]
    filled = [Case(short(row.image), row.stage) for row in rows]
    stages = {row.stage for row in rows}
    claimed = [Case(image, s) for image in IMAGES for s in claims(image) if s in stages]
    return list(dict.fromkeys(filled + claimed))


def claims(image: str) -> list[str]:
    """The stages that an image's Dockerfile says it can fill."""
    dockerfile = (REPOSITORY / "containers" / image / "Dockerfile").read_text("utf-8")
    return " ".join(re.findall(r'org\.microstage\.stage="(.*?)"', dockerfile)).split()


def short(image: str) -> str:
    """`train` for `microstage/train:1.0.0`; a reference that is of no folder here stays."""
    name = re.split("[:@]", image.removeprefix("microstage/"))[0]
    return name if image.startswith("microstage/") and name in IMAGES else image


def job_of(row: Row, day: str = DAYS[-1]) -> Job:
    """What the row does for a day, or for the window that ends with the last of DAYS.

    A model is trained on a window, and at work it is about one day: as the DAGs have it.
    """
    window = 1 if "{model}" in row.reads.values() else len(DAYS)
    return resolve(row, day, window=window, model=MODEL)


def needed(job: Job) -> dict[str, str]:
    """The job's sources without those that may be absent; of a window's days, the last may not."""
    last = {mount.partition("/")[0]: mount for mount in job.sources if "/" in mount}.values()
    return {m: path for m, path in job.sources.items() if m in last or not job.is_optional(m)}


def reads(stage: str) -> dict[str, tuple[str, ...]]:
    """What a stage finds under /in: `raw`, and the files that the writer's row declares for it."""
    table = load_table()
    found = {}
    for mount, source in needed(job_of(table[stage])).items():
        writer = writer_of(table, source)[0]
        found[mount.partition("/")[0]] = table[writer].files if writer else ()
    return found


def writer_of(table: Mapping[str, Row], source: str) -> tuple[str, str]:
    """The stage that writes a directory of the data folder, and its day; "" if none does."""
    for stage, row in table.items():
        for day in DAYS:
            if job_of(row, day).target == source:
                return stage, day
    return "", ""


class Pipeline:
    """A data folder that fills itself as its directories are asked for."""

    def __init__(self, root: Path = CACHE, swapped: Case | None = None) -> None:
        """`swapped` puts another image into the place of a stage."""
        self._table = load_table()
        if swapped:
            row = self._table[swapped.stage]
            self._table[swapped.stage] = replace(row, image=reference(swapped.image))
        root.mkdir(parents=True, exist_ok=True)
        if not os.getuid():
            os.chown(root, *map(int, USER.split(":")))  # whose folder it is, is whom stages run as
        self._data = DataFolder.at(root)
        # A stage that reads nothing writes as many rows as it likes; the others get a few of them.
        (root / "whole").mkdir(exist_ok=True)
        self._whole = DataFolder.at(root / "whole")
        os.chown(self._whole.root, *self._data.owner)

    def inputs(self, stage: str) -> dict[str, Path]:
        """What the row reads: the paths under /in, and the directories for them, filled."""
        sources = needed(job_of(self._table[stage]))
        with locked(self._data.root):
            return {mount: self._provide(source) for mount, source in sources.items()}

    def output(self, stage: str) -> Path:
        """What the row writes. Raises StageError where it cannot be written."""
        with locked(self._data.root):
            return self._provide(job_of(self._table[stage]).target)

    def after(self, stage: str) -> list[str]:
        """The stages that read what this one writes."""
        target = job_of(self._table[stage]).target
        return [
            name
            for name, row in self._table.items()
            if target in needed(job_of(row)).values() and not row.network
        ]

    def copy(self, root: Path, swapped: Case) -> "Pipeline":
        """The same with another image in the place of a stage; what does not change is there."""
        shutil.copytree(self._data.root, root)
        return Pipeline(root, swapped)

    def _provide(self, source: str) -> Path:
        stage, day = writer_of(self._table, source)
        if not stage:
            raise StageError(NO_INPUT, f"No row of the table writes {source}.")
        row = self._table[stage]
        job = job_of(row, day)
        if row.network:
            return self._example(row, source)
        for before in needed(job).values():
            self._provide(before)
        if job.sources:
            self._run(self._data, job)
            return self._data.path(source)
        self._run(self._whole, job)
        whole, here = self._whole.path(source), self._data.path(source)
        here.mkdir(parents=True, exist_ok=True)
        for file in row.files:
            (here / file).write_text(shortened(whole / file), "utf-8")
        return here

    def _example(self, row: Row, source: str) -> Path:
        """What a row with a network may write: files of other rows by their names, and EXAMPLES."""
        here = self._data.path(source)
        here.mkdir(parents=True, exist_ok=True)
        for file in row.files:
            if file in EXAMPLES:
                (here / file).write_text(json.dumps(EXAMPLES[file], indent=2) + "\n", "utf-8")
                continue
            others = (r for r in self._table.values() if file in r.files and not r.network)
            writer = job_of(next(others))
            shutil.copyfile(self._provide(writer.target) / file, here / file)
        return here

    def _run(self, data: DataFolder, job: Job) -> None:
        # An id is that of the image to check, whose labels are a matter of the checks.
        image_id = job.row.image
        if not image_id.startswith("sha256:"):
            image_id = stage_container.image_id(stage_container.connect(), image_id)
        run = Run("check_stage", job.target, job.row.stage)
        run_job(
            data,
            job,
            image_id=image_id,
            run=run,
            engine=lambda staging: stage_container.run_container(
                stage_container.connect,
                data,
                job,
                staging,
                image_id=image_id,
                run=run,
                write=lambda _: None,
            ),
            log=lambda _: None,
        )


def shortened(path: Path) -> str:
    """The first rows of a CSV file; if it has several columns, the first of them is renamed."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row, _ in zip(csv.reader(file), range(ROWS + 1), strict=False)]
    if len(rows[0]) > 1:
        rows[0][0] = ODD_NAME
    return as_csv(rows)


def as_csv(rows: list[list[str]]) -> str:
    """RFC 4180, quotes only where they are needed: an empty field stays empty."""
    return "".join(",".join(map(quoted, row)) + "\n" for row in rows)


def quoted(field: str) -> str:
    if not re.search('[",\r\n]', field):
        return field
    return '"' + field.replace('"', '""') + '"'


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone in it: two checks may want the same inputs at the same moment."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
