"""Which directories a container may see: those that its row names, and one of its own to write to.

The client says which, as paths on the engine's machine. Each has to be what the row's templates
make of some day and model; what is mounted is the same directory of the volume that is the data
folder, which the engine opens without following a link (VolumeOptions.Subpath), so that nothing
that a task has put there, or puts there in between, leads out of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guard.refusals import RefusedError
from guard.settings import Settings
from microstage.contract import Run
from microstage.data_folder import STAGING, plain
from microstage.errors import StageError
from microstage.jobs import DAY, spoken, window_days
from microstage.pipelines import Pipeline
from microstage.sharing import COMMAND, MOST
from microstage.table import Row

MODEL = r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*"
DRAWN = r"[a-z0-9_]{8}"  # what tempfile.mkdtemp puts behind a prefix
FOREVER = 9999  # days, as jobs.window_days has them


@dataclass(frozen=True)
class Asked:
    """What a client asks to have mounted: where, which directory of the pipeline's data, how."""

    target: str
    path: str
    read_only: bool


@dataclass
class Known:
    """What has been learned of the placeholders; each has one value in a container."""

    values: dict[str, str] = field(default_factory=dict)

    def take(self, found: Mapping[str, str]) -> bool:
        """Tell whether it fits what is known already, which it is put to."""
        if any(self.values.get(key, value) != value for key, value in found.items()):
            return False
        self.values.update(found)
        return True


def asked(settings: Settings, pipeline: Pipeline, mounts: object) -> list[Asked]:
    """Return what a client asks to have mounted.

    Raises RefusedError unless each is a plain bind.
    """
    root = "/".join(part for part in (settings.data, pipeline.folder) if part) + "/"
    if type(mounts) is not list:
        raise RefusedError("Mounts is no list.")
    found = []
    for mount in mounts:
        if type(mount) is not dict or mount.keys() != {"Type", "Source", "Target", "ReadOnly"}:
            raise RefusedError("A mount has Type, Source, Target and ReadOnly, and nothing else.")
        source, target, read_only = mount["Source"], mount["Target"], mount["ReadOnly"]
        if mount["Type"] != "bind" or type(source) is not str or type(target) is not str:
            raise RefusedError("A mount is of the type bind, of a directory.")
        if type(read_only) is not bool or read_only != (not target.startswith("/out")):
            raise RefusedError("What is below /in is read-only, and /out is not.")
        path = source.removeprefix(root)
        if path == source or any(part in ("", ".", "..") for part in path.split("/")):
            raise RefusedError(
                "A mount is of a directory of the pipeline's data, by its plain path."
            )
        found.append(Asked(target, path, read_only))
    if len({each.target for each in found}) != len(found):
        raise RefusedError("Two mounts have one place.")
    return found


def check_one(row: Row, pipelines: Sequence[str], run: Run, mounts: Sequence[Asked]) -> None:
    """Raise RefusedError unless these are the mounts of one run of a row."""
    if run.day and not _is_day(run.day):
        raise RefusedError("The label microstage.day is no day.")
    outputs = [each for each in mounts if each.target == "/out"]
    if len(outputs) != 1 or not _staged(outputs[0].path, run.key):
        raise RefusedError(f"/out is one directory below {STAGING}/, named by the task.")
    known = Known({"ds": run.day} if run.day else {})
    days: dict[str, set[str]] = {}
    seen = set()
    for each in mounts:
        if each.target == "/out":
            continue
        name, _, day = each.target.removeprefix("/in/").partition("/")
        template = row.reads.get(name) if each.target.startswith("/in/") else None
        if template is None or bool(day) != ("{day}" in template):
            raise RefusedError(f"{row.where}: it reads nothing that is mounted there.")
        found = _match(template, each.path, pipelines)
        if found is None or found.pop("day", day) != day or not known.take(found):
            raise RefusedError(f"{row.where}: {name} is another directory.")
        seen.add(name)
        if day:
            days.setdefault(name, set()).add(day)
    if lacking := row.reads.keys() - seen - set(row.optional):
        raise RefusedError(f"{row.where}: {min(lacking)} is missing.")
    _check_days(row, known.values.get("ds", ""), days)


def _check_days(row: Row, ds: str, days: Mapping[str, set[str]]) -> None:
    """Raise RefusedError unless they are of a window that ends at the day of the run."""
    last = ds or max((max(each) for each in days.values()), default="")
    for name, each in days.items():
        window = set(_window(last, len(each)))
        if max(each) > last or (name not in row.optional and each != window):
            raise RefusedError(f"{row.where}: {name} has days that are not those of a window.")


def check_days(row: Row, pipelines: Sequence[str], run: Run, mounts: Sequence[Asked]) -> None:
    """Raise RefusedError unless these are the mounts of several days in one container."""
    by_target = {each.target: each.path for each in mounts}
    folder = re.fullmatch(
        rf"({re.escape(STAGING)}/{re.escape(f'{run.instance}-{COMMAND}')}\.{DRAWN})/in",
        by_target.pop("/in", ""),
    )
    if not folder or by_target.pop("/out", "") != f"{folder[1]}/out":
        raise RefusedError(f"/in and /out are those of one directory below {STAGING}/.")
    days: dict[str, str] = {}
    sources: list[str] = []
    for target, path in by_target.items():
        if target == f"/in/.sources/{len(sources)}":
            sources.append(path)
        elif (day := target.removeprefix("/out/")) != target and _is_day(day):
            if not _staged(path, f"{run.instance}-{day}"):
                raise RefusedError(f"A day's /out is a directory below {STAGING}/, named by it.")
            days[day] = path
        else:
            raise RefusedError(f"{row.where}: it has nothing that is mounted there.")
    if not 2 <= len(days) <= MOST or run.day != spoken(list(days)):
        raise RefusedError("The days are not those that the label names.")
    read = {(name, day) for path in sources for name, day in _reading(row, path, days, pipelines)}
    if len(set(sources)) != len(sources):
        raise RefusedError("A directory is mounted twice.")
    for name in row.reads.keys() - set(row.optional):
        if lacking := [day for day in days if (name, day) not in read]:
            raise RefusedError(f"{row.where}: {name} of {min(lacking)} is missing.")


def _reading(
    row: Row, path: str, days: Mapping[str, str], pipelines: Sequence[str]
) -> set[tuple[str, str]]:
    """Return the names and days that a directory is read for.

    Raises RefusedError if there are none.
    """
    read = set()
    for name, template in row.reads.items():
        if (found := _match(template, path, pipelines)) is None:
            continue
        last, day = found.get("ds"), found.get("day")
        read |= {
            (name, each)
            for each in days
            if (last is None or last == each) and (day is None or day <= each)
        }
    if not read:
        raise RefusedError(f"{row.where}: it does not read a directory that is mounted.")
    return read


def _match(template: str, path: str, pipelines: Sequence[str]) -> dict[str, str] | None:
    """Return what the placeholders of a template are in a path; None if it is not of it."""
    pattern = re.escape(template)
    for name, text in (("ds", DAY), ("day", DAY), ("model", MODEL)):
        place = re.escape(f"{{{name}}}")
        pattern = pattern.replace(place, f"(?P<{name}>{text})", 1)
        pattern = pattern.replace(place, f"(?P={name})")
    found = re.fullmatch(pattern, plain(path), re.ASCII)  # a version: microstage.replacing
    if not found:
        return None
    values = found.groupdict()
    if not all(_is_day(values[name]) for name in ("ds", "day") if name in values):
        return None
    # The default pipeline has the data folder itself, where the others have theirs.
    if values.get("model", "").partition("/")[0] in pipelines:
        return None
    return values


def _staged(path: str, key: str) -> bool:
    return bool(re.fullmatch(rf"{re.escape(STAGING)}/{re.escape(key)}\.{DRAWN}", path, re.ASCII))


def _is_day(text: str) -> bool:
    return bool(re.fullmatch(DAY, text, re.ASCII)) and bool(_window(text, 1))


def _window(last: str, count: int) -> list[str]:
    try:
        return window_days(last, min(count, FOREVER))
    except StageError:
        return []


def composed(settings: Settings, pipeline: Pipeline, mounts: Sequence[Asked]) -> list[Any]:
    """Return the same directories, as those of the volume that is the data folder."""
    prefix = f"{pipeline.folder}/" if pipeline.folder else ""
    return [
        {
            "Type": "volume",
            "Source": settings.volume,
            "Target": each.target,
            "ReadOnly": each.read_only,
            # NoCopy: what the image has at that place is not copied into an empty directory.
            "VolumeOptions": {"NoCopy": True, "Subpath": prefix + each.path},
        }
        for each in mounts
    ]
