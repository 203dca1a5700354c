"""How long a change takes to become an image, in a clone of the last commit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from support import REPOSITORY

PREFIX = "microstage-inner-loop"
FAT = f"{PREFIX}/fat:usual"
STAGE = "preprocess"
# Versions of a dependency of the stage, one a run: each is new to the build cache of both sides.
DEPENDENCY, VERSIONS = "orjson", ("3.11.3", "3.11.4", "3.11.5", "3.11.6", "3.11.7")


class Clone:
    """A clone of the repository that builds images with names of their own."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder, "microstage")
        run("git", "clone", "--quiet", str(REPOSITORY), str(self.folder))
        made = subprocess.run(
            [REPOSITORY / "scripts/environment"], stdout=subprocess.PIPE, check=True, text=True
        )
        (self.folder / ".venv").symlink_to(made.stdout.strip())
        listed = [line.split() for line in self.said("./build_images.sh", "--list").splitlines()]
        self.names = [name for _, name in listed]
        stages = self.folder / "containers"
        self.in_python = [name for name in self.names if (stages / name / "stage.py").exists()]

    def said(self, *command: str) -> str:
        """Run a command in the clone; return what it prints, or end with what it said."""
        environment = {**os.environ, "MICROSTAGE_PREFIX": PREFIX}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
        return done.stdout

    def seconds(self, *command: str) -> float:
        """Return how long a command takes."""
        started = time.perf_counter()
        self.said(*command)
        return time.perf_counter() - started

    def build(self, *names: str) -> float:
        """Return the seconds of ./build_images.sh."""
        return self.seconds("./build_images.sh", *names)

    def build_fat(self) -> float:
        """Return the seconds of building all stages into one image."""
        return self.seconds("scripts/comparison/build", "usual", FAT, *self.in_python)

    def ids(self) -> dict[str, str]:
        """Return name -> id of the images that are built."""
        told = self.said(
            "docker", "images", "--no-trunc", "--format={{.Repository}} {{.ID}}", f"{PREFIX}/*"
        )
        found = (line.split() for line in told.splitlines())
        return {name.partition("/")[2]: image for name, image in found}

    def tag(self) -> str:
        """Return the name of the stage's image."""
        told = self.said(
            "docker", "images", "--format={{.Repository}}:{{.Tag}}", f"{PREFIX}/{STAGE}"
        )
        return told.strip()


def measure(clone: Clone, runs: int, seen: set[str]) -> None:
    """Make each change `runs` times; print the table. Ids of images go into `seen`."""
    ours, fat = (dict[str, list[float]]() for _ in range(2))
    stage = clone.folder / "containers" / STAGE
    clone.build()
    clone.build_fat()
    new = set[str]()
    for number in range(runs):
        note(ours, "nothing changed", clone.build())
        note(fat, "nothing changed", clone.build_fat())

        with (stage / "stage.py").open("a") as file:
            file.write(f"# changed: {number}\n")
        seen.update(clone.ids().values())
        line = clone.build(STAGE)
        note(ours, "one line of one stage", line)
        note(fat, "one line of one stage", clone.build_fat())
        checked = clone.seconds("scripts/check_stage", clone.tag(), "--as", STAGE)
        note(ours, "the same with the stage's check", line + checked)

        asked = (stage / "requirements.in").read_text().splitlines()
        kept = [line for line in asked if not line.startswith(DEPENDENCY)]
        (stage / "requirements.in").write_text(
            "\n".join([*kept, f"{DEPENDENCY}=={VERSIONS[number]}"]) + "\n"
        )
        clone.said("scripts/lock", STAGE)
        before = clone.ids()
        seen.update(before.values())
        note(ours, "one dependency of one stage", clone.build())
        note(fat, "one dependency of one stage", clone.build_fat())
        after = clone.ids()
        seen.update(after.values())
        new |= {name for name in clone.names if before[name] != after[name]}

    print("| change | Microstage, s | one fat image, s | fat / Microstage |")
    print("|---|---:|---:|---:|")
    for change, seconds in ours.items():
        mine = median(seconds)
        other = median(fat[change]) if change in fat else None
        cells = f"{other:.1f} | {other / mine:.1f}" if other else "– | –"
        print(f"| {change} | {mine:.1f} | {cells} |")
    same = [name for name in clone.names if name not in new]
    print(
        f"\nAfter a dependency of {STAGE} changed, the image of {', '.join(sorted(new))} is new; "
        f"those of {', '.join(same)} have the ids that they had. The fat image is a new one for "
        f"all of its {len(clone.in_python)} stages after any change."
    )


def note(table: dict[str, list[float]], change: str, seconds: float) -> None:
    """Add one measurement, and say it on stderr: it takes some minutes."""
    table.setdefault(change, []).append(seconds)
    print(f"{change}: {seconds:.1f} s", file=sys.stderr)


def clear(seen: set[str]) -> None:
    """Remove the images that were made here, by name, and the ones that lost theirs."""
    listed = output("docker", "images", "--format={{.Repository}}:{{.Tag}}", f"{PREFIX}/*")
    for name in listed.split():
        run("docker", "image", "rm", name)
    for image in seen:
        if output("docker", "image", "inspect", "--format={{len .RepoTags}}", image) == "0":
            run("docker", "image", "rm", image)


def output(*command: str) -> str:
    """Return what a command prints, without its last line's end; nothing where it fails."""
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return done.stdout.strip()


def run(*command: str) -> None:
    """Run a command that must end well."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
