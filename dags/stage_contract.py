"""The stage contract without Docker and without Airflow: paths, inputs, publishing, manifest.

A stage reads directories and fills one. This module checks the ones it reads, gives it an empty
one to fill, and publishes that as a whole if and only if the stage succeeded and wrote what its
row of the table declares. The operator and scripts/run_stage both run stages through `run_job`,
so a step gives the same result whoever starts it. Standard library only.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stage_table import (
    BAD_DATA,
    MANIFEST,
    MEANING,
    NO_INPUT,
    TRY_AGAIN,
    USAGE,
    Job,
    Row,
    StageError,
    StageExitError,
    load_table,
    table_path,
)

SUMMARY = "summary.json"
STAGING = ".staging"
MAX_SUMMARY_BYTES = 64 * 1024  # it becomes an XCom, which is a row of Airflow's database
MAX_STAGING_DAYS = 7
KILLED, TERMINATED = 128 + 9, 128 + 15  # as shells count what a signal ended


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
                NO_INPUT,
                f"The data folder {root} does not exist; create it or set MICROSTAGE_DATA.",
            )
        return cls(resolved, Path(host) if host and Path(host) != Path(root) else resolved)

    def path(self, relative: str) -> Path:
        """Return the path of a directory of the data folder; one that leaves it is refused."""
        inside = (self.root / relative).resolve() if "\0" not in relative else self.root
        if (
            relative.startswith("/")
            or ".." in relative.split("/")
            or inside == self.root
            or not inside.is_relative_to(self.root)
            or inside.is_relative_to(self.root / STAGING)
        ):
            raise StageError(
                USAGE,
                f"{relative!r} is not a path below the data folder; use one like raw/2013-01-06.",
            )
        return inside

    def host_path(self, path: Path) -> Path:
        return self.host / path.relative_to(self.root)

    @property
    def owner(self) -> tuple[int, int]:
        """Uid and gid that stages run as: ours, or the folder's owner when we are root."""
        if os.geteuid() != 0:
            return os.getuid(), os.getgid()
        status = self.root.stat()
        return status.st_uid, status.st_gid


# Inputs: files and digests.


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


def present(data: DataFolder, job: Job) -> Job:
    """Return the job without those of its optional sources that are not there."""
    sources = {
        mount: source
        for mount, source in job.sources.items()
        if not job.is_optional(mount) or data.path(source).is_dir()
    }
    return replace(job, sources=sources)


def read_inputs(data: DataFolder, job: Job) -> dict[str, Path]:
    """Return every input file, path below /in -> path on disk. Raises StageError (66)."""
    files: dict[str, Path] = {}
    for mount, source in job.sources.items():
        directory = data.path(source)
        found = list(published_files(directory)) if directory.is_dir() else []
        if not found and not job.is_optional(mount):
            missing = "is empty" if directory.is_dir() else "does not exist"
            raise StageError(NO_INPUT, f"{source} {missing}: {_who_writes(source)}")
        files.update({f"{mount}/{file}": directory / file for file in found})
    return files


def variables(row: Row) -> dict[str, str]:
    """Return what a stage is given in its environment. Raises StageError (64)."""
    if missing := [name for name in row.env if not os.environ.get(name)]:
        raise StageError(
            USAGE,
            f"{table_path().name}, stage {row.stage}: the environment that it is started from "
            f"lacks {', '.join(missing)}.",
        )
    threads = str(max(1, int(row.limits.cpus)))
    return {"OMP_NUM_THREADS": threads, **{name: os.environ[name] for name in row.env}}


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
        raise StageError(BAD_DATA, f"/out/{SUMMARY} is larger than {MAX_SUMMARY_BYTES} bytes.")
    try:
        summary = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except ValueError as error:
        raise StageError(BAD_DATA, f"/out/{SUMMARY} is not valid JSON: {error}.") from None
    if not isinstance(summary, dict) or any(
        isinstance(value, list | dict) for value in summary.values()
    ):
        raise StageError(BAD_DATA, f"/out/{SUMMARY} must be one flat JSON object.")
    return summary


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


# Running and publishing.


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
    map: int | None = -1
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
        job = present(data, job)
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
            if (
                not job.row.always
                and (summary := _up_to_date(target, manifest, job.row)) is not None
            ):
                log(
                    f"{job.target} is up to date: same inputs, parameters and image. "
                    "Nothing was run; set the parameter force to run it again."
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
            if not force and _up_to_date(target, manifest, job.row) is not None:
                # Left in its place: others may be reading it.
                log(f"{job.target} stays as it is: {job.row.stage} wrote the same again.")
                return summary
            if model := _model(data, job):
                manifest["model"] = model
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
    facts = "".join(f", {key}={value}" for key, value in summary.items())
    log(f"Published {job.target} after {manifest['seconds']} s{facts}")
    return summary


def failure(row: Row, ended: Exit) -> StageError | None:
    """Say what the way a stage ended means; None when it succeeded."""
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
    if ended.code in (KILLED, TERMINATED):
        meaning = "somebody or something killed it"
    code = ended.code if ended.code in MEANING else 1
    return StageExitError(code, f"{row.stage}: {line} (exit code {ended.code}, {meaning})")


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


def _model(data: DataFolder, job: Job) -> dict[str, str]:
    """Which model a stage read, for its manifest: its directory, and its version if it has one."""
    if "model" not in job.sources:
        return {}
    model = {"path": job.sources["model"]}
    for place in ("", "version/"):  # a copy from the registry, or what was tracked there
        try:
            version = json.loads((data.path(model["path"]) / f"{place}version.json").read_bytes())
            return {**model, "name": str(version["name"]), "version": str(version["version"])}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue
    return model  # never registered


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
    """Make a fresh directory for one try, after clearing what earlier tries of the key left."""
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
    if error.errno == errno.EXDEV:
        return StageError(
            USAGE, f"{where} is on another disk than {STAGING}; the data folder must be on one."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StageError(
            NO_INPUT,
            f"{where} cannot be used ({error.strerror}): uid {os.geteuid()} must be able to read "
            "and write the data folder.",
        )
    return StageError(TRY_AGAIN, f"{where}: {error.strerror or error}.")
