"""What the tables swap against those of an earlier commit, for a review."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import REPOSITORY

from microstage.errors import NO_INPUT, StageError
from microstage.pipelines import load_pipeline, pipeline_names, table_path

DAGS = "dags"  # where the tables are in the repository


@dataclass(frozen=True)
class Swap:
    """A row that another image fills than before."""

    pipeline: str
    stage: str
    old: str
    new: str


def earlier(commit: str, folder: Path) -> Path:
    """Lay the tables of a commit into a folder; return that of the default pipeline.

    Raises StageError (66) where there is no such commit, or no table in it.
    """
    named = ["ls-tree", "-r", "--name-only", commit, f"{DAGS}/stages.toml", f"{DAGS}/pipelines/"]
    for name in _git(*named).splitlines():
        if name.endswith(".toml"):
            path = folder / Path(name).relative_to(DAGS)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_git("show", f"{commit}:{name}"), encoding="utf-8")
    table = folder / "stages.toml"
    if not table.is_file():
        raise StageError(NO_INPUT, f"The commit {commit} has no {DAGS}/stages.toml.")
    return table


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise StageError(
            NO_INPUT, f"git {arguments[0]} failed ({said}): name a commit that is in this clone."
        )
    return done.stdout


def swapped(before: Path, now: Path | None = None) -> Iterator[Swap]:
    """Yield each row that has an image of its own other than before; an image once.

    `before`, `now`: the tables of the default pipeline. A row that follows another (`like`), or the
    default pipeline's, is swapped with that one; a new pipeline or row swaps nothing.
    """
    seen = set()
    old_names = set(pipeline_names(before))
    for name in (name for name in pipeline_names(now) if name in old_names):
        old, new = load_pipeline(name, before), load_pipeline(name, now)
        for stage, row in new.rows.items():
            was = old.rows.get(stage)
            if was and was.image != row.image and (stage, row.image) not in seen:
                seen.add((stage, row.image))
                yield Swap(name, stage, was.image, row.image)


def run_before(table: Path, data: Path, date: dt.date) -> None:
    """Run the days up to a date by the images of a table; raises CalledProcessError."""
    data.mkdir(parents=True, exist_ok=True)
    command = ["scripts/run_dates", str(date), "--engine", "container", "--days", "1"]
    subprocess.run(
        [*command, "--window", "3", "--data", data.resolve()],
        cwd=REPOSITORY,
        env={**os.environ, "MICROSTAGE_STAGES": str(table)},
        stdout=sys.stderr,
        check=True,
    )


def report(swaps: Sequence[Swap], before: Path, data: Path) -> tuple[str, bool]:
    """Return the report as Markdown, and whether each image keeps the contract."""
    if not swaps:
        return "No image is swapped.\n", True
    parts, kept = [], True
    for swap in swaps:
        of = ["--pipeline", swap.pipeline]
        checked, code = _said(["scripts/check_stage", swap.new, "--as", swap.stage, *of])
        kept = kept and code == 0
        words = "keeps the contract" if code == 0 else "is refused"
        parts += [f"### {swap.stage} of {swap.pipeline}: `{swap.new}` {words}\n"]
        parts += [f"It takes the place of `{swap.old}`.\n", _block(checked)]
        if code == 0:
            compare = ["scripts/compare_images", swap.stage, swap.new, *of]
            # The rows of before: in those of now the current image is the new one already.
            text, code = _said([*compare, "--data", str(data.resolve())], before)
            kept = kept and code == 0
            parts += [_block(text)]
    return "\n".join(parts), kept


def _said(command: Sequence[str], table: Path | None = None) -> tuple[str, int]:
    """Return what a command says, and its exit code; `table`: of the default pipeline."""
    path = table or table_path()
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "MICROSTAGE_STAGES": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + (done.stderr if done.returncode else ""), done.returncode


def _block(text: str) -> str:
    """Return text as a block of code, whose fence nothing in it can end."""
    fence = "````" if "```" in text else "```"
    return f"{fence}\n{text.rstrip()}\n{fence}\n"
