"""scripts/check_stage as a command: its report in three forms, and what keeps it from checking."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from harness import REPOSITORY, Engine, reference

from microstage.engines.container import find
from microstage.errors import NO_INPUT, USAGE
from microstage.pipelines import table_path


def check(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "check_stage"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_three_reports_say_the_same(engine: Engine, tmp_path: Path) -> None:
    as_json, as_junit = tmp_path / "report.json", tmp_path / "report.xml"
    found = find(engine.client.api, reference("replay"))
    image_id = found.id if found else ""
    pinned = f"{reference('replay')}@{image_id}"  # as swap_stage names it
    done = check(pinned, "--as", "generate", "--json", as_json, "--junit", as_junit)
    report: dict[str, Any] = json.loads(as_json.read_text("utf-8"))
    suite = ET.fromstring(as_junit.read_text("utf-8"))[0]  # noqa: S314 - we wrote it
    titles = [check["title"] for check in report["checks"]]

    assert (0, "") == (done.returncode, done.stderr)
    assert f"{pinned} as generate" == done.stdout.splitlines()[0]
    assert [f"  ok       {title}" for title in titles] == done.stdout.splitlines()[1:-1]
    assert done.stdout.endswith("it keeps the contract\n")
    assert (pinned, image_id, "generate", True) == tuple(
        report[key] for key in ("image", "image_id", "stage", "passed")
    )
    assert titles == [value.get("value") for value in suite.iterfind(".//*[@name='title']")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["replay", "--as", "nothing"], USAGE, "no stage 'nothing'"),
        (["replay"], USAGE, "--as"),
        (["microstage/none:1", "--as", "train"], NO_INPUT, "microstage/none:1 is not on this"),
    ],
)
def test_what_cannot_be_checked_is_said(arguments: list[str], code: int, words: str) -> None:
    done = check(*arguments)

    assert (code, "") == (done.returncode, done.stdout)
    assert words in done.stderr.splitlines()[-1]


def test_without_an_engine_it_says_so() -> None:
    done = check("replay", "--as", "generate", DOCKER_HOST="tcp://127.0.0.1:1")

    assert (69, "") == (done.returncode, done.stdout)
    assert "tcp://127.0.0.1:1 does not answer" in done.stderr


def test_inputs_that_cannot_be_made_are_not_the_images_fault(tmp_path: Path) -> None:
    table = table_path().read_text("utf-8")
    absent = table.replace(reference("preprocess"), "microstage/absent:1")
    (tmp_path / "stages.toml").write_text(absent, "utf-8")
    done = check("train", "--as", "train", MICROSTAGE_STAGES=str(tmp_path / "stages.toml"))

    assert (NO_INPUT, "") == (done.returncode, done.stdout)
    assert "microstage/absent:1 is not on this machine" in done.stderr
