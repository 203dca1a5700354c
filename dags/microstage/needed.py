"""What of a pipeline's data is old enough to go; what is old and needed, and by what.

The manifests make a graph: each names the directories that its stage read, and beside the copy of a
registered model is whose copy it is. What is in production, was there before, or is in use in
another way, what a run that has not ended may need, and each prediction that is kept, stay with all
that they were made from, however old that is. Standard library only.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

from microstage.data_folder import MANIFEST, VERSIONS, DataFolder, is_version, walk
from microstage.errors import BAD_DATA, StageError
from microstage.jobs import DAY
from microstage.keeping import Going
from microstage.pipelines import Pipeline, pipeline_names
from microstage.publishing import os_failure, staging_of
from microstage.replacing import remove, withdraw

VERSION = "version.json"  # of a registered model, or of a copy of one
PREDICTIONS = "predict-rows"  # the kind of work whose lineage stays as long as it does
MOVES = {"promote-model", "roll-back-model"}  # the kinds that say which versions are in use
IN_USE = ("production", "previous")  # as these say it
Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass
class Unit:
    """What goes or stays as a whole: FOLDER/DAY, with all that is published in it."""

    name: str
    size: int = 0
    made: str = ""  # the newest day on which something in it was
    foreign: bool = False  # a person put it there

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]

    @property
    def newest(self) -> str:
        """The day that it is of, or on which it was made, whichever is later; "": it has none."""
        day = self.name.rpartition("/")[2]
        return max(day, self.made) if re.fullmatch(DAY, day) else ""


class Graph:
    """What is published in a pipeline's data, and what it was made from."""

    def __init__(self, pipeline: Pipeline, data: DataFolder) -> None:
        """Read every manifest. Raises StageError (65) for one that does not tell."""
        self.pipeline = pipeline
        self.units: dict[str, Unit] = {}
        self.manifests: dict[str, dict[str, Any]] = {}  # by their directories
        self.versions: dict[str, dict[str, Any]] = {}  # likewise
        others = set(pipeline_names()) if not pipeline.folder else set()
        for path in sorted(data.root.glob("[!.]*/*")):
            ours = path.parent.name not in others and path.name != VERSIONS
            if ours and path.is_dir() and (is_version(path) or not path.is_symlink()):
                self._read(data, path)
        self.moves = sorted(self._moves(data), key=lambda move: move[0])

    def _read(self, data: DataFolder, folder: Path) -> None:
        unit = Unit(str(folder.relative_to(data.root)))
        self.units[unit.name] = unit
        for path, files in walk(folder):
            directory = str(path.relative_to(data.root))
            unit.size += sum((path / file).lstat().st_size for file in files)
            if MANIFEST in files:
                manifest = self.manifests[directory] = read(path / MANIFEST)
                unit.made = max(unit.made, str(manifest.get("started", ""))[:10])
                if VERSION in manifest["outputs"]:
                    self.versions[directory] = read(path / VERSION, "name", "version", "date")
            elif files and directory == unit.name:
                unit.foreign = True

    def _moves(self, data: DataFolder) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield when versions were put into production or out of it, where that is, and what."""
        for directory, manifest in self.manifests.items():
            row = self.pipeline.rows.get(manifest["stage"])
            if row and row.work in MOVES:
                said = read(data.path(directory) / row.files[0], "name", *IN_USE)
                yield str(manifest.get("started", "")), directory, said

    def models(self, name: str, version: str) -> list[str]:
        """Return the directory of the model that is a version, in a list that may be empty."""
        return [
            f"models/{found['date']}"
            for found in self.versions.values()
            if (found["name"], str(found["version"])) == (name, version)
        ][:1]

    def sources(self, directory: str) -> Iterator[str]:
        """Yield what a directory was made from."""
        manifest = self.manifests.get(directory)
        if not manifest:
            return
        for mount, source in manifest["sources"].items():
            # Else nothing in it was read: earlier copies of a model, say.
            if any(name.startswith(f"{mount}/") for name in manifest["inputs"]):
                yield source
        if version := self.versions.get(directory):
            yield f"models/{version['date']}"
            yield from {f"raw/{file.partition('/')[0]}" for file in version.get("raw", {})}

    def images(self, without: Iterable[Unit]) -> set[str]:
        """Return the ids of the images that all but these units were made by."""
        gone = {unit.name for unit in without}
        return {
            str(manifest.get("image_id"))
            for directory, manifest in self.manifests.items()
            if not gone & set(units_of({directory: ""}))
        }

    def within(self, unit: str) -> list[str]:
        """Return the directories in a unit."""
        return [each for each in self.manifests if f"{each}/".startswith(f"{unit}/")]

    def follow(self, roots: Iterable[str], why: str, needed: dict[str, str]) -> None:
        """Let `needed` have what these were made from, with the reason; what is there stays."""
        todo = list(roots)
        while todo:
            directory = todo.pop()
            if directory not in needed:
                needed[directory] = why
                todo += self.sources(directory)


def read(path: Path, *keys: str) -> dict[str, Any]:
    """Return what a file says. Raises StageError (65) where nobody knows what it needs."""
    asked = keys or ("stage", "sources", "inputs", "outputs")
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        if all(key in content for key in asked):
            return content
    except (OSError, ValueError, TypeError):
        pass
    raise StageError(
        BAD_DATA,
        f"{path} is not as it was written, so nobody knows what is needed still, and nothing was "
        "removed: publish its directory again, or move it away.",
    )


@dataclass
class Plan:
    """What goes of a pipeline's data; what stays although it is old, and why."""

    pipeline: Pipeline
    goes: list[Unit] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)  # unit -> why

    def lines(self) -> Iterator[str]:
        """Yield it for a person, by folder and reason."""
        for folder, units in grouped(self.goes, lambda unit: unit.folder):
            days = span(unit.name for unit in units)
            size = sum(unit.size for unit in units) / 1e6
            yield f"{self.shown(folder)}: {len(units)} old, {size:.1f} MB: {days}"
        of = lambda item: (item[0].partition("/")[0], item[1])  # noqa: E731
        for (folder, why), items in grouped(self.stays.items(), of):
            days = span(name for name, _ in items)
            yield f"{self.shown(folder)}: {len(items)} old, kept: {days}: {why}"

    def shown(self, folder: str) -> str:
        """Return a folder as a person knows it: below the data folder of all pipelines."""
        return f"{self.pipeline.folder}/{folder}".lstrip("/")


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> list[tuple[Key, list[Item]]]:
    """Return items by a key, in order."""
    found: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return sorted(found.items(), key=lambda group: str(group[0]))


def span(names: Iterable[str]) -> str:
    """Return the first and the last day of units."""
    days = sorted(name.rpartition("/")[2] for name in names)
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def plan(
    graph: Graph,
    days: Mapping[str, int],
    today: date,
    runs: Sequence[Going] = (),
    in_use: Mapping[str, str] | None = None,
) -> Plan:
    """Return what goes by these days, folder -> number; what is not named there stays for ever.

    `in_use`: directories that are used in a way that the data do not tell, and how.
    """
    pipeline, found = graph.pipeline, Plan(graph.pipeline)
    # What a training or a report goes back over is no older than that.
    least = max(pipeline.window, pipeline.history)
    old = {
        name: unit
        for name, unit in graph.units.items()
        if unit.folder in days
        and unit.newest
        and unit.newest < str(today - timedelta(days=max(days[unit.folder], least)))
    }
    needed: dict[str, str] = {}
    for _, directory, move in graph.moves[-1:]:
        for alias in IN_USE:
            graph.follow(graph.models(move["name"], str(move[alias])), f"{alias} needs it", needed)
        needed.setdefault(directory, "it says what is in production")
    for directory, how in (in_use or {}).items():
        graph.follow([directory], how, needed)
    for run in runs:
        of_run = [u for u in graph.units if run.first <= u.rpartition("/")[2] <= run.last]
        roots = [*of_run, *(each for unit in of_run for each in graph.within(unit))]
        graph.follow(roots, f"{run.name} has not ended", needed)
    dayless = [name for name, unit in graph.units.items() if not unit.newest]
    for name in dayless:
        graph.follow(graph.within(name), f"{name} needs it", needed)
    already = units_of(needed)
    folders = {r.to.partition("/")[0] for r in pipeline.rows.values() if r.work == PREDICTIONS}
    kept = [
        name
        for name, unit in graph.units.items()
        if unit.folder in folders and (name not in old or name in already)
    ]
    for name in kept:
        graph.follow([name], f"{name.partition('/')[0]} that are kept need it", needed)
    why = units_of(needed)
    for name, unit in old.items():
        if unit.foreign:
            found.stays[name] = "no stage published it"
        elif name in why:
            found.stays[name] = why[name]
        else:
            found.goes.append(unit)
    return found


def units_of(needed: Mapping[str, str]) -> dict[str, str]:
    """Return the units that directories are in, with the first reason of each."""
    found: dict[str, str] = {}
    for directory, why in needed.items():
        found.setdefault("/".join(directory.split("/")[:2]), why)
    return found


def clear(data: DataFolder, units: Iterable[Unit]) -> None:
    """Remove units, each at once: a reader finds it as a whole or not at all. Raises StageError."""
    try:
        parent = staging_of(data)
        for unit in units:
            aside = Path(tempfile.mkdtemp(prefix="old.", dir=parent))
            withdraw(aside / "old", data.place(unit.name))
            remove(aside)
    except OSError as error:
        raise os_failure(error) from error
