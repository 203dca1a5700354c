"""rollback: take a version out of production, and the one before back in."""

from typing import Any

from connection import mlflow_client, needs_address
from production import roll_back, write_aliases
from published import read_version


@needs_address
def rollback(name: str) -> dict[str, Any]:
    """Let production and previous change places, if /in/production is in; return the summary."""
    out = read_version("production", name)["version"]
    with mlflow_client(name) as (client, model):
        now, changed = roll_back(client, model, name, out)
    return write_aliases("rollback.json", name, now, {}, changed=changed)
