"""fetch: the files of the version in production, or of a local copy while MLflow is down."""

import sys
from typing import Any

from connection import UnreachableError, mlflow_client, needs_address
from production import aliases
from published import VERSION
from stageframe import INPUT_MISSING, OUT, StageError, write_json
from versions import copy_newest, download


@needs_address
def fetch(name: str) -> dict[str, Any]:
    """Write the version in production, or a local copy if MLflow is down; return the summary."""
    try:
        described = fetch_production(name)
        source, warning = "registry", None
    except UnreachableError as error:
        copy = copy_newest(name, OUT)
        if copy is None:
            raise
        described, source = copy
        warning = f"{error}; until then {source} is used"
        print(f"WARNING: {warning}", file=sys.stderr)
    write_json(OUT / VERSION, described)
    print(f"{name}: version {described['version']} of {described['date']}, from {source}")
    facts = {key: described[key] for key in ("name", "version", "run_id", "date")}
    return {**facts, "served_from": source, "warning": warning}


def fetch_production(name: str) -> dict[str, Any]:
    """Download the version in production to /out; return its version.json."""
    with mlflow_client(name) as (client, model):
        production, _ = aliases(model)
        if production is None:
            raise StageError(
                f"There is no model of the name {name} in production yet: approve one in the DAG"
                " train_model",
                INPUT_MISSING,
            )
        return download(client.get_model_version(name, production), OUT)
