"""What images weigh, and how fast they are, beside others with the same packages."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from support import REPOSITORY

FAT = "comparison/fat:usual"
RUN = ["docker", "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp"]
IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


class Image(NamedTuple):
    """What is known of an image and of what it is compared with; MB and seconds."""

    name: str
    size: float
    unique: float
    floor: float
    usual: float | None = None
    start: Sequence[float] = ()  # ours, usual, fat; ours alone where the stage is not in Python
    imports: Sequence[float] = ()


def measure(runs: int) -> list[Image]:
    """Measure every stage image, the smallest first."""
    listed = [
        line.split() for line in output(REPOSITORY / "build_images.sh", "--list").splitlines()
    ]
    version = next(
        line.split('"')[1]
        for line in (REPOSITORY / "pyproject.toml").read_text().splitlines()
        if line.startswith("version")
    )
    references = {name: f"microstage/{name}:{version}" for _, name in listed}
    stages = [name for kind, name in listed if kind == "stage"]
    layers = layers_of(references)
    shared = Counter(layer for of_image in layers.values() for layer in of_image)
    floors = json.loads(
        output(REPOSITORY / "scripts/opened_files", "--json", *map(references.__getitem__, stages))
    )
    in_python = [name for name in stages if (REPOSITORY / f"containers/{name}/stage.py").exists()]
    for tag, names in [(FAT, in_python), *((usual(name), [name]) for name in in_python)]:
        output(REPOSITORY / "scripts/comparison/build", "usual", tag, *names)

    images = []
    for name in stages:
        image = Image(
            name=name,
            size=sum(layers[name].values()) / 1e6,
            unique=sum(n for layer, n in layers[name].items() if shared[layer] == 1) / 1e6,
            floor=sum(floors[references[name]].values()) / 1e6,
        )
        ours = [*RUN, references[name]]
        if name in in_python:
            others = [[*RUN, tag, f"/app/{name}/stage.py"] for tag in (usual(name), FAT)]
            start = medians([[*run, "--help"] for run in (ours, *others)], runs)
            image = image._replace(
                usual=megabytes(usual(name)),
                start=start,
                imports=import_times(name, references[name], runs),
            )
        else:
            image = image._replace(start=medians([[*ours, "--help"]], runs))
        images.append(image)

    return sorted(images, key=lambda image: image.size)


def output(*command: str | Path) -> str:
    """Run a command to its end; return what it prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def usual(name: str) -> str:
    """Return the tag of a stage that is built the usual way."""
    return f"comparison/{name}:usual"


def megabytes(image: str) -> float:
    """Return the uncompressed size of an image."""
    return int(output("docker", "image", "inspect", "--format={{.Size}}", image)) / 1e6


def layers_of(references: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return name -> layer -> bytes of its files."""
    sizes: dict[str, int] = {}
    with (
        subprocess.Popen(["docker", "save", *references.values()], stdout=subprocess.PIPE) as save,
        tarfile.open(fileobj=save.stdout, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member)
            if member.name == "manifest.json" and content:
                manifest = json.load(content)
            elif content:
                try:
                    with tarfile.open(fileobj=content, mode="r|") as layer:
                        sizes[member.name] = sum(file.size for file in layer)
                except tarfile.ReadError:
                    continue  # a description, no layer
    layers = {tag: entry["Layers"] for entry in manifest for tag in entry["RepoTags"]}
    return {name: {x: sizes[x] for x in layers[tag]} for name, tag in references.items()}


def import_times(name: str, reference: str, runs: int) -> list[float]:
    """Return the medians of importing what a stage imports: ours, the usual way, fat."""
    files = sorted((REPOSITORY / f"containers/{name}").glob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    modules = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    modules |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    known = {*sys.stdlib_module_names, *(file.stem for file in files)}
    foreign = sorted(m for m in modules if m.split(".")[0] not in known)
    if not foreign:
        return []
    code = IMPORT.format(", ".join(foreign))
    run = [*RUN, "--entrypoint=python3"]
    return medians(
        [[*run, tag, "-c", code] for tag in (reference, usual(name), FAT)], runs, printed=True
    )


def medians(commands: Sequence[list[str]], runs: int, *, printed: bool = False) -> list[float]:
    """Run commands by turns; return the median of the seconds of each, or of what it prints."""
    seconds: list[list[float]] = [[] for _ in commands]
    for turn in range(runs + 1):
        for place in range(len(commands)):
            which = (turn + place) % len(commands)  # each is the first of a turn in its turn
            started = time.perf_counter()
            said = output(*commands[which])
            if turn:  # the first fills the page cache
                seconds[which].append(float(said) if printed else time.perf_counter() - started)
    return [median(measured) for measured in seconds]
