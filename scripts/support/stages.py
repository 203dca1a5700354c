"""Run a row of a pipeline without Airflow, in a container or as a process."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.environment import environment
from support.settings import setting

from microstage.contract import Engine, Run, run_job
from microstage.data_folder import DataFolder
from microstage.engines import process
from microstage.jobs import Job

CONTAINERS = REPOSITORY / "containers"
FRAME = CONTAINERS / "platform" / "base" / "stageframe"


def log(line: str) -> None:
    """Write one line for a person."""
    print(line, file=sys.stderr, flush=True)


def process_engine(data: DataFolder, job: Job) -> tuple[str, Engine]:
    """Return the id of the job's program, and what runs it as a process."""
    program = process.find_program(job.row, CONTAINERS)
    requirements = program.with_name("requirements.txt")
    python = environment(program.parent.name, requirements)
    engine = process.ProcessEngine(data, python, program, FRAME, log)
    return process.program_id(program, FRAME), engine


def container_engine(data: DataFolder, job: Job, run: Run) -> tuple[str, Engine]:
    """Return the id of the job's image, and what runs it in a container. Raises StageError."""
    # Not at the top: the other engine does without the package docker.
    from microstage.clearing import sweep  # noqa: PLC0415
    from microstage.endpoint import endpoint  # noqa: PLC0415
    from microstage.engines import attended, container  # noqa: PLC0415

    os.environ.setdefault("MICROSTAGE_INSTALL", setting("COMPOSE_PROJECT_NAME"))
    try:
        client = container.connect()
        sweep(client)
        image = container.find_image(client, job.row.image)
    except attended.ENGINE_ERRORS as error:
        raise attended.engine_failure(error, endpoint().name) from None

    def run_it(job: Job, staging: Path) -> Any:
        try:
            with container.ContainerEngine(container.connect, data, image, run, log) as engine:
                return engine(job, staging)
        except attended.ENGINE_ERRORS as error:
            raise attended.engine_failure(error, endpoint().name) from None

    return image.id, run_it


def run_stage(
    data: Path,
    job: Job,
    run: Run,
    *,
    venv: bool,
    image: str | None = None,
    force: bool = False,
    full: bool = False,
) -> dict[str, Any]:
    """Run a job with an engine, and publish what it wrote; return its summary.

    `data`: the data folder of all pipelines, made when it is missing; `image`: another one than the
    row's; `force` and `full`: as of run_job. Raises StageError.
    """
    data.mkdir(parents=True, exist_ok=True)
    folder = DataFolder.at(data).below(job.pipeline.folder)
    job = replace(job, row=replace(job.row, image=image or job.row.image))
    image_id, engine = process_engine(folder, job) if venv else container_engine(folder, job, run)
    return run_job(
        folder, job, image_id=image_id, run=run, engine=engine, log=log, force=force, full=full
    )
