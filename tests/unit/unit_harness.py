"""What the tests of the contract share: a row, and stages that are a few lines of Python."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from microstage import replacing
from microstage.exits import Exit
from microstage.jobs import Job
from microstage.pipelines import Pipeline
from microstage.table import Limits, Row

Stage = Callable[[Job, Path], Exit]
RunJob = Callable[..., dict[str, Any]]

ROW = Row(
    stage="train",
    image="microstage/train:1.0.0",
    verb="fit",
    reads={"raw": "raw"},
    to="models/day",
    files=("model.txt",),
    params={},
    limits=Limits(cpus=1, memory=2**30, pids=64, timeout=60),
    optional=("extra",),
    where="stages.toml, stage train",
)
SPLIT = Row("split", "microstage/split:1", "split", {}, "models/{ds}/split", (), {}, ROW.limits)
PIPELINE = Pipeline("default", {"train": ROW, "split": SPLIT})


def stage(**files: str) -> Stage:
    """Return a stage that writes these files ("model" is model.txt) and succeeds."""

    def write(_: Job, out: Path) -> Exit:
        for name, text in {"model": "a model", "summary": '{"rows": 3}', **files}.items():
            (out / {"model": "model.txt", "summary": "summary.json"}.get(name, name)).write_text(
                text
            )
        return Exit(0)

    return write


def never(_: Job, __: Path) -> Exit:
    """Be a stage that must not be run."""
    raise AssertionError("it was run")


def fail(_: Job, __: Path) -> Exit:
    """Be a stage that fails."""
    return Exit(1)


def cannot_exchange(monkeypatch: pytest.MonkeyPatch, number: int = errno.EINVAL) -> None:
    """Let the file system refuse to exchange two directories, as NFS does."""

    def unsupported(*_: Path) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(replacing, "_exchange", unsupported)
    monkeypatch.setattr(replacing, "_ways", {})


@contextmanager
def another_user() -> Iterator[int]:
    """Be somebody who may not read everything: anybody but root; yield the uid."""
    uid = os.geteuid()
    os.seteuid(uid or 65532)
    try:
        yield os.geteuid()
    finally:
        os.seteuid(uid)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Yield a new folder that every user may enter."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())
