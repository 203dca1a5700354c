"""The folder that an image is built from: what is saved in it, and what an image starts of it.

It is looked at ten times a second, which costs less than a millisecond for some dozen files, sees
every way of saving alike, and works where the kernel tells nothing of changes (NFS, shared folders
of a virtual machine): no library is needed for that.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.stages import CONTAINERS

from microstage.errors import NO_INPUT, USAGE, StageError

EVERY = 0.1  # seconds
APP = "/app"  # where an image has its folder
# What is in the image as it was built, and the command that is to be run before ./build_images.sh.
BUILT = {"Dockerfile": "", "requirements.txt": "", "requirements.in": "scripts/lock {} and "}
# Files of editors, which save beside the file first, and of Python.
ASIDE = re.compile(r"[.#].*|.*~|.*\.(tmp|pyc|swp)|__pycache__|4913")

Files = dict[str, tuple[int, int, int]]  # path in the folder -> time in ns, bytes, inode


def folder_of(image: str) -> Path:
    """Return the folder of an image under containers/. Raises StageError (66) without one."""
    folder = CONTAINERS / re.split("[:@]", image.rpartition("/")[2])[0]
    if not folder.is_dir():
        raise StageError(
            NO_INPUT,
            f"{image} has no folder {folder.relative_to(REPOSITORY)}: name the one that it is "
            "built from with --folder.",
        )
    return folder


def files_of(folder: Path) -> Files:
    """Return the files of a folder as they are now, without those that editors keep aside."""
    found: Files = {}
    for directory, below, names in os.walk(folder):
        below[:] = [name for name in below if not ASIDE.fullmatch(name)]
        for name in names:
            path = Path(directory, name)
            with suppress(FileNotFoundError):  # it was renamed right now
                if not ASIDE.fullmatch(name):
                    is_now = path.stat()
                    here = str(path.relative_to(folder))
                    found[here] = (is_now.st_mtime_ns, is_now.st_size, is_now.st_ino)
    return found


def settled(folder: Path, wait: Callable[[float], object] = time.sleep) -> Files:
    """Return the files of a folder once two looks at it are alike.

    So several files that are saved at once, and a file that is away for a moment, are one change.
    """
    before = files_of(folder)
    while True:
        wait(EVERY)
        now = files_of(folder)
        if now == before:
            return now
        before = now


def saved(before: Files, now: Files) -> list[str]:
    """Return the files that were saved, made, removed or renamed."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def to_build(names: Iterable[str], folder: Path) -> str:
    """Say what is to be run where something has changed that is in the image; "": nothing."""
    found = [name for name in BUILT if name in names]
    if not found:
        return ""
    first = BUILT[found[-1]].format(folder.name)
    return (
        f"{' and '.join(found)}: in the image as it was built; run {first}"
        f"./build_images.sh {folder.name}, and the next save runs in the new one."
    )


def copy(folder: Path, to: Path) -> None:
    """Copy a folder for one run: so it has one state of it, and none of this machine's byte code.

    What is renamed right now is left out: another run follows, as the folder is another then.
    """
    to.mkdir(0o755)
    for name in files_of(folder):
        target = to / name
        target.parent.mkdir(0o755, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(folder / name, target)
            target.chmod(0o755)


def started(image: str, config: dict[str, Any], folder: Path) -> int:
    """Return which word of an image's entrypoint is a file of the folder; `config`: the image's.

    Raises StageError (64) where none is: what is saved is not what would run then.
    """
    for place, word in enumerate(config.get("Entrypoint") or []):
        path = os.path.normpath(Path(config.get("WorkingDir") or "/", word))
        if path.startswith(f"{APP}/") and (folder / path.removeprefix(f"{APP}/")).is_file():
            return place
    raise StageError(
        USAGE,
        f"{image} starts no file of {folder.name} in {APP}, so what is saved there is not what "
        f"runs: build it, and run scripts/run_stage without --watch and --debug.",
    )


def is_python(entrypoint: list[str], place: int) -> bool:
    """Tell whether a word of an entrypoint is a program that Python is started with."""
    return place > 0 and Path(entrypoint[place - 1]).name.startswith("python")
