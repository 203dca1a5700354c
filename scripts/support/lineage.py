"""What made a published directory: the models, data and images behind it, every file checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from microstage.data_folder import MANIFEST, DataFolder, digest, published_files
from microstage.errors import StageError
from microstage.jobs import DAY as DAY_PATTERN
from microstage.jobs import writer_of
from microstage.pipelines import Pipeline

VERSION = "version.json"  # beside the files of a model that came from the registry
DAY = re.compile(DAY_PATTERN)


@dataclass
class Node:
    """One directory: what its manifest says of it, and what is wrong with it."""

    directory: str
    manifest: dict[str, Any] | None = None
    version: dict[str, Any] | None = None  # of a model that came from the registry
    sources: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what is worth knowing, and no problem
    unknown: str = "from outside (no manifest)"  # why there is no manifest to tell what made it

    @property
    def outputs(self) -> dict[str, str]:
        """The files that the manifest names -> sha256."""
        return sha256_of_each((self.manifest or {}).get("outputs", {}))

    @property
    def kind(self) -> tuple[str, ...]:
        """The same for directories that may share a line: days that one image made, intact."""
        if self.problems or (self.version is None and "model.json" in self.outputs):
            return (self.directory,)
        return DAY.sub("{day}", self.directory), self.maker, *self.notes

    @property
    def maker(self) -> str:
        """The stage and the image that made it, and which model it is or was made with."""
        said = self.unknown
        if self.manifest:
            stage, verb, image, number = (
                self.manifest.get(key, "?") for key in ("stage", "verb", "image", "image_id")
            )
            # A reference may hold the id itself, which is said once.
            image = image.removeprefix("microstage/").partition("@")[0]
            said = f"{stage}: {image} {verb} ({short(number)})"
        if model := self.version or (self.manifest or {}).get("model"):
            if model.get("version"):
                said += f", model {model.get('name')} version {model['version']}"
            if self.version:
                said += f", trained {self.version.get('date')}"
        return said

    @property
    def made(self) -> str:
        """When it was made, and by which run of which DAG."""
        if not self.manifest:
            return ""
        run = self.manifest.get("run", {})
        when = self.manifest.get("started", "?")[:16].replace("T", " ")
        return f", {when}, run {run.get('dag')} {run.get('run')}"


class Lineage:
    """A directory and all that is behind it, every file checked."""

    def __init__(self, pipeline: Pipeline, data: DataFolder, directory: str) -> None:
        """Read and check it; `data` is the pipeline's own."""
        self.pipeline = pipeline
        self.data = data
        self.nodes: dict[str, Node] = {}
        self.files: set[Path] = set()
        self.add(directory)

    @property
    def problems(self) -> list[str]:
        return [problem for node in self.nodes.values() for problem in node.problems]

    def held(self, path: Path) -> str | None:
        """Return the sha256 of a file as it is now, None where there is none."""
        if not path.is_file():
            return None
        self.files.add(path)
        return sha256_of(path)

    def add(self, directory: str) -> Node:
        """Read and check a directory and, first time only, all that is behind it."""
        if directory in self.nodes:
            return self.nodes[directory]
        node = self.nodes[directory] = Node(directory)
        try:
            path = self.data.path(directory)
            if not path.is_dir():
                node.unknown = "MISSING"
                node.problems.append(f"MISSING: the directory {directory} is not there any more")
            elif (path / MANIFEST).is_file():
                node.unknown = "UNREADABLE"
                node.manifest = json.loads((path / MANIFEST).read_bytes())
                self.check_outputs(node, path)
                self.follow(node, path)
            elif self.made_by_a_stage(directory):
                node.unknown = f"MISSING {MANIFEST}"
                node.problems.append(
                    f"MISSING: {directory}/{MANIFEST}, so what made the directory is not known"
                )
        except (StageError, OSError) as error:
            node.problems.append(f"UNREADABLE: {error}")
        except (AttributeError, TypeError, KeyError, ValueError):
            node.problems.append(
                f"UNREADABLE: {directory}/{MANIFEST} or {VERSION} in it is not as it was written"
            )
        return node

    def check_outputs(self, node: Node, path: Path) -> None:
        """Compare a directory's files with its own manifest."""
        for name, recorded in node.outputs.items():
            now = self.held(path / name)
            if now is None:
                node.problems.append(f"MISSING: {node.directory}/{name}, which was published there")
            elif now != recorded:
                node.problems.append(
                    f"CHANGED: {node.directory}/{name} was published as {short(recorded)} "
                    f"and is {short(now)} now"
                )
        added = [
            f"{node.directory}/{name}, which no stage published"
            for name in published_files(path)
            if name not in node.outputs
        ]
        if self.made_by_a_stage(node.directory):
            node.problems += [f"ADDED: {file}" for file in added]
        else:  # labels that came later, say; whoever reads them records their digest
            node.notes += [f"added: {file}" for file in added]

    def follow(self, node: Node, path: Path) -> None:
        """Go on to what a directory was made from."""
        manifest = node.manifest or {}
        inputs = sha256_of_each(manifest["inputs"])
        for mount, source in manifest["sources"].items():
            files = {
                name.removeprefix(f"{mount}/"): sha256
                for name, sha256 in inputs.items()
                if name.startswith(f"{mount}/")
            }
            if files:  # else nothing in it was read: earlier copies of a model, say
                self.compare(node, self.add(source), files)
        if VERSION in node.outputs:
            self.follow_version(node, json.loads((path / VERSION).read_bytes()))

    def follow_version(self, node: Node, version: dict[str, Any]) -> None:
        """Go on from a copy of a registered model to the directory that it was registered from."""
        of_model = {
            name: sha256 for name, sha256 in version["files"].items() if name in node.outputs
        }
        if not of_model:  # the note of a registration, which holds no model
            return
        node.version = version
        node.problems += [
            f"CHANGED: {node.directory}/{name} is not what {VERSION} says was registered"
            for name, sha256 in of_model.items()
            if sha256 != node.outputs[name]
        ]
        of_model.pop("metrics.json", None)  # the validation's, which is another directory
        model = f"models/{version['date']}"
        if anew := self.published_anew(model, of_model):
            # What follows it is the newer model's own lineage; only its files are checked.
            self.check_outputs(anew, self.data.path(model))
            node.problems += anew.problems
            node.notes.append(
                f"superseded: {model} was trained anew since; the tree goes on by {VERSION}"
            )
        else:
            registered = self.add(model)
            self.compare(node, registered, of_model)
            if registered.manifest:
                return
            node.notes.append(f"the tree goes on by {VERSION}, for want of {model}/{MANIFEST}")
        raw: dict[str, dict[str, str]] = {}
        for name, sha256 in version["raw"].items():
            day, _, file = name.partition("/")
            raw.setdefault(f"raw/{day}", {})[file] = sha256
        for source, files in raw.items():
            self.compare(node, self.add(source), files)

    def published_anew(self, directory: str, files: dict[str, str]) -> Node | None:
        """Return a directory if its manifest is of other contents (file -> sha256), else None."""
        try:
            manifest = (self.data.path(directory) / MANIFEST).read_bytes()
            node = Node(directory, json.loads(manifest))
            same = node.outputs.items() >= files.items()
        except (OSError, AttributeError, TypeError, KeyError, ValueError):
            return None  # whoever adds it to the tree tells what is wrong with it
        return None if same or not node.outputs else node

    def compare(self, reader: Node, source: Node, files: dict[str, str]) -> None:
        """Compare what was read (file -> sha256) with what the source has published since."""
        if source.directory not in reader.sources:
            reader.sources.append(source.directory)
        path = self.data.path(source.directory)
        if not path.is_dir():
            return
        differ = []
        for name, read in files.items():
            # Where a published file was changed by hand, check_outputs has said it already.
            now = source.outputs.get(name) or self.held(path / name)
            if now != read:
                differ.append(f"{name} {short(read)} -> {short(now) if now else 'gone'}")
        if differ:
            source.problems.append(
                f"REPLACED: {source.directory} is not what {reader.directory} was made from: "
                f"{', '.join(differ)}{source.made.replace(',', '; made', 1)}"
            )

    def made_by_a_stage(self, directory: str) -> bool:
        """Tell whether a stage that reads something writes there: raw data may be from outside."""
        writer = writer_of(self.pipeline, directory)
        return writer is not None and bool(writer[0].reads)


def sha256_of_each(files: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the digests of files as a manifest has them: name -> sha256."""
    return {name: entry["sha256"] for name, entry in files.items()}


def short(digest: str) -> str:
    """Return the first 12 digits of a digest, as `docker images` does."""
    return digest.rpartition(":")[2][:12]


@cache
def sha256_of(path: Path) -> str:
    """Return a file's sha256, read once."""
    sha256: str = digest(path)["sha256"]
    return sha256
