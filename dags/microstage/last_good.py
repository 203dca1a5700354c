"""The table as it was last whole: a run goes on with it while somebody's edit has broken a file.

Every task that finds its pipeline whole leaves a copy of its files in the pipeline's data. One that
finds it broken takes that copy, and says so. Standard library only.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.pipelines import (
    DEFAULT,
    Pipeline,
    folder_of,
    load_pipeline,
    pipeline_path,
    table_path,
)

FOLDER = ".tables"


def load_for_run(name: str, data: DataFolder, warn: Callable[[str], None]) -> Pipeline:
    """Return a pipeline as its files are now, or were last; `data` is its own folder.

    Raises StageError (64) where they are broken and no copy is there.
    """
    copy = _copy(data)
    try:
        pipeline = load_pipeline(name)
    except StageError as error:
        try:
            pipeline = load_pipeline(name, copy)
        except StageError:
            raise error from None
        warn(f"{error} Until that is mended, this run goes on with the table as it was before.")
        return pipeline
    try:
        for path in {pipeline_path(DEFAULT), pipeline_path(name)}:
            _keep(data, path, copy.parent / path.relative_to(table_path().parent))
    except OSError as error:
        warn(f"The table could not be copied to {copy.parent}, for when it is broken: {error}.")
    return pipeline


def last_whole(name: str) -> Pipeline | None:
    """Return a pipeline as its files were when they were last whole; None where nobody knows."""
    try:
        return load_pipeline(name, _copy(DataFolder.from_environment(folder_of(name))))
    except (StageError, OSError):
        return None


def _copy(data: DataFolder) -> Path:
    return data.root / FOLDER / table_path().name


def _keep(data: DataFolder, path: Path, copy: Path) -> None:
    """Let `copy` hold the same; a reader sees the old or the new one."""
    content = path.read_bytes()
    if copy.is_file() and copy.read_bytes() == content:
        return
    data.make(copy.parent)
    handle, new = tempfile.mkstemp(dir=copy.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chown(new, *data.owner)
        Path(new).replace(copy)
    except OSError:
        Path(new).unlink()
        raise
