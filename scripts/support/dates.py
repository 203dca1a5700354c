"""Past dates, as if their weeks were going by: data, training, predictions and reports."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from support import REPOSITORY
from support.airflow_api import Airflow

from microstage.data_folder import MANIFEST
from microstage.errors import StageError
from microstage.jobs import target_of
from microstage.pipelines import Pipeline
from microstage.table import Row


@dataclass(frozen=True)
class Step:
    """A part of a week: the DAG that does it, and the kind of work that it ends with."""

    dag: str
    work: str
    work_alone: str = ""  # where there is no registry

    def goal(self, pipeline: Pipeline, *, alone: bool) -> Row:
        """Return the row that it ends with. Raises StageError."""
        return row_of(pipeline, self.work_alone if alone and self.work_alone else self.work)


DATA = Step("generate_data", "generate-data")
TRAIN = Step("train_model", "compare-models", "validate-model")
PREDICT = Step("predict", "predict-rows")
REPORT = Step("monitor", "report-quality")


def row_of(pipeline: Pipeline, work: str) -> Row:
    """Return the first row of a kind of work. Raises StageError (64)."""
    found = [row for row in pipeline.rows.values() if row.work == work]
    if not found:
        raise StageError(64, f'{pipeline.file} has no row with work = "{work}".')
    return found[0]


def chain(pipeline: Pipeline, goal: Row) -> list[Row]:
    """Return the rows that lead to one, in order, with it: without services and without arrivals.

    What a row reads of the model that predictions are made with is not led to, and neither is what
    may be absent.
    """
    found: list[Row] = []
    for mount, source in goal.reads.items():
        if mount in goal.optional or "{model}" in source:
            continue
        for row in pipeline.rows.values():
            if row.to == source.replace("{day}", "{ds}") and row.reads and not row.network:
                found += [other for other in chain(pipeline, row) if other not in found]
    return [*found, goal]


class Runner(Protocol):
    """What runs a step for some dates."""

    alone: bool

    def run(self, step: Step, dates: Sequence[dt.date], window: int) -> None:
        """Run it for each of the dates. Raises StageError."""
        ...


class Scheduler:
    """Has the scheduler of the running stack do it."""

    alone = False

    def __init__(self, airflow: Airflow) -> None:
        self.airflow = airflow

    def run(self, step: Step, dates: Sequence[dt.date], window: int) -> None:
        conf = {"window": window} if step is TRAIN else {}
        self.airflow.run(step.dag, dates, conf)


class Direct:
    """Runs the stages one by one, without Airflow and the registry: the newest model predicts."""

    alone = True

    def __init__(self, pipeline: Pipeline, engine: str, data: Path) -> None:
        """Run those of a pipeline; `data` is the data folder of all of them."""
        self.pipeline, self.engine, self.data = pipeline, engine, data

    def model_before(self, date: dt.date) -> str:
        """Return the directory of the newest validated model of an earlier day."""
        goal = TRAIN.goal(self.pipeline, alone=True)
        folder = self.data / self.pipeline.folder
        for back in range(1, 1000):
            day = str(date - dt.timedelta(back))
            if (folder / target_of(self.pipeline, goal.stage, day) / MANIFEST).exists():
                return goal.reads["model"].replace("{ds}", day)
        raise StageError(66, f"There is no model of a day before {date}.")

    def run(self, step: Step, dates: Sequence[dt.date], window: int) -> None:
        for date in dates:
            for row in chain(self.pipeline, step.goal(self.pipeline, alone=True)):
                self.run_stage(row, date, window if step is TRAIN else self.pipeline.history)

    def run_stage(self, row: Row, date: dt.date, window: int) -> None:
        """Run one row. Raises StageError with its last line."""
        command: list[str | Path] = [REPOSITORY / "scripts/run_stage", row.stage, f"--ds={date}"]
        command += [f"--engine={self.engine}", f"--data={self.data}"]
        command += [f"--pipeline={self.pipeline.name}"]
        of_model = "{model}" in row.reads.values()
        if of_model:
            command += [f"--model={self.model_before(date)}"]
        if row.optional or not of_model:  # what a model is used on is one day
            command += [f"--window={window}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            last = said[-1] if said else "it said nothing"
            raise StageError(1, f"{row.stage} of {date} failed: {last}")


def do(
    runner: Runner,
    pipeline: Pipeline,
    data: Path,
    step: Step,
    dates: Sequence[dt.date],
    window: int = 1,
) -> None:
    """Run a step for those dates that have no published result yet, and say how long it took.

    `data`: the pipeline's own.
    """
    if not dates:
        return
    started = time.monotonic()
    goal = step.goal(pipeline, alone=runner.alone)
    results = {date: data / target_of(pipeline, goal.stage, str(date)) for date in dates}
    missing = [date for date, result in results.items() if not (result / MANIFEST).exists()]
    shown = f"{dates[0]}" if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    print(f"  {step.dag:<14} {shown:<26}", end=" ", flush=True)
    if missing:
        try:
            runner.run(step, missing, window)
        except StageError:
            print(flush=True)  # the sentence has a line of its own
            raise
    taken = f"{time.monotonic() - started:5.1f} s" if missing else "done before"
    print(taken, flush=True)
