"""What is predicted: one of some classes, or a number."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stageframe.errors import StageError
from stageframe.files import shown

CLASSIFICATION, REGRESSION = TASKS = ("classification", "regression")


def is_regression(path: Path, spec: Mapping[str, Any]) -> bool:
    """Return whether preprocess.json or model.json, read from `path`, is about numbers to predict.

    Raises StageError (65) for a task that is none, and for classes without their names.
    """
    task = spec.get("task", CLASSIFICATION)
    if task not in TASKS:
        raise StageError(
            f"{shown(path)}: task {task!r} is none of {', '.join(TASKS)}: write it again"
        )
    if task == CLASSIFICATION and "classes" not in spec:
        raise StageError(f"{shown(path)} is no object with classes: write it again")
    return bool(task == REGRESSION)
