"""The stage contract without Docker and without Airflow: table, paths, publishing, manifest.

A stage reads directories and fills one. This module decides which ones, gives the stage an empty
directory to fill, and publishes it as a whole if and only if the stage succeeded and wrote what
its row of the table declares. The operator and scripts/run_stage both run stages through
`run_job`, so a step gives the same result whoever starts it. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
STAGING = ".staging"
USAGE, BAD_DATA, NO_INPUT, TRY_AGAIN = 64, 65, 66, 75  # sysexits.h
MEANING = {
    USAGE: "wrong usage",
    BAD_DATA: "bad data",
    NO_INPUT: "input missing",
    TRY_AGAIN: "try again later",
}
MAX_SUMMARY_BYTES = 64 * 1024  # it becomes an XCom, which is a row of Airflow's database
MAX_STAGING_DAYS = 7

Param = str | int | float | bool


class StageError(Exception):
    """One sentence for the user, with the exit code that it stands for."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code

    @property
    def final(self) -> bool:
        """True when another try with the same inputs cannot help."""
        return self.code in (USAGE, BAD_DATA, NO_INPUT)


# --- the table ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    cpus: float
    memory: int  # bytes
    pids: int
    timeout: int  # seconds


@dataclass(frozen=True)
class Row:
    """One row of stages.toml, checked."""

    stage: str
    image: str
    verb: str
    reads: dict[str, str]
    to: str
    files: tuple[str, ...]
    params: dict[str, Param]
    limits: Limits
    network: bool


def table_path() -> Path:
    """The table beside this module, or the one that MICROSTAGE_STAGES names."""
    return Path(os.environ.get("MICROSTAGE_STAGES") or Path(__file__).with_name("stages.toml"))


def load_table(path: Path | None = None) -> dict[str, Row]:
    """Read and check the whole table. Raises StageError (64) that names the row and the key."""
    path = path or table_path()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(USAGE, f"The table of stages {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise StageError(USAGE, f"{path.name} is not valid TOML: {error}.") from None
    rows = table.get("stages")
    if set(table) != {"stages"} or not isinstance(rows, dict) or not rows:
        raise StageError(USAGE, f"{path.name} must hold [stages.<name>] tables and nothing else.")
    return {name: _row(f"{path.name}, stage {name}", name, row) for name, row in rows.items()}


def load_row(stage: str) -> Row:
    table = load_table()
    if stage not in table:
        raise StageError(
            USAGE,
            f"{table_path().name} has no stage {stage!r}; it has {', '.join(table)}.",
        )
    return table[stage]


def _row(where: str, name: str, row: object) -> Row:
    keys = {"image": str, "verb": str, "reads": dict, "writes": dict, "params": dict}
    row = _checked(where, row, {**keys, "limits": dict}, {"network": bool})
    writes = _checked(f"{where}, writes", row["writes"], {"to": str, "files": list})
    for key, value in row["reads"].items():
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            raise StageError(USAGE, f"{where}: reads must be name = \"directory\", not {key!r}.")
    for file in writes["files"]:
        if not isinstance(file, str) or not _is_inner_path(file):
            raise StageError(USAGE, f"{where}: files must be paths inside /out, not {file!r}.")
    for key, value in row["params"].items():
        if not isinstance(value, Param):
            raise StageError(USAGE, f"{where}: the parameter {key} must be a text or a number.")
    return Row(
        stage=name,
        image=row["image"],
        verb=row["verb"],
        reads=row["reads"],
        to=writes["to"],
        files=tuple(writes["files"]),
        params=row["params"],
        limits=_limits(f"{where}, limits", row["limits"]),
        network=row.get("network", False),
    )


def _checked(
    where: str, value: object, required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    known = {**required, **(optional or {})}
    if not isinstance(value, dict):
        raise StageError(USAGE, f"{where} must be a table with {', '.join(required)}.")
    if missing := [key for key in required if key not in value]:
        raise StageError(USAGE, f"{where} lacks {', '.join(missing)}.")
    for key, item in value.items():
        if key not in known:
            raise StageError(
                USAGE, f"{where} has an unknown key {key!r}; known are {', '.join(known)}."
            )
        kind = known[key]
        if not isinstance(item, kind) or (isinstance(item, bool) and kind is not bool):
            name = {str: "a text", dict: "a table", list: "a list", bool: "true or false"}
            raise StageError(USAGE, f"{where}: {key} must be {name.get(kind, 'a number')}.")
        if kind is str and not item:
            raise StageError(USAGE, f"{where}: {key} is empty.")
    return value


def _limits(where: str, value: object) -> Limits:
    limits = _checked(
        where, value, {"cpus": int | float, "memory": str, "pids": int, "timeout": str}
    )
    memory = re.fullmatch(r"(\d+)([kmg])", limits["memory"].lower())
    timeout = re.fullmatch(r"(\d+)([smh])", limits["timeout"].lower())
    if not memory:
        raise StageError(USAGE, f'{where}: memory must look like "512m" or "2g".')
    if not timeout or int(timeout[1]) == 0:
        raise StageError(USAGE, f'{where}: timeout must look like "30s", "10m" or "1h".')
    if not limits["cpus"] > 0 or not limits["pids"] > 0:
        raise StageError(USAGE, f"{where}: cpus and pids must be greater than 0.")
    return Limits(
        cpus=float(limits["cpus"]),
        memory=int(memory[1]) * {"k": 2**10, "m": 2**20, "g": 2**30}[memory[2]],
        pids=limits["pids"],
        timeout=int(timeout[1]) * {"s": 1, "m": 60, "h": 3600}[timeout[2]],
    )


def _is_inner_path(path: str) -> bool:
    parts = path.split("/")
    return "\0" not in path and not {"", ".", ".."} & set(parts) and parts[-1] != MANIFEST


# --- the data folder ---------------------------------------------------------------------------


@dataclass(frozen=True)
class DataFolder:
    """The data folder as this process sees it, and as the Docker Engine's host sees it."""

    root: Path
    host: Path

    @classmethod
    def from_environment(cls) -> DataFolder:
        root = os.environ.get("MICROSTAGE_DATA") or "/data"
        return cls.at(root, os.environ.get("MICROSTAGE_HOST_DATA") or root)

    @classmethod
    def at(cls, root: str | Path, host: str | Path | None = None) -> DataFolder:
        resolved = Path(root).resolve()
        if not resolved.is_dir():
            raise StageError(
                NO_INPUT, f"The data folder {root} does not exist; create it or set MICROSTAGE_DATA."
            )
        return cls(resolved, Path(host) if host and Path(host) != Path(root) else resolved)

    def path(self, relative: str) -> Path:
        """The path of a directory of the data folder; one that leaves the folder is refused."""
        inside = (self.root / relative).resolve() if "\0" not in relative else self.root
        if (
            relative.startswith("/")
            or ".." in relative.split("/")
            or inside == self.root
            or not inside.is_relative_to(self.root)
            or inside.is_relative_to(self.root / STAGING)
        ):
            raise StageError(
                USAGE, f"{relative!r} is not a path below the data folder; use one like raw/2013-01-06."
            )
        return inside

    def host_path(self, path: Path) -> Path:
        return self.host / path.relative_to(self.root)

    @property
    def owner(self) -> tuple[int, int]:
        """uid and gid that stages run as: ours, or the folder's owner when we are root."""
        if os.geteuid() != 0:
            return os.getuid(), os.getgid()
        status = self.root.stat()
        return status.st_uid, status.st_gid


# --- a job: one row for one day ----------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One run of one row with every placeholder filled."""

    row: Row
    params: dict[str, Param]
    sources: dict[str, str]  # mount below /in -> path below the data folder
    target: str

    @property
    def command(self) -> list[str]:
        """The verb and its parameters, as the image gets them."""
        command = [self.row.verb]
        for key, value in self.params.items():
            flag = "--" + key.replace("_", "-")
            if value is True:
                command.append(flag)
            elif value is not False:
                command += [flag, str(value)]
        return command


def window_days(ds: str, window: int | str = 1) -> list[str]:
    """The `window` days that end at ds, oldest first, as YYYY-MM-DD."""
    try:
        last = date.fromisoformat(ds)
        if last.isoformat() != ds:
            raise ValueError
    except ValueError:
        raise StageError(USAGE, f"{ds!r} is not a day; write it as 2013-01-06.") from None
    if not re.fullmatch(r"[1-9]\d{0,3}", str(window)):
        raise StageError(USAGE, f"The window is {window!r}; it must be a number of days, 1 or more.")
    return [(last - timedelta(days=back)).isoformat() for back in reversed(range(int(window)))]


def resolve(
    row: Row,
    ds: str,
    *,
    window: int | str = 1,
    model: str | None = None,
    params: Mapping[str, Param] | None = None,
) -> Job:
    """Fill the placeholders of a row for the day `ds`. Raises StageError (64)."""
    days = window_days(ds, window)
    known = {"ds": ds, **({"model": model} if model else {})}
    sources: dict[str, str] = {}
    for name, source in row.reads.items():
        if "{day}" in source:
            for day in days:
                sources[f"{name}/{day}"] = _fill(row, source, {**known, "day": day})
        else:
            sources[name] = _fill(row, source, known)
    filled = {
        key: _fill(row, value, known) if isinstance(value, str) else value
        for key, value in {**row.params, **(params or {})}.items()
    }
    return Job(row, filled, sources, _fill(row, row.to, known))


def _fill(row: Row, text: str, known: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] in known:
            return known[found[1]]
        if found[1] == "model":
            raise StageError(
                USAGE, f"The stage {row.stage} needs a model; name one, such as models/2013-01-06."
            )
        raise StageError(
            USAGE, f"{table_path().name}, stage {row.stage}: {found[0]} is not known in {text!r}."
        )

    return re.sub(r"\{(\w*)\}", value, text)


# --- files and digests -------------------------------------------------------------------------


def published_files(directory: Path) -> Iterator[str]:
    """Paths of the files that belong to `directory`, sorted.

    Its manifest and the directories below it that were published on their own (a model's
    validation) do not belong to it. Raises StageError (65) for a link or a device.
    """
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if not os.path.lexists(f"{entry.path}/{MANIFEST}"):
                yield from (f"{entry.name}/{file}" for file in published_files(Path(entry.path)))
        elif not entry.is_file(follow_symlinks=False):
            raise StageError(
                BAD_DATA,
                f"{entry.path} is a link or a special file; put the file itself in its place.",
            )
        elif entry.name != MANIFEST:
            yield entry.name


def digest(path: Path) -> dict[str, Any]:
    """{"sha256": hex digest, "size": bytes} of one file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": sha256, "size": os.fstat(file.fileno()).st_size}


def read_inputs(data: DataFolder, job: Job) -> dict[str, Path]:
    """Every input file: path below /in -> path on disk. Raises StageError (66) if one is missing."""
    files: dict[str, Path] = {}
    for mount, source in job.sources.items():
        directory = data.path(source)
        found = list(published_files(directory)) if directory.is_dir() else []
        if not found:
            missing = "is empty" if directory.is_dir() else "does not exist"
            raise StageError(NO_INPUT, f"{source} {missing}: {_who_writes(source)}")
        files.update({f"{mount}/{file}": directory / file for file in found})
    return files


def _who_writes(source: str) -> str:
    for row in load_table().values():
        pattern = re.escape(row.to).replace(re.escape("{ds}"), r"(\d{4}-\d\d-\d\d)")
        if found := re.fullmatch(pattern, source):
            day = f" for {found[1]}" if found.groups() else ""
            return f"the stage {row.stage} writes it, run that{day} first."
    return "no stage writes it, so put it there."


def _identity(files: Mapping[str, Path]) -> dict[str, tuple[int, int, int]] | None:
    try:
        stats = {name: path.stat() for name, path in files.items()}
    except FileNotFoundError:
        return None
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in stats.items()}


def read_summary(directory: Path) -> dict[str, Any]:
    """summary.json of a directory. Raises StageError (65) unless it is a small flat object."""
    path = directory / SUMMARY
    if path.stat().st_size > MAX_SUMMARY_BYTES:
        raise StageError(BAD_DATA, f"{SUMMARY} is larger than {MAX_SUMMARY_BYTES} bytes.")
    try:
        summary = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except ValueError as error:
        raise StageError(BAD_DATA, f"{SUMMARY} is not valid JSON: {error}.") from None
    if not isinstance(summary, dict) or any(
        isinstance(value, list | dict) for value in summary.values()
    ):
        raise StageError(BAD_DATA, f"{SUMMARY} must be one flat JSON object.")
    return summary


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


# --- running and publishing --------------------------------------------------------------------


@dataclass(frozen=True)
class Exit:
    """How a stage ended, whatever it ran in."""

    code: int
    last_line: str = ""  # the last non-blank line on stderr
    out_of_memory: bool = False
    timed_out: bool = False


@dataclass(frozen=True)
class Run:
    """Who runs a job: goes into the manifest, and tells one task instance from all others."""

    dag: str = ""
    run: str = ""
    task: str = ""
    map: int = -1
    attempt: int = field(default=1, compare=False)

    @property
    def key(self) -> str:
        """The same for every try of a task instance, so that a try can clean up after another."""
        identity = json.dumps([self.dag, self.run, self.task, self.map]).encode()
        return f"{self.task}-{hashlib.sha256(identity).hexdigest()[:16]}"


def run_job(
    data: DataFolder,
    job: Job,
    *,
    image_id: str,
    run: Run,
    engine: Callable[[Path], Exit],
    log: Callable[[str], None],
    force: bool = False,
) -> dict[str, Any]:
    """Run one job and publish what it wrote; return its summary.

    `engine` gets the empty directory that the stage is to fill, runs the stage, and tells how it
    ended. Work that is already done (same stage, verb, parameters, image and inputs, and outputs
    that are still as published) is not done again unless `force`.
    Raises StageError; nothing is published then, and what was published before stays.
    """
    try:
        inputs = read_inputs(data, job)
        before = _identity(inputs)
        manifest = {
            "version": 1,
            "stage": job.row.stage,
            "verb": job.row.verb,
            "parameters": job.params,
            "image": job.row.image,
            "image_id": image_id,
            "sources": job.sources,
            "inputs": {name: digest(path) for name, path in inputs.items()},
        }
        target = data.path(job.target)
        if not force:
            if (summary := _up_to_date(target, manifest, job.row)) is not None:
                log(
                    f"{job.target} is up to date: same inputs, parameters and image. Nothing was run;"
                    " set the parameter force to run it again."
                )
                return summary
            _refuse_foreign(target, job)
        started, clock = datetime.now(UTC), time.monotonic()
        staging = _prepare(data, target, run.key)
        try:
            ended = engine(staging)
            if _identity(inputs) != before:
                raise StageError(
                    TRY_AGAIN, f"The inputs of {job.row.stage} were replaced while it read them."
                )
            if error := failure(job.row, ended):
                raise error
            manifest["outputs"] = _check_outputs(staging, job.row, data.owner)
            summary = read_summary(staging)
            manifest["started"] = started.isoformat(timespec="seconds")
            manifest["seconds"] = round(time.monotonic() - clock, 3)
            manifest["run"] = {
                "dag": run.dag,
                "run": run.run,
                "task": run.task,
                "map": run.map,
                "try": run.attempt,
            }
            _write_manifest(staging, manifest, data.owner)
            if not force:
                _refuse_foreign(target, job)
            _publish(data, staging, target)
        finally:
            _remove(staging)  # what is left of it, or what it replaced
    except OSError as error:
        raise _os_failure(error) from error
    facts = ", ".join(f"{key}={value}" for key, value in summary.items())
    log(f"Published {job.target} after {manifest['seconds']} s: {facts}")
    return summary


def failure(row: Row, ended: Exit) -> StageError | None:
    """What the way a stage ended means; None when it succeeded."""
    table = f"{table_path().name}, stage {row.stage}"
    if ended.timed_out:
        return StageError(
            TRY_AGAIN,
            f"{row.stage} was stopped after {row.limits.timeout} s, its time limit; "
            f"give it more in {table}, limits.timeout.",
        )
    if ended.out_of_memory:
        return StageError(
            TRY_AGAIN,
            f"{row.stage} needed more memory than its limit of {row.limits.memory // 2**20} MiB; "
            f"give it more in {table}, limits.memory.",
        )
    if ended.code == 0:
        return None
    line = ended.last_line or "it said nothing on stderr"
    meaning = MEANING.get(ended.code, "an error")
    code = ended.code if ended.code in MEANING else 1
    return StageError(code, f"{row.stage}: {line} (exit code {ended.code}, {meaning})")


def _up_to_date(target: Path, manifest: dict[str, Any], row: Row) -> dict[str, Any] | None:
    try:
        published = json.loads((target / MANIFEST).read_bytes())
        outputs = published["outputs"]
        if any(published[key] != manifest[key] for key in manifest if key != "image"):
            return None
        if not {*row.files, SUMMARY} <= set(outputs):
            return None
        if any(digest(target / file) != expected for file, expected in outputs.items()):
            return None
        return read_summary(target)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None  # never published, or not by us, or damaged: then it is to be written anew


def _refuse_foreign(target: Path, job: Job) -> None:
    """Never replace what a person put there."""
    if not os.path.lexists(target) or os.path.lexists(target / MANIFEST):
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    raise StageError(
        USAGE,
        f"{job.target} holds files that no stage published, so they were left alone; "
        "move them away, or set the parameter force to replace them.",
    )


def _prepare(data: DataFolder, target: Path, key: str) -> Path:
    """A fresh directory for one try, after clearing what earlier tries of the key left."""
    parent = data.root / STAGING
    # Only we may look in: a stage that is still writing has not been checked yet.
    _make_directories(data, parent, 0o700)
    for entry in sorted(parent.iterdir()):
        if entry.name.startswith(f"{key}."):
            if entry.name.endswith(".old") and not target.exists():
                entry.rename(target)  # an earlier try died between moving the old one and the new
            else:
                _remove(entry)
        elif entry.lstat().st_mtime < time.time() - MAX_STAGING_DAYS * 86400:
            _remove(entry)
    staging = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=parent))
    os.chown(staging, *data.owner)
    return staging


def _make_directories(data: DataFolder, path: Path, mode: int = 0o755) -> None:
    if not path.is_dir():
        _make_directories(data, path.parent)
        path.mkdir(mode, exist_ok=True)
        os.chown(path, *data.owner)


def _check_outputs(staging: Path, row: Row, owner: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Check what a stage wrote, make it durable, and return path -> digest."""
    for folder, directories, names in os.walk(staging):
        for name in directories + names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            inner = path.relative_to(staging)
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise StageError(
                    BAD_DATA, f"{row.stage} wrote /out/{inner}, a link or a special file; refused."
                )
            if name == MANIFEST:
                raise StageError(
                    BAD_DATA, f"{row.stage} wrote /out/{inner}, a name that the platform uses."
                )
            os.chown(path, *owner)
            # Not the stage's choice: no set-uid bit, and readable for the stages that follow.
            path.chmod(0o755 if stat.S_ISDIR(mode) else 0o644)
    for file in (*row.files, SUMMARY):
        path = staging / file
        if not path.is_file() or path.stat().st_size == 0:
            state = "wrote an empty" if path.is_file() else "did not write"
            raise StageError(BAD_DATA, f"{row.stage} {state} {file}, which its row declares.")
    outputs = {}
    for file in published_files(staging):
        outputs[file] = digest(staging / file)
        _sync(staging / file)
    return outputs


def _write_manifest(staging: Path, manifest: dict[str, Any], owner: tuple[int, int]) -> None:
    path = staging / MANIFEST
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.chown(path, *owner)
    path.chmod(0o644)
    _sync(path)
    for folder, _, _ in os.walk(staging):
        _sync(Path(folder))


def _publish(data: DataFolder, staging: Path, target: Path) -> None:
    """Put `staging` in the place of `target` so that a reader sees the old or the new one."""
    staging.chmod(0o755)
    _make_directories(data, target.parent)
    try:
        staging.rename(target)  # works where there is nothing or an empty directory
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        try:
            _exchange(staging, target)  # the old one is now `staging`, which the caller removes
        except OSError as unsupported:
            if unsupported.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            _move_aside(staging, target)
    _sync(target.parent)


def _exchange(one: Path, other: Path) -> None:
    """Swap two directories in one step: renameat2(2) with RENAME_EXCHANGE."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, "no renameat2")
    at_cwd, exchange = -100, 2
    if renameat2(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _move_aside(staging: Path, target: Path) -> None:
    """For file systems that cannot swap, such as NFS: readers miss it for a moment, never a mix."""
    old = staging.with_name(staging.name + ".old")
    target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        old.rename(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _os_failure(error: OSError) -> StageError:
    where = error.filename or "the data folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageError(TRY_AGAIN, f"The disk under {where} is full: make room and run it again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StageError(
            NO_INPUT,
            f"{where} cannot be used ({error.strerror}): uid {os.geteuid()} must be able to read "
            "and write the data folder.",
        )
    return StageError(TRY_AGAIN, f"{where}: {error.strerror or error}.")
