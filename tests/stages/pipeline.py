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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness import IMAGES, REPOSITORY, USER, reference

from microstage.contract import Run, run_job
from microstage.data_folder import DataFolder
from microstage.engines.container import ContainerEngine, connect, find, find_image
from microstage.errors import NO_INPUT, StageError
from microstage.jobs import Job, resolve, writer_of
from microstage.pipelines import DEFAULT, load_pipeline
from microstage.table import Row

DAYS = ["2013-01-01", "2013-01-02"]
ROWS = 200  # of a day
MODEL = f"models/{DAYS[-1]}"
CACHE = REPOSITORY / ".cache"

# Whose table it is: that of a person, whose image scripts/check_stage checks among their others.
# The tests have one of their own, see conftest.py.
TABLE = load_pipeline(os.environ.get("MICROSTAGE_CHECK_PIPELINE") or DEFAULT)

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
    """Every image of the table in its kinds of work there, every image here in all it can do.

    Once each, in the first row that wants that work.

    `served` takes in rows with a network, although the service at its other end is not here.
    """
    rows = [row for row in TABLE.rows.values() if served or not row.network]
    found: dict[tuple[str, str], Case] = {}
    for row in rows:
        found.setdefault(
            (short(row.image), row.work or row.stage), Case(short(row.image), row.stage)
        )
    for image in IMAGES:
        for row in rows:
            if row.work in works(image):
                found.setdefault((image, row.work), Case(image, row.stage))
    return list(found.values())


def works(image: str) -> list[str]:
    """The kinds of work that an image's Dockerfile says it can do."""
    dockerfile = (REPOSITORY / "containers" / image / "Dockerfile").read_text("utf-8")
    return " ".join(re.findall(r'org\.microstage\.work="(.*?)"', dockerfile)).split()


def short(image: str) -> str:
    """`train` for `microstage/train:1.0.0`; a reference that is of no folder here stays."""
    name = re.split("[:@]", image.removeprefix("microstage/"))[0]
    return name if image.startswith("microstage/") and name in IMAGES else image


def job_of(stage: str, day: str = DAYS[-1]) -> Job:
    """What a row does for a day, or for the window that ends with the last of DAYS.

    A model is trained on a window, and at work it is about one day: as the DAGs have it.
    """
    window = 1 if "{model}" in TABLE.row(stage).reads.values() else len(DAYS)
    return resolve(TABLE, stage, day, window=window, model=MODEL)


def needed(job: Job) -> dict[str, str]:
    """The job's sources without those that may be absent; of a window's days, the last may not."""
    last = {mount.partition("/")[0]: mount for mount in job.sources if "/" in mount}.values()
    return {m: path for m, path in job.sources.items() if m in last or not job.is_optional(m)}


def reads(stage: str) -> dict[str, tuple[str, ...]]:
    """What a stage finds under /in: `raw`, and the files that the writer's row declares for it."""
    found = {}
    for mount, source in needed(job_of(stage)).items():
        writer = writer_of(TABLE, source)
        found[mount.partition("/")[0]] = writer[0].files if writer else ()
    return found


class Pipeline:
    """A data folder that fills itself as its directories are asked for."""

    def __init__(self, root: Path | None = None, swapped: Case | None = None) -> None:
        """`swapped` puts another image into the place of a stage."""
        self._swapped = {swapped.stage: reference(swapped.image)} if swapped else {}
        root = root or CACHE / ("checks" if TABLE.name == DEFAULT else f"checks-{TABLE.name}")
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
        sources = needed(job_of(stage))
        with locked(self._data.root):
            return {mount: self._provide(source) for mount, source in sources.items()}

    def output(self, stage: str) -> Path:
        """What the row writes. Raises StageError where it cannot be written."""
        with locked(self._data.root):
            return self._provide(job_of(stage).target)

    def after(self, stage: str) -> list[str]:
        """The stages that read what this one writes."""
        target = job_of(stage).target
        return [
            name
            for name, row in TABLE.rows.items()
            if target in needed(job_of(name)).values() and not row.network
        ]

    def copy(self, root: Path, swapped: Case) -> "Pipeline":
        """The same with another image in the place of a stage; what does not change is there."""
        shutil.copytree(self._data.root, root)
        return Pipeline(root, swapped)

    def _job(self, stage: str, day: str) -> Job:
        job = job_of(stage, day)
        return replace(job, row=replace(job.row, image=self._swapped.get(stage, job.row.image)))

    def _provide(self, source: str) -> Path:
        writer = writer_of(TABLE, source)
        if not writer:
            return self._put_there(source)
        row, day = writer
        job = self._job(row.stage, day or DAYS[-1])
        if row.network:
            return self._example(row, source)
        for before in needed(job).values():
            self._provide(before)
        if job.sources:
            self._run(self._data, job)
            return self._data.path(source)
        self._run(self._whole, job)
        whole, here = self._whole.path(source), self._data.path(source)
        for file in row.files:
            put(here / file, shortened(whole / file).encode())
        return here

    def _put_there(self, source: str) -> Path:
        """A copy of what a person has put into their data folder, as no row writes it."""
        theirs = os.environ.get("MICROSTAGE_DATA")  # scripts/check_stage names it
        path, here = Path(theirs or "", TABLE.folder, source), self._data.path(source)
        if not theirs or not path.is_dir():
            raise StageError(NO_INPUT, f"No row of the table writes {source}, and it is not there.")
        files = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
        for odd in [f for f in here.rglob("*") if f.is_file() and f.relative_to(here) not in files]:
            odd.unlink()
        for name, file in files.items():
            put(here / name, file.read_bytes())
        return here

    def _example(self, row: Row, source: str) -> Path:
        """What a row with a network may write: files of other rows by their names, and EXAMPLES."""
        here = self._data.path(source)
        for file in row.files:
            if file in EXAMPLES:
                put(here / file, (json.dumps(EXAMPLES[file], indent=2) + "\n").encode())
                continue
            others = (r for r in TABLE.rows.values() if file in r.files and not r.network)
            writer = job_of(next(others).stage)
            put(here / file, (self._provide(writer.target) / file).read_bytes())
        return here

    def _run(self, data: DataFolder, job: Job) -> None:
        # An id is that of the image to check, whose labels are a matter of the checks.
        name, client = job.row.image, connect()
        image = find(client, name) if name.startswith("sha256:") else None
        image = image or find_image(client, name)
        run = Run("check_stage", job.target, job.row.stage)
        with ContainerEngine(connect, data, image=image, run=run, write=print) as engine:
            run_job(data, job, image_id=image.id, run=run, engine=engine, log=lambda _: None)


def put(path: Path, content: bytes) -> None:
    """Write a file, at once and only where it is another: who has been given it may be reading."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


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
