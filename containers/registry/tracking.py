"""Record a model in MLflow as a run and a version, once, however often it is tried."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connection import UnreachableError, files_below, unless_there
from record import KEY, Record
from stageframe import INPUT_MISSING, StageError

AT_ONCE = 100  # parameters or tags that MLflow takes in one request


def register(client: Any, record: Record) -> tuple[Any, bool]:
    """Return the version of a record, and whether it is new.

    A version is made when all its files are there, and never changed. So what an earlier try left
    is a version, of which at most the run has to be ended, or a run to go on with.
    """
    if found := versions(client, record):
        if client.get_run(found[0].run_id).info.status != "FINISHED":
            client.set_terminated(found[0].run_id)
        return found[0], False
    run = run_of(client, record)
    model = model_of(client, run, record)
    log_values(client, run, model, record)
    with tempfile.TemporaryDirectory() as scratch:
        upload(run.info.artifact_uri, record.artifacts(Path(scratch)))
    with tempfile.TemporaryDirectory() as scratch:
        upload(model.artifact_location, record.model_files(Path(scratch), words_of(run, model)))
    client.finalize_logged_model(model.model_id, "READY")
    version = client.create_model_version(
        record.name,
        model.artifact_location,
        run_id=run.info.run_id,
        model_id=model.model_id,
        tags=record.version_tags() | {"experiment_id": run.info.experiment_id},
        description=record.note(),
    )
    first = versions(client, record)[0]
    if first.version != version.version:  # another one did the same at the same time
        client.delete_model_version(record.name, version.version)
        if first.run_id != version.run_id:
            client.delete_logged_model(model.model_id)
            client.delete_run(version.run_id)
        return first, False
    client.set_terminated(run.info.run_id)
    return version, True


def versions(client: Any, record: Record) -> list[Any]:
    """Return the versions with the record's key, the oldest first."""
    query = f"name = '{record.name}' and tags.`{KEY}` = '{record.key}'"
    return sorted(client.search_model_versions(query), key=lambda found: int(found.version))


def run_of(client: Any, record: Record) -> Any:
    """Return the record's run: the one that an earlier try began, or a new one."""
    experiment = client.get_experiment_by_name(record.name)
    if experiment is None:
        with unless_there():
            client.create_experiment(record.name)
        experiment = client.get_experiment_by_name(record.name)
    if experiment.lifecycle_stage != "active":
        raise StageError(
            f"The experiment {record.name} was deleted in MLflow: restore it, or take another "
            "--name",
            INPUT_MISSING,
        )
    query = f"tags.`{KEY}` = '{record.key}'"
    begun = client.search_runs([experiment.experiment_id], query, order_by=["start_time ASC"])
    if begun:
        return begun[0]
    tags = {KEY: record.key}
    return client.create_run(experiment.experiment_id, run_name=record.date, tags=tags)


def model_of(client: Any, run: Any, record: Record) -> Any:
    """Return the run's logged model: the one that an earlier try began, or a new one."""
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415 - see mlflow_client

    query = f"source_run_id = '{run.info.run_id}'"
    if begun := client.search_logged_models([run.info.experiment_id], query):
        return begun[0]
    model = client.create_logged_model(
        run.info.experiment_id,
        name=record.name,
        source_run_id=run.info.run_id,
        tags={KEY: record.key, "date": record.date},
        params=record.params(),
    )
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def words_of(run: Any, model: Any) -> dict[str, str]:
    """Return what MLmodel says of where it comes from."""
    import mlflow  # noqa: PLC0415 - see mlflow_client

    return {
        "run_id": run.info.run_id,
        "model_id": model.model_id,
        "model_uuid": model.model_id,
        "mlflow_version": mlflow.__version__,
    }


def log_values(client: Any, run: Any, model: Any, record: Record) -> None:
    """Log datasets, parameters, metrics and tags; what is there already stays as it is."""
    from mlflow.entities import (  # noqa: PLC0415 - see mlflow_client
        Dataset,
        DatasetInput,
        InputTag,
        Metric,
        Param,
        RunTag,
    )
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - likewise

    datasets = [Dataset(**dataset) for dataset in record.datasets()]
    inputs = [DatasetInput(one, [InputTag("mlflow.data.context", one.name)]) for one in datasets]
    try:
        client.log_inputs(run.info.run_id, inputs)
    except MlflowException as error:
        # Where two make the same dataset at once, one is refused by the database.
        if error.error_code != "BAD_REQUEST":
            raise
        client.log_inputs(run.info.run_id, inputs)
    measured = {
        **dict.fromkeys(record.metrics, datasets[1]),
        **dict.fromkeys(record.uses, datasets[0]),
    }

    def metric(name: str, value: float) -> Any:
        on = {"dataset_name": measured[name].name, "dataset_digest": measured[name].digest}
        started = run.info.start_time
        return Metric(name, float(value), started, 0, model_id=model.model_id, **on)

    values = [
        *(metric(name, value) for name, value in (record.metrics | record.uses).items()),
        # One that is there already cannot be changed.
        *(Param(k, v) for k, v in record.params().items() if k not in run.data.params),
        *(RunTag(name, value) for name, value in record.tags().items()),
    ]
    for start in range(0, len(values), AT_ONCE):
        batch = values[start : start + AT_ONCE]
        kinds = ([v for v in batch if isinstance(v, kind)] for kind in (Metric, Param, RunTag))
        client.log_batch(run.info.run_id, *kinds)


def upload(uri: str, files: Mapping[str, Path]) -> None:
    """Upload files below a URI by their paths there, and see that all are there in full size."""
    repository = files_below(uri)
    folders = {target: target.rpartition("/")[0] or None for target in files}
    for target, path in files.items():
        repository.log_artifact(str(path), folders[target])
    there = {
        found.path: found.file_size
        for folder in set(folders.values())
        for found in repository.list_artifacts(folder)
    }
    for target, path in files.items():
        if there.get(target) != path.stat().st_size:
            raise UnreachableError(f"did not keep {target} as it was sent")
