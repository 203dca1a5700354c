"""Take over a container that an earlier try of a job has left: running, or done meanwhile.

The process that runs a task may be killed, with its machine's scheduler or alone, while the
container goes on. A training of two hours is not begun again then.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import docker
from docker.errors import NotFound

from microstage.contract import Resumed
from microstage.data_folder import DataFolder
from microstage.publishing import take_over


def take(
    client: docker.APIClient, data: DataFolder, found: dict[str, Any], work: str
) -> Resumed | None:
    """Return where a container writes, if it does this work and has not failed at it.

    A container that was never started, was killed or has failed is nobody's to take.
    """
    labels = found["Labels"]
    if labels.get("microstage.work") != work or not labels.get("microstage.staging"):
        return None
    try:
        state = client.inspect_container(found["Id"])["State"]
    except NotFound:
        return None
    done = state["Status"] == "exited" and state["ExitCode"] == 0
    if not done and state["Status"] != "running":
        return None
    staging = take_over(data, labels["microstage.staging"])
    return Resumed(staging, datetime.fromisoformat(state["StartedAt"])) if staging else None
