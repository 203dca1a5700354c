"""Several days in one run of a stage on the frame: to each it is as if it alone had been run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

FRAME = Path(__file__).parents[2] / "containers" / "platform" / "base"
ONE, TWO, THREE = "2013-01-05", "2013-01-06", "2013-01-07"

STAGE = """
import hashlib, os, pathlib, signal, subprocess, sys, tempfile, time
from stageframe import IN, OUT, Parameter, Program, StageError

print("imported", os.getpid(), file=sys.stderr)
days = []


def do(how):
    days.append(how)
    text = (IN / "raw" / "data.csv").read_text() if how != "missing" else ""
    if how == "missing":
        (IN / "gone" / "data.csv").read_text()
    if how == "bad":
        raise StageError(f"{text}: correct it")
    if how == "elsewhere":
        (OUT / "no" / "file").write_text("")
    if how == "fault":
        raise ZeroDivisionError
    if how == "exit":
        sys.exit("it cannot be")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "long":
        sys.stderr.write("x" * 10000)
    if how == "leaves":
        subprocess.Popen(["sleep", "60"])
    if how == "hang":
        print("here", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**30)
    if how == "later":
        return {"late": "late" in sys.modules}
    left = sorted(p.name for p in pathlib.Path(tempfile.gettempdir()).iterdir())
    pathlib.Path(tempfile.mkdtemp(), "file").write_text("of this day")
    print("done", text)
    (OUT / "data.csv").write_text(text)
    return {"days": len(days), "left": " ".join(left)}


program = Program("told", "Do what it is told.", later=["late"])
program.verb("do", do, "do it", Parameter("how", str))
program.main()
"""


class Stage:
    """A stage whose roots are below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        (folder / "stage.py").write_text(STAGE)
        (folder / "late.py").write_text("")
        (folder / "tmp").mkdir()
        self.environment = {
            **os.environ,
            "MICROSTAGE_IN": str(folder / "in"),
            "MICROSTAGE_OUT": str(self.out),
            "PYTHONPATH": str(FRAME),
            "TMPDIR": str(folder / "tmp"),
        }
        self.command = [sys.executable, str(folder / "stage.py")]

    def give(self, **days: str) -> None:
        """Say how each of the days is to be."""
        commands = {}
        for number, (day, how) in enumerate(zip((ONE, TWO, THREE), days.values(), strict=False)):
            (self.folder / "in" / day / "raw").mkdir(parents=True)
            (self.folder / "in" / day / "raw" / "data.csv").write_text(f"row {number}")
            (self.out / day).mkdir(parents=True)
            commands[day] = ["do", "--how", how]
        listed = self.folder / "in" / "days.json"
        listed.write_text(json.dumps({"version": 1, "days": commands}))

    def run(self, **days: str) -> subprocess.CompletedProcess[str]:
        self.give(**days)
        return subprocess.run(
            [*self.command, "days"],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def said(self, day: str) -> dict[str, Any] | None:
        path = self.out / f"{day}.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def summary(self, day: str) -> dict[str, Any]:
        return dict(json.loads((self.out / day / "summary.json").read_text()))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_each_day_has_its_own_roots_and_nothing_of_the_day_before(stage: Stage) -> None:
    done = stage.run(one="well", two="well")

    assert 0 == done.returncode
    assert f"{ONE}  done row 0\n{TWO}  done row 1\n" == done.stdout
    assert 1 == done.stderr.count("imported")
    for number, day in enumerate((ONE, TWO)):
        assert {"code": 0, "last_line": ""} == stage.said(day)
        assert f"row {number}" == (stage.out / day / "data.csv").read_text()
        assert {"days": 1, "left": ""} == stage.summary(day)
    assert [] == list((stage.folder / "tmp").iterdir())


@pytest.mark.parametrize(
    ("how", "code", "last_line"),
    [
        ("bad", 65, "row 0: correct it"),
        ("missing", 66, "gone/data.csv: No such file or directory: run the stage that writes it"),
        (
            "elsewhere",
            75,
            "[Errno 2] No such file or directory: '/out/no/file': check the disk, then try again",
        ),
        (
            "fault",
            1,
            "the stage has a fault (ZeroDivisionError): report it, with what it has read",
        ),
        ("exit", 1, "it cannot be"),
    ],
)
def test_a_day_that_fails_says_what_it_says_alone_and_stops_no_other(
    stage: Stage, how: str, code: int, last_line: str
) -> None:
    done = stage.run(one=how, two="well")

    assert 0 == done.returncode
    assert {"code": code, "last_line": last_line} == stage.said(ONE)
    assert f"{ONE}  {last_line}" == done.stderr.splitlines()[-1]
    assert {"code": 0, "last_line": ""} == stage.said(TWO)
    assert not (stage.out / ONE / "summary.json").exists()


def test_of_a_day_that_was_killed_nothing_is_said(stage: Stage) -> None:
    done = stage.run(one="killed", two="well")

    assert 0 == done.returncode
    assert None is stage.said(ONE)
    assert {"code": 0, "last_line": ""} == stage.said(TWO)
    assert [ONE, TWO, f"{TWO}.json"] == sorted(path.name for path in stage.out.iterdir())


def test_what_a_day_has_left_running_ends_with_it(stage: Stage) -> None:
    started = time.monotonic()
    done = stage.run(one="leaves", two="well")

    assert 0 == done.returncode
    assert {"code": 0, "last_line": ""} == stage.said(ONE) == stage.said(TWO)
    assert time.monotonic() - started < 10


def test_a_line_without_an_end_is_passed_on_in_pieces(stage: Stage) -> None:
    done = stage.run(one="long")
    pieces = [line for line in done.stderr.splitlines() if "x" in line]

    assert 10000 == sum(piece.count("x") for piece in pieces)
    assert all(piece.startswith(f"{ONE}  x") for piece in pieces)


def test_what_verbs_import_late_is_there_before_the_first_day_and_only_then(stage: Stage) -> None:
    stage.run(one="later")
    stage.environment |= {
        name: str(stage.folder / kind / ONE)
        for name, kind in (("MICROSTAGE_IN", "in"), ("MICROSTAGE_OUT", "out"))
    }
    together = stage.summary(ONE)["late"]
    subprocess.run([*stage.command, "do", "--how", "later"], env=stage.environment, check=True)

    assert (True, False) == (together, stage.summary(ONE)["late"])


def test_days_is_no_verb_of_a_day(stage: Stage) -> None:
    stage.give(one="well")
    listed = {"version": 1, "days": {ONE: ["days"]}}
    (stage.folder / "in" / "days.json").write_text(json.dumps(listed))
    subprocess.run([*stage.command, "days"], env=stage.environment, check=True, timeout=20)

    assert 64 == (stage.said(ONE) or {})["code"]


def test_without_a_list_of_days_it_says_what_is_missing(stage: Stage) -> None:
    done = subprocess.run(
        [*stage.command, "days"], env=stage.environment, check=False, capture_output=True, text=True
    )

    assert 66 == done.returncode
    assert "days.json is missing" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_day_and_all_that_were_to_come(
    stage: Stage, number: signal.Signals
) -> None:
    stage.give(one="hang", two="well")
    command = [*stage.command, "days"]
    with subprocess.Popen(command, env=stage.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert f"{ONE}  here\n".encode() == process.stdout.readline()
        started = time.monotonic()
        process.send_signal(number)
        code = process.wait(5)
        process.stdout.read()  # its end: nobody has it open any more

    assert 128 + number == code
    assert time.monotonic() - started < 2
    assert (None, None) == (stage.said(ONE), stage.said(TWO))
