"""track: record a model with all that made it."""

from datetime import date
from typing import Any

from connection import mlflow_client, needs_address, unless_there
from published import VERSION
from record import Record
from stageframe import OUT, write_json
from tracking import register
from versions import describe


@needs_address
def track(name: str, date: date) -> dict[str, Any]:
    """Record what is in /in as a run and a version, unless it is there; return the summary."""
    record = Record(name, str(date))
    with mlflow_client(name) as (client, model):
        if model is None:
            with unless_there():
                client.create_registered_model(name)
        version, created = register(client, record)
        described = describe(version)
    write_json(OUT / VERSION, described)
    print(f"{name}: version {version.version}{'' if created else ' was there already'}")
    return {
        **{key: described[key] for key in ("name", "version", "run_id", "experiment_id")},
        **{name: value for name, value in record.metrics.items() if name != "rows"},
        "created": created,
    }
