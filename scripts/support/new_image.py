"""The folder of a new image: a copy of one that is here, under its own name."""

from __future__ import annotations

import re
import shutil
import tempfile
import tomllib
from pathlib import Path

from support import REPOSITORY
from support.stages import CONTAINERS

from microstage.errors import NO_INPUT, USAGE, StageError
from microstage.pipelines import Pipeline
from microstage.table import Row

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Other targets of docker-bake.hcl, and the image that all the others are made from.
TAKEN = {"base", "builder", "contents", "debian", "default", "image", "platform", "stage"}


def check_name(name: str) -> None:
    """Raise StageError (64) if no new image can be called that."""
    if not NAME.fullmatch(name) or len(name) > 60:
        raise StageError(
            USAGE,
            f"'{name}' is no name for an image: take small letters, digits and single underscores.",
        )
    if name in TAKEN:
        raise StageError(USAGE, f"'{name}' is taken: choose another.")
    for folder in (CONTAINERS / name, CONTAINERS / "platform" / name):
        if folder.exists():
            where = folder.relative_to(REPOSITORY)
            raise StageError(USAGE, f"{where} is there already: choose another name.")


def find_source(like: str, pipeline: Pipeline) -> str:
    """Return the folder under containers/ of a row's image, or that of this name itself.

    Raises StageError (64, 66).
    """
    if not re.fullmatch(r"[a-z0-9_]+", like):
        raise StageError(USAGE, f"'{like}' is no stage: take a row of dags/stages.toml.")
    image = pipeline.rows[like].image if like in pipeline.rows else like
    source = re.split("[:@]", image.rpartition("/")[2])[0]
    if not (CONTAINERS / source / "Dockerfile").is_file():
        raise StageError(
            NO_INPUT,
            f"There is no containers/{source} to copy: name a row of dags/stages.toml or a folder"
            " there.",
        )
    return source


def copy_folder(source: str, name: str) -> Path:
    """Copy an image's folder whole or not at all, and return it; its usage has the new name."""
    cache = REPOSITORY / ".cache"
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new_stage.", dir=cache) as work:
        made = Path(work) / name
        # What Python and linters leave beside sources stays there.
        ignored = shutil.ignore_patterns("__pycache__", ".cache")
        shutil.copytree(CONTAINERS / source, made, ignore=ignored)
        for stage in made.glob("stage.*"):
            text = stage.read_text(encoding="utf-8")
            text = re.sub(rf'(Program\(\s*)"{source}"', rf'\1"{name}"', text)
            text = re.sub(rf"(?m)^usage: {source} ", f"usage: {name} ", text)
            stage.write_text(text, encoding="utf-8")
        return made.rename(CONTAINERS / name)


def rows_for(folder: Path, pipeline: Pipeline) -> list[Row]:
    """Return the rows that want a kind of work that the image can do, by its Dockerfile's label.

    Of rows that are like another, one for each kind of work.
    """
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    works = " ".join(re.findall(r'org\.microstage\.work="(.*?)"', dockerfile)).split()
    found: list[Row] = []
    for row in pipeline.rows.values():
        if row.work in works and not (row.like and row.work in (other.work for other in found)):
            found.append(row)
    return found


def version() -> str:
    """Return the tag of images that are built here."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    found: str = project["project"]["version"]
    return found
