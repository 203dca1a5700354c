"""Data as the rows of the shipped table publish them, by stages that are a few lines of Python."""

import hashlib
from pathlib import Path
from typing import Any

from microstage.contract import Run, run_job
from microstage.data_folder import DataFolder
from microstage.exits import Exit
from microstage.jobs import Job, resolve
from microstage.pipelines import load_pipeline


def publish(data: Path, stage: str, ds: str, text: str = "", **options: Any) -> None:
    """Run a row for a day with a stage that writes `text` into every file that it declares."""
    job = resolve(load_pipeline(), stage, ds, **options)
    run_row(data, job, dict.fromkeys(job.row.files, f"{stage} {ds} {text}"))


def run_row(data: Path, job: Job, files: dict[str, str]) -> None:
    def write(_: Job, out: Path) -> Exit:
        for name, content in {**files, "summary.json": '{"rows": 3}'}.items():
            (out / name).write_text(content)
        return Exit(0)

    run_job(
        DataFolder.at(data),
        job,
        image_id=f"sha256:{hashlib.sha256(job.row.image.encode()).hexdigest()}",
        run=Run("some_dag", f"run-{job.target}", job.row.stage),
        engine=write,
        log=print,
    )
