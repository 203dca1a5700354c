"""Run the checks of the contract on an image (tests/stages/contract), and report."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.command import UNAVAILABLE
from support.settings import setting

from microstage.errors import NO_INPUT, StageError
from microstage.images import Image

TESTS = REPOSITORY / "tests" / "stages"


def check(
    pipeline: str, stage: str, image: str, *, quiet: bool, junit: Path | None
) -> dict[str, Any]:
    """Run the checks, print the report as they end, and return it.

    `quiet`: print it to stderr. Raises StageError: 66 an image is absent, 69 there is no engine.
    """
    # It is among the images of this table that the image is checked, not among the tests' own.
    os.environ["MICROSTAGE_CHECK_PIPELINE"] = pipeline
    # What no row writes, a person has put there.
    os.environ["MICROSTAGE_DATA"] = setting("MICROSTAGE_DATA") or str(REPOSITORY / "data")
    sys.path.insert(0, str(TESTS))
    # Not at the top: these are in an environment that a script has to start over in.
    import pytest  # noqa: PLC0415
    from contract.report import Report  # noqa: PLC0415
    from harness import reference  # noqa: PLC0415
    from pipeline import Pipeline  # noqa: PLC0415

    started = time.monotonic()
    name = reference(image)
    found = find_image(name)
    Pipeline().inputs(stage)  # not in a check: should they fail, it is not this image
    stream = sys.stderr if quiet else sys.stdout
    print(f"{name} as {stage}", file=stream)
    report = Report(stream)
    arguments = [str(TESTS / "contract"), f"--case={found.store_id}={stage}"]
    arguments += [f"--rootdir={REPOSITORY}", "-p", "no:terminal", "-p", "no:cacheprovider"]
    arguments += ["-o", "addopts=--import-mode=importlib", "-o", "junit_suite_name=contract"]
    if junit:
        arguments.append(f"--junit-xml={junit.resolve()}")
    code = int(pytest.main(arguments, plugins=[report]))
    if code not in (0, 1):
        raise SystemExit(code)
    seconds = time.monotonic() - started
    report.close(seconds)
    return {
        "image": name,
        "image_id": found.id,
        "pipeline": pipeline,
        "stage": stage,
        "passed": code == 0,
        "seconds": round(seconds, 1),
        "checks": report.checks,
    }


def find_image(image: str) -> Image:
    """Return an image. Raises StageError: 66 it is absent, 69 there is no engine."""
    # Not at the top: as above.
    from microstage.endpoint import endpoint  # noqa: PLC0415
    from microstage.engines import attended, container  # noqa: PLC0415

    try:
        found = container.find(container.connect(), image)
    except attended.ENGINE_ERRORS as error:
        reason = attended.engine_failure(error, endpoint().name)
        raise StageError(UNAVAILABLE, str(reason)) from None
    if not found:
        raise StageError(NO_INPUT, f"The image {image} is not on this machine; build or pull it.")
    return found
