"""What the soak runs: every image in all that it can do, on real inputs."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from contract.subject import NOWHERE, files_of
from harness import Engine
from pipeline import TABLE, Case, Pipeline, cases, job_of, short
from soak.drawn import Files

from microstage.table import Row
from microstage.walls import DAYS, DAYS_LABEL

TRAINED = "train-model"
# What only takes time.
QUICK = {"rounds": "5", "resamples": "100"}


class Subject(NamedTuple):
    """An image in the place of a stage, and whose model it reads: "" if it reads none."""

    case: Case
    trainer: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (*self.case, self.trainer)))

    @property
    def row(self) -> Row:
        return TABLE.row(self.case.stage)


def subjects() -> list[Subject]:
    """Return all, and those that read a model once for each trainer."""
    trainer = next(row for row in TABLE.rows.values() if row.work == TRAINED)
    usual, trainers = short(trainer.image), [c.image for c in cases() if work_of(c) == TRAINED]
    found = []
    for case in cases():
        row = TABLE.row(case.stage)
        scores = case.image == short(TABLE.row("predict").image) and not row.network
        found += [
            Subject(case, one if one != usual else "") for one in (trainers if scores else [usual])
        ]
    return found


def work_of(case: Case) -> str:
    return TABLE.row(case.stage).work


@dataclass(frozen=True)
class Ready:
    """What the runs of a subject have in common."""

    whole: Files
    command: list[str]
    flags: list[str]
    environment: dict[str, str]
    days: bool
    """Whether the image can do several days in one run."""


def ready(subject: Subject, engine: Engine, pipeline: Pipeline) -> Ready:
    """Return the real inputs of a subject, and what its commands are drawn from."""
    row, command = subject.row, job_of(subject.case.stage).command
    inputs = pipeline.inputs(subject.case.stage)
    labels = engine.attributes(subject.case.image)["Config"]["Labels"] or {}
    flags = re.findall(
        r"^\s+(--[a-z][a-z-]*)",
        engine.execute(subject.case.image, [row.verb, "--help"]).stdout,
        re.M,
    )
    for flag in flags:
        if flag[2:] in QUICK:
            command += [flag, QUICK[flag[2:]]]
    whole = {
        f"{mount}/{path.name}": path.read_bytes()
        for mount, folder in inputs.items()
        for path in files_of(folder)
    }
    service = {n: NOWHERE if n.endswith(("_URI", "_URL")) else "nobody" for n in row.env}
    environment = {"OMP_NUM_THREADS": "1", **service}
    return Ready(
        whole,
        command,
        [f for f in flags if f != "--help"],
        environment,
        labels.get(DAYS_LABEL) == DAYS,
    )
