"""What is old of an installation, besides its data: in Airflow, in MLflow, among images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support import mlflow_gone
from support.airflow_api import Airflow
from support.images import all_of
from support.mlflow_api import MLflow
from support.services import docker, service

from microstage.errors import StageError
from microstage.keeping import Going, going
from microstage.pipelines import Pipeline

BEFORE = "microstage/before"  # what build_images.sh calls an image that has lost its name
VENDOR = "label=org.opencontainers.image.vendor=Microstage"  # on every image of the project
PAGE = 100


@dataclass(frozen=True)
class Unended:
    """A run of Airflow that has not ended; one that waits for a person is one of them."""

    name: str
    started: datetime
    moment: datetime
    conf: dict[str, Any]

    def going(self, pipeline: Pipeline) -> Going:
        """Return it with the days that it may need."""
        return going(pipeline, self.name, self.moment, self.conf)


def unended(airflow: Airflow) -> list[Unended]:
    """Return the runs of all pipelines that have not ended."""
    found: list[Unended] = []
    query = f"state=running&state=queued&order_by=id&limit={PAGE}"
    while True:
        path = f"/api/v2/dags/~/dagRuns?{query}&offset={len(found)}"
        page = airflow.call("GET", path)["dag_runs"]
        found += [described(run) for run in page]
        if len(page) < PAGE:
            return found


def described(run: dict[str, Any]) -> Unended:
    """Return a run as Airflow describes it."""
    started = datetime.fromisoformat(run["start_date"] or run["run_after"])
    moment = datetime.fromisoformat(run["logical_date"] or run["run_after"])
    name = f"{run['dag_id']} {run['dag_run_id']}"
    return Unended(name, started, moment, run["conf"] or {})


def model_path(airflow: Airflow, pipeline: Pipeline) -> dict[str, str]:
    """Return the directory that the Variable model_path of a pipeline names, and that it does."""
    name = pipeline.prefixed("model_path")
    listed = airflow.call("GET", f"/api/v2/variables?variable_key_pattern={name}&limit={PAGE}")
    return {
        each["value"]: f"the Variable {name} names it"
        for each in listed["variables"]
        if each["key"] == name and each["value"]
    }


def clean_logs(days: int, *, dry_run: bool) -> str:
    """Remove logs of tasks, in the scheduler's container, which has them; return how much."""
    how = ("--dry-run",) if dry_run else ()
    command = ("python3", "-m", "microstage.old_logs", str(days), *how)
    return docker(*service(*command, name="scheduler")).strip()


def clean_runs(days: int, runs: Sequence[Unended], *, dry_run: bool) -> str:
    """Remove what Airflow has recorded of runs that ended so long ago; return how much.

    In the API server's container: it has the database, and no DAG's code.
    """
    now = datetime.now(UTC)
    # Airflow would remove a run that waits, too, once it has begun so long ago.
    before = min([now - timedelta(days=days), *(run.started for run in runs)])
    options = [f"--clean-before-timestamp={before.isoformat()}", "--skip-archive", "--yes"]
    options += ["--dry-run"] if dry_run else ["--error-on-cleanup-failure"]
    said = docker(*service("airflow", "db", "clean", *options, name="api-server"))
    rows = sum(map(int, re.findall(r"Found (\d+) rows meeting deletion criteria", said)))
    kept = ""
    if before < now - timedelta(days=days):
        kept = f" (no later, as {min(runs, key=lambda run: run.started).name} has not ended)"
    return f"runs: {rows} records of Airflow from before {before:%Y-%m-%d}{kept}"


def clean_mlflow(days: int, mlflow: MLflow, *, dry_run: bool) -> str:
    """Remove MLflow's runs of which no version was made; return how many, and MB."""
    runs = list(mlflow.old_runs(days))
    take = mlflow.models_of if dry_run else mlflow.delete
    models = [model for run in runs for model in take(run)]
    how = ("--dry-run",) if dry_run else ()
    program = ("python3", "-c", Path(mlflow_gone.__file__).read_text(), *runs, *models, *how)
    size = int(docker(*service(*program, name="mlflow"))) if runs else 0
    return f"mlflow: {len(runs)} old runs without a version, {size / 1e6:.1f} MB"


def clean_images(needed: set[str], *, dry_run: bool) -> str:
    """Remove images of this project that have lost their names; return how many, and MB.

    Not those in use by a container, which the engine keeps, nor those that made what is kept.
    """
    images = ("image", "ls", "--no-trunc", f"--filter={VENDOR}")
    nameless = set(docker(*images, "--quiet", "--filter=dangling=true").split())
    listed = docker(*images, "--format={{.ID}} {{.Repository}}:{{.Tag}}", BEFORE)
    names = dict(line.split() for line in listed.splitlines())
    nameless |= names.keys()
    going, size, kept = 0, 0, 0
    for image in all_of(*nameless):
        if image.digests & needed:
            kept += 1
            continue
        held = int(docker("image", "inspect", "--format={{.Size}}", image.store_id))
        try:
            if not dry_run:
                docker("image", "rm", names.get(image.store_id, image.store_id))
        except StageError:  # the engine's refusal, as a container has it
            kept += 1
        else:
            going, size = going + 1, size + held
    return f"images: {going} without a name, up to {size / 1e6:.1f} MB; {kept} kept"
