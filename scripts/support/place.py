"""Which directory of which pipeline a person means."""

from __future__ import annotations

from pathlib import Path

from microstage.data_folder import MANIFEST, DataFolder, plain
from microstage.errors import NO_INPUT, StageError
from microstage.pipelines import DEFAULT, Pipeline, load_pipeline, pipeline_names


def place_of(root: Path, pipeline: str, name: str) -> tuple[Pipeline, DataFolder, str]:
    """Return the pipeline, its data, and a directory below that.

    `root`: the data folder of all pipelines; `name`: of the directory or of a file in it, below the
    pipeline's data (predictions/2013-01-21), below the data folder (flights/predictions/…), or as a
    path. Raises StageError (64, 66).
    """
    data = DataFolder.at(root)
    path = _path(name)
    if path.exists() and path.is_relative_to(data.root):
        name = str(path.relative_to(data.root))
    first, _, rest = name.partition("/")
    if first in pipeline_names() and first != DEFAULT and pipeline in (DEFAULT, first):
        pipeline, name = first, rest
    table = load_pipeline(pipeline)
    data = data.below(table.folder)
    return table, data, find(data, name)


def find(data: DataFolder, name: str) -> str:
    """Return a directory of a pipeline's data, as below it: named so, or by a file in it.

    Raises StageError (64, 66).
    """
    path = _path(name)
    if not (path.exists() and path.is_relative_to(data.root)):
        path = data.place(name.rstrip("/"))
    if not path.exists():
        raise StageError(NO_INPUT, f"There is no {name} in {data.root}.")
    if path.is_file():
        above = [folder for folder in path.parents if folder.is_relative_to(data.root)]
        path = next((folder for folder in above if (folder / MANIFEST).exists()), path.parent)
    directory = data.path(str(path.relative_to(data.root)))
    if not (directory / MANIFEST).exists() and not any(file.is_file() for file in path.iterdir()):
        raise StageError(NO_INPUT, f"{name} is no published directory; name one of a day in it.")
    return str(path.relative_to(data.root))


def _path(name: str) -> Path:
    """Return the path that somebody has named, by what is published there."""
    return Path(plain(str(Path(name).resolve())))
