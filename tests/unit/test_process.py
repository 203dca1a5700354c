"""A stage as a process: the same contract, without Docker."""

import ast
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from microstage.data_folder import DataFolder
from microstage.engines.process import ProcessEngine, find_program, program_id
from microstage.errors import StageError
from microstage.exits import Exit
from microstage.jobs import Job
from microstage.pipelines import Pipeline
from microstage.table import Limits, Row

ROW = Row("train", "microstage/train:1.0.0", "fit", {}, "out", (), {}, Limits(1, 1, 1, 60), "")
RunProgram = Callable[..., Exit]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def run(tmp_path: Path, out: Path, log: list[str]) -> RunProgram:
    """Run a few lines of Python as a stage."""

    def start(code: str, *, timeout: int = 60, sources: dict[str, str] | None = None) -> Exit:
        program = tmp_path / "stage.py"
        program.write_text(f"import os, signal, subprocess, sys, time\n{code}")
        row = replace(ROW, limits=replace(ROW.limits, timeout=timeout))
        job = Job(Pipeline("default"), row, {"seed": 17}, sources or {}, "out")
        data = DataFolder.at(tmp_path)
        engine = ProcessEngine(data, Path(sys.executable), program, tmp_path / "frame", log.append)
        return engine(job, out)

    return start


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_it_reads_its_inputs_and_writes_its_output(
    run: RunProgram, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "raw/day").mkdir(parents=True)
    (tmp_path / "raw/day/data.csv").write_text("x")
    code = """
text = open(os.environ["MICROSTAGE_IN"] + "/raw/2013-01-06/data.csv").read()
open(os.environ["MICROSTAGE_OUT"] + "/result", "w").write(text + " ".join(sys.argv[1:]))
"""
    ended = run(code, sources={"raw/2013-01-06": "raw/day"})

    assert Exit(0) == ended
    assert "xfit --seed 17" == (out / "result").read_text()


@pytest.mark.parametrize("code", [1, 64, 65, 66, 75])
def test_its_exit_code_and_its_last_line_on_stderr_are_told(
    run: RunProgram, log: list[str], code: int
) -> None:
    ended = run(f"print('reason', file=sys.stderr, flush=True); print('noise'); sys.exit({code})")

    assert Exit(code, "reason") == ended
    assert {"reason", "noise"} == set(log)


def test_an_end_by_a_signal_is_told_as_shells_do(run: RunProgram) -> None:
    assert 137 == run("os.kill(os.getpid(), signal.SIGKILL)").code


@pytest.mark.parametrize("handler", ["SIG_DFL", "SIG_IGN"])
def test_past_its_time_limit_it_is_stopped(run: RunProgram, handler: str) -> None:
    started = time.monotonic()
    ended = run(f"signal.signal(signal.SIGTERM, signal.{handler}); time.sleep(60)", timeout=1)

    assert ended.timed_out
    assert time.monotonic() - started < 6


def test_what_it_started_ends_with_it(run: RunProgram, out: Path) -> None:
    run(
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open(os.environ['MICROSTAGE_OUT'] + '/pid', 'w').write(str(child.pid))"
    )
    time.sleep(0.2)

    assert gone(int((out / "pid").read_text()))


def test_the_environment_of_the_caller_stays_outside(
    run: RunProgram, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET", "https_proxy", "HTTPS_PROXY", "DOCKER_CONFIG", "HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, "/nowhere")
    run("open(os.environ['MICROSTAGE_OUT'] + '/said', 'w').write(repr(dict(os.environ)))")
    said = ast.literal_eval((out / "said").read_text())
    own = {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}

    assert {*own, "MICROSTAGE_IN", "MICROSTAGE_OUT", "OMP_NUM_THREADS"} == said.keys()
    assert "/nowhere" not in said.values()


def test_what_the_caller_is_told_on_its_input_stays_outside(
    tmp_path: Path, run: RunProgram, out: Path
) -> None:
    (tmp_path / "typed").write_text("secret")
    before = os.dup(0)
    with (tmp_path / "typed").open() as typed:
        os.dup2(typed.fileno(), 0)
        try:
            run("open(os.environ['MICROSTAGE_OUT'] + '/said', 'w').write(sys.stdin.read())")
        finally:
            os.dup2(before, 0)
            os.close(before)

    assert "" == (out / "said").read_text()


def test_it_finds_the_frame_that_stages_in_python_share(
    run: RunProgram, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "frame").mkdir()
    (tmp_path / "frame/__init__.py").write_text("word = 'found'")
    run("import frame; open(os.environ['MICROSTAGE_OUT'] + '/word', 'w').write(frame.word)")

    assert "found" == (out / "word").read_text()


def test_a_changed_program_lock_or_frame_counts_as_another_image(tmp_path: Path) -> None:
    ids, frame = set(), tmp_path / "frame"
    frame.mkdir()
    for code, lock in [("a", "b"), ("x", "b"), ("a", "x")]:
        (tmp_path / "stage.py").write_text(code)
        (tmp_path / "requirements.txt").write_text(lock)
        ids.add(program_id(tmp_path / "stage.py", frame))

    for beside in ("drift.py", "report.html.j2"):
        (tmp_path / beside).write_text("a")
        ids.add(program_id(tmp_path / "stage.py", frame))

    (frame / "command.py").write_text("a")
    ids.add(program_id(tmp_path / "stage.py", frame))

    assert 6 == len(ids)


def test_an_image_without_a_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"has no stage\.py in .*; run it as a container"):
        find_program(ROW, tmp_path)
