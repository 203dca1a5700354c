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
from microstage.pipelines import DEFAULT, Pipeline, load_pipeline, pipeline_path, table_path

FOLDER = ".tables"


def load_for_run(name: str, data: DataFolder, warn: Callable[[str], None]) -> Pipeline:
    """Return a pipeline as its files are now, or were last; `data` is its own folder.

    Raises StageError (64) where they are broken and no copy is there.
    """
    copy = data.root / FOLDER / table_path().name
    try:
        pipeline = load_pipeline(name)
    except StageError as error:
        try:
            pipeline = load_pipeline(name, copy)
        except StageError:
            raise error from None
        warn(f"{error} Until that is mended, this run goes on with the table as it was before.")
        return pipeline
    for path in {pipeline_path(DEFAULT), pipeline_path(name)}:
        _keep(data, path, copy.parent / path.relative_to(table_path().parent))
    return pipeline


def _keep(data: DataFolder, path: Path, copy: Path) -> None:
    """Let `copy` hold the same; a reader sees the old or the new one."""
    content = path.read_bytes()
    if copy.is_file() and copy.read_bytes() == content:
        return
    data.make(copy.parent)
    handle, new = tempfile.mkstemp(dir=copy.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chown(new, *data.owner)
    Path(new).replace(copy)
