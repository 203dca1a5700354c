"""promote: put a version into production."""

from typing import Any

from connection import mlflow_client, needs_address
from production import Approval, promote_version, write_aliases
from published import read_comparison, read_version


@needs_address
def promote(name: str, approved_by: str | None) -> dict[str, Any]:
    """Put /in/version into production, unless another has come in since; return the summary."""
    chosen, (champion, verdict) = read_version("version", name), read_comparison()
    approval: Approval = {"approved_by": approved_by, "verdict": verdict or None}
    with mlflow_client(name) as (client, model):
        now, approval, changed = promote_version(client, model, chosen, champion, approval)
    return write_aliases("promotion.json", name, now, approval, changed=changed)


def one_line(text: str) -> str | None:
    """Return a text with single spaces, None for an empty one. Raises ValueError."""
    text.encode()  # what is not UTF-8 cannot be written
    return " ".join(text.split()) or None
