"""Run a stage whenever something in its folder is saved, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from dataclasses import replace
from typing import Any

from support.sources import Files, folder_of, saved, settled, to_build
from support.trial import Trial, last_job

from microstage.contract import Run
from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.pipelines import load_pipeline


def try_out(args: Namespace) -> int:
    """Run a stage by its sources, once or at each save; return the exit code.

    `args`: those of scripts/run_stage. Raises StageError where no run could begin.
    """
    pipeline = load_pipeline(args.pipeline)
    data = DataFolder.at(args.data).below(pipeline.folder)
    given = {"window": args.window, "model": args.model, "params": dict(args.param)}
    job, ds = last_job(data, pipeline, args.stage, args.ds, **given)
    job = replace(job, row=replace(job.row, image=args.image or job.row.image))
    folder = (args.folder or folder_of(job.row.image)).resolve()
    run = Run("run_stage", f"{ds}-{os.getpid()}", args.stage)
    trial = Trial(data, job, folder, run, args.debug or 0)
    trial.check()
    signal.signal(signal.SIGINT, _interrupted)
    try:
        return watch(trial, ds) if args.watch else once(trial, ds)
    finally:
        trial.clear()


def say(line: str) -> None:
    """Write one line at once, whoever reads it."""
    print(line, flush=True)


def once(trial: Trial, ds: str) -> int:
    """Run it, and print what came of it; return its exit code."""
    stage, began = trial.job.row.stage, time.monotonic()
    try:
        found = trial()
    except StageError as error:
        say(f"{stage} of {ds}: exit code {error.code} after {time.monotonic() - began:.1f} s")
        say(f"  {error}")
        return error.code
    published = trial.job.shown(trial.job.target)
    what = f"beside {published}:" if found else f"nothing differs from {published}"
    say(f"{stage} of {ds}: exit code 0 after {time.monotonic() - began:.1f} s; {what}")
    for line in found:
        say(f"  {line}")
    return 0


def watch(trial: Trial, ds: str) -> int:
    """Run it now and after each save, until Ctrl-C; return 0."""
    seen: Files = {}
    say(f"Each save in {trial.folder} runs {trial.job.row.stage} of {ds}; Ctrl-C ends it.")
    try:
        while True:
            now = settled(trial.folder)
            if now == seen:
                continue
            names, seen = saved(seen, now) if seen else [], now
            if names:
                say(f"\n{time.strftime('%X')}  saved: {', '.join(names)}")
            if names and (what := to_build(names, trial.folder)):
                say(what)
            once(trial, ds)
    except KeyboardInterrupt:
        return 0


def _interrupted(*_: Any) -> None:
    # A second Ctrl-C would come in between of what clears up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(file=sys.stderr)
    raise KeyboardInterrupt
