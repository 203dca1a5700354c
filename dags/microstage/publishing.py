"""An output directory, put in its place as a whole or not at all. Standard library only."""

from __future__ import annotations

import errno
import glob
import json
import os
import stat
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from microstage.data_folder import (
    MANIFEST,
    ODD,
    STAGING,
    SUMMARY,
    VERSIONS,
    DataFolder,
    digest,
    parse_json,
    published_files,
    whose,
)
from microstage.errors import BAD_DATA, NO_INPUT, TRY_AGAIN, USAGE, StageError
from microstage.replacing import ASIDE, discard, remove, replace
from microstage.table import UNSPEAKABLE, Row

MAX_STAGING_DAYS = 7
MAX_SUMMARY_BYTES = 64 * 1024  # it becomes an XCom, which is a row of Airflow's database


def staging_of(data: DataFolder) -> Path:
    """Return the directory in which outputs are written until they are published; make it."""
    parent = data.root / STAGING
    data.make(parent)
    let_pass(parent)
    return parent


def let_pass(directory: Path) -> None:
    """Let others pass through a directory, but not look into it.

    A stage that is still writing has not been checked yet. An engine that is root has to get
    through to what it mounts, and may be nobody to the server of the data:
    https://man7.org/linux/man-pages/man5/exports.5.html, root_squash.
    """
    if stat.S_IMODE(directory.stat().st_mode) != 0o711:
        with suppress(PermissionError):  # of a version before, and another's
            directory.chmod(0o711)


def prepare(data: DataFolder, target: Path, key: str) -> Path:
    """Make a fresh directory for one try, after clearing what earlier tries of the key left."""
    parent = staging_of(data)
    for entry in sorted(parent.iterdir()):
        if entry.name.startswith(f"{key}."):
            if entry.name.endswith(ASIDE) and not target.exists():
                entry.rename(target)  # an earlier try died between moving the old one and the new
            else:
                discard(entry)
        elif not entry.name.endswith(ASIDE) and _is_forgotten(entry):
            remove(entry)
    staging = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=parent))
    os.chown(staging, *data.owner)
    return staging


def take_over(data: DataFolder, name: str) -> Path | None:
    """Give the directory of an earlier try, which `prepare` named so, to this one.

    It gets another name, so that the earlier try, should it be alive, has nothing to publish any
    more. What is mounted from it stays mounted. None if it is gone.
    """
    parent = staging_of(data)
    for entry in sorted(parent.glob(f"{glob.escape(name)}*")):
        if entry.is_dir() and not entry.is_symlink() and not entry.name.endswith(ASIDE):
            new = parent / f"{name}.{uuid.uuid4().hex[:8]}"
            try:
                return entry.rename(new)
            except FileNotFoundError:  # published, or cleared, this very moment
                return None
    return None


def _is_forgotten(entry: Path) -> bool:
    try:
        return entry.lstat().st_mtime < time.time() - MAX_STAGING_DAYS * 86400
    except FileNotFoundError:
        return False  # its own job, which goes on beside this one, has just ended


def check_outputs(staging: Path, row: Row, owner: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Check what a stage wrote, make it durable, and return path -> digest."""
    for folder, directories, names in os.walk(staging):
        for name in directories + names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            inner = path.relative_to(staging)
            if ODD.search(name):
                raise StageError(BAD_DATA, f"{row.stage} wrote {str(inner)!a}, which is no name.")
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise StageError(
                    BAD_DATA, f"{row.stage} wrote /out/{inner}, a link or a special file; refused."
                )
            if name in (MANIFEST, VERSIONS):
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


def read_summary(directory: Path) -> dict[str, Any]:
    """summary.json of a directory. Raises StageError (65) unless it is a small flat object."""
    path = directory / SUMMARY
    if path.stat().st_size > MAX_SUMMARY_BYTES:
        raise StageError(BAD_DATA, f"/out/{SUMMARY} is larger than {MAX_SUMMARY_BYTES} bytes.")
    try:
        summary = parse_json(path.read_bytes())
    except ValueError as error:
        raise StageError(BAD_DATA, f"/out/{SUMMARY} is not valid JSON: {error}.") from None
    if not isinstance(summary, dict) or any(
        isinstance(value, list | dict) for value in summary.values()
    ):
        raise StageError(BAD_DATA, f"/out/{SUMMARY} must be one flat JSON object.")
    texts = [text for text in (*summary, *summary.values()) if isinstance(text, str)]
    if any(UNSPEAKABLE.search(text) for text in texts):
        raise StageError(BAD_DATA, f"/out/{SUMMARY} holds what is no text, such as \\u0000.")
    return summary


def write_manifest(staging: Path, manifest: dict[str, Any], owner: tuple[int, int]) -> None:
    """Write the manifest, the last file, and make the directory durable."""
    path = staging / MANIFEST
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.chown(path, *owner)
    path.chmod(0o644)
    _sync(path)
    for folder, _, _ in os.walk(staging):
        _sync(Path(folder))


def publish(data: DataFolder, staging: Path, target: Path) -> None:
    """Put `staging` in the place of `target` so that a reader sees the old or the new one."""
    staging.chmod(0o755)
    data.make(target.parent)
    replace(data, staging, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def os_failure(error: OSError) -> StageError:
    """Return what the operating system refused, in one sentence."""
    where = error.filename2 or error.filename or "the data folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageError(TRY_AGAIN, f"The disk under {where} is full: make room and run it again.")
    if error.errno == errno.EXDEV:
        return StageError(
            USAGE, f"{where} is on another disk than {STAGING}; the data folder must be on one."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        known = error.filename and error.errno != errno.EROFS
        return StageError(
            NO_INPUT,
            f"{where} cannot be used ({error.strerror}): "
            f"{f'{whose(where)}; ' if known else ''}uid {os.geteuid()} must be able to read and "
            "write the data folder (chmod or chown).",
        )
    return StageError(TRY_AGAIN, f"{where}: {error.strerror or error}.")
