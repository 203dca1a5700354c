"""Wakes up the tasks that were waiting when the platform became a package; none begins here.

Airflow keeps the name of a waiting task's trigger in its database, and such a task may wait for a
day. Of the release after 1.1 on nobody needs this file.
"""

from __future__ import annotations

from typing import Any

from microstage import sensors
from microstage.pipelines import DEFAULT


class LookTrigger(sensors.LookTrigger):
    """The trigger of release 1.0, which knew one pipeline and its folders."""

    def __init__(self, look: str, arguments: dict[str, Any], deadline: float, every: float) -> None:
        if "days" in arguments:
            folders = [f"raw/{day}" for day in arguments["days"]]
            arguments = {"pipeline": DEFAULT, "folders": folders, "files": arguments["files"]}
        elif "ds" in arguments:
            look = "model"
            arguments = {"pipeline": DEFAULT, "folder": f"predictions/{arguments['ds']}"}
        super().__init__(look, arguments, deadline, every)
