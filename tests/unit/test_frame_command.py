"""A stage on the frame, from outside: its command line, how it ends, and what it says then."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stageframe import Parameter, Program, calendar_day, number, one_of, share, whole
from unit_harness import another_user, folder_for_all

FRAME = Path(__file__).parents[2] / "containers" / "platform" / "base"

STAGE = '''
"""Do what it is told.

  as it is written
"""

import atexit, hashlib, os, sys
from stageframe import IN, OUT, TRY_AGAIN, Parameter, Program, StageError, number, one_of, whole


def end(how, where, often, share):
    if how == "sentence":
        raise StageError("raw/a.csv, row 7:\\n  it is odd: correct it")
    if how == "later":
        raise StageError("the service is away: start it", TRY_AGAIN)
    if how == "memory":
        raise MemoryError
    if how == "missing":
        (IN / "raw" / "data.csv").read_bytes()
    if how == "full":
        raise OSError(28, os.strerror(28))
    if how == "elsewhere":
        (OUT / "no" / "file").write_text("")
    if how == "fault":
        raise ZeroDivisionError
    if how == "exit":
        sys.exit("it cannot be")
    if how == "left":
        atexit.register(print, "cleared up")
    if how == "nan":
        return {"auc": float("nan")}
    return {"where": where, "often": often, "share": share}


def hang():
    print("here", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**30)  # one long C call


program = Program("told", __doc__, "At the end.")
program.verb(
    "end", end, "end in some way",
    Parameter("how", one_of(
        "well", "sentence", "later", "memory", "missing", "full", "elsewhere", "nan", "left",
        "fault", "exit",
    )),
    Parameter("where", str, None, "some place"),
    Parameter("often", whole(1), 3, "times"),
    Parameter("share", number(0, 1), 0.5),
)
program.verb("hang", hang, "never end")
program.main()
'''

HEEDED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stage, whose roots are below the test's own folder."""
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("MICROSTAGE_IN", str(tmp_path / "in"))
    monkeypatch.setenv("MICROSTAGE_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("PYTHONPATH", str(FRAME))
    monkeypatch.setenv("COLUMNS", "100")
    return [sys.executable, str(tmp_path / "stage.py")]


def run(command: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)


def test_what_a_verb_returns_is_the_summary(command: list[str], tmp_path: Path) -> None:
    done = run(command, "end", "--how", "well", "--where", "Größe", "--often=7")
    written = (tmp_path / "out" / "summary.json").read_bytes()

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert '{\n  "where": "Größe",\n  "often": 7,\n  "share": 0.5\n}\n'.encode() == written


def test_what_is_registered_for_the_end_is_done(command: list[str]) -> None:
    done = run(command, "end", "--how", "left")

    assert (0, "cleared up\n", "") == (done.returncode, done.stdout, done.stderr)


def test_a_fault_of_the_program_is_told_with_its_trace_and_then_in_a_sentence(
    command: list[str],
) -> None:
    done = run(command, "end", "--how", "fault")
    *trace, last = done.stderr.splitlines()

    assert ("Traceback (most recent call last):", "ZeroDivisionError") == (trace[0], trace[-1])
    sentence = "the stage has a fault (ZeroDivisionError): report it, with what it has read"
    assert (1, sentence) == (done.returncode, last)


def test_an_end_with_a_text_instead_of_a_code_is_no_success(command: list[str]) -> None:
    done = run(command, "end", "--how", "exit")

    assert (1, "it cannot be\n") == (done.returncode, done.stderr)


def test_a_parameter_that_is_not_given_has_its_default(command: list[str], tmp_path: Path) -> None:
    run(command, "end", "--how", "well")
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())

    assert {"where": None, "often": 3, "share": 0.5} == summary


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "verb"),
        (["dance"], "invalid choice: 'dance'"),
        (["end"], "--how"),
        (["end", "--how", "badly"], "'badly' is none of well, sentence"),
        (["end", "--how", "well", "--often", "0"], "0 is not between 1 and"),
        (["end", "--how", "well", "--often", "x"], "invalid int value: 'x'"),
        (["end", "--how", "well", "--share", "nan"], "nan is not between 0 and 1"),
        (["end", "--how", "well", "--oft", "4"], "--oft"),
        (["end", "--how", "well", "more"], "more"),
    ],
)
def test_wrong_usage_is_64_and_says_what(
    command: list[str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = run(command, *arguments)
    usage, sentence = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]

    assert (64, "") == (done.returncode, done.stdout)
    assert usage.startswith("usage: told")
    assert says in sentence
    assert sentence.endswith(": see --help")
    assert [] == list((tmp_path / "out").iterdir())


def test_what_is_no_text_is_wrong_usage(command: list[str]) -> None:
    done = subprocess.run(
        [*command, "end", "--where", b"Gr\xf6\xdfe"], check=False, capture_output=True, text=True
    )

    assert 64 == done.returncode
    assert r"'Gr\udcf6\udcdfe' is no text in UTF-8: see --help" in done.stderr.splitlines()[-1]


def test_help_is_0_and_keeps_the_lines_as_they_are_written(command: list[str]) -> None:
    done = run(command, "--help")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("usage: told ")
    assert "Do what it is told.\n\n  as it is written\n" in done.stdout
    assert done.stdout.endswith("At the end.\n")


def test_a_verbs_help_tells_defaults_but_not_that_there_is_none(command: list[str]) -> None:
    done = run(command, "end", "--help")

    assert (0, "") == (done.returncode, done.stderr)
    assert "times (default: 3)" in done.stdout
    assert "some place\n" in done.stdout
    assert "None" not in done.stdout


@pytest.mark.parametrize(
    ("how", "code", "sentence"),
    [
        ("sentence", 65, "raw/a.csv, row 7: it is odd: correct it"),
        ("later", 75, "the service is away: start it"),
        ("memory", 75, "memory ran out: give the stage more, or fewer rows"),
        ("missing", 66, "raw/data.csv: No such file or directory: run the stage that writes it"),
        ("full", 75, "the disk of the output is full: free some space"),
    ],
)
def test_a_failure_is_one_sentence_and_a_code(
    command: list[str], tmp_path: Path, how: str, code: int, sentence: str
) -> None:
    done = run(command, "end", "--how", how)

    assert (code, "", f"{sentence}\n") == (done.returncode, done.stdout, done.stderr)
    assert [] == list((tmp_path / "out").iterdir())


def test_what_the_system_refuses_elsewhere_can_be_tried_again(command: list[str]) -> None:
    done = run(command, "end", "--how", "elsewhere")

    assert 75 == done.returncode
    assert "no/file" in done.stderr
    assert done.stderr.endswith(": check the disk, then try again\n")


def test_a_summary_that_is_no_json_is_a_fault_of_the_program(command: list[str]) -> None:
    done = run(command, "end", "--how", "nan")

    assert 1 == done.returncode
    assert "ValueError" in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_within_two_seconds_inside_a_long_call_too(
    command: list[str], name: str
) -> None:
    sent = signal.Signals[name]
    # A shell lets what it starts in the background ignore SIGINT, and that is passed on.
    heeded = [sys.executable, "-c", HEEDED, *command[1:], "hang"]
    with subprocess.Popen(heeded, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "here\n" == process.stdout.readline()
            started = time.monotonic()
            process.send_signal(sent)
            code = process.wait(timeout=10)
        finally:
            process.kill()

    assert 128 + sent == code
    assert time.monotonic() - started < 2


def test_a_program_names_no_parameter_twice_and_calls_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stageframe.command.OUT", tmp_path)
    monkeypatch.setattr("stageframe.command.end_on_signal", lambda: None)
    given = {}
    program = Program("any", None)
    program.verb(
        "do",
        lambda **parameters: given.update(parameters) or {},
        "do it",
        Parameter("leaf-rows", whole(), 1),
        Parameter("day", calendar_day, None),
        Parameter("part", share, 1.0),
        Parameter("kind", one_of("a", "b"), "a"),
        Parameter("rate", number(0, 9), 1.5),
    )

    assert 0 == program.run(["do", "--leaf-rows", "2", "--day", "2013-01-06"])
    assert ["leaf_rows", "day", "part", "kind", "rate"] == list(given)
    assert ("2013-01-06", 2) == (str(given["day"]), given["leaf_rows"])


@pytest.mark.parametrize("closed", ["raw/day/data.csv", "raw/day", "raw"])
def test_an_input_that_may_not_be_read_is_66_and_says_who_must_be_able_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed: str
) -> None:
    monkeypatch.setattr("stageframe.command.end_on_signal", lambda: None)
    program = Program("any", None)
    with folder_for_all() as folder:
        for module in ("command", "files"):
            monkeypatch.setattr(f"stageframe.{module}.IN", folder)
        file, place = folder / "raw/day/data.csv", folder / closed
        file.parent.mkdir(parents=True)
        file.touch()
        if not os.getuid():
            os.chown(place, 1234, 1234)
        place.chmod(0)
        program.verb("read", lambda: {"text": file.read_text()}, "read it")
        with another_user() as uid:
            code = program.run(["read"])
        place.chmod(0o700)
        owner = place.stat().st_uid
    rights = "r" if closed.endswith(".csv") else "rx"
    whom = "u" if uid == owner else "o"

    assert 66 == code
    assert (
        f"{closed} cannot be read by uid {uid}, as which this stage runs: it belongs to uid "
        f"{owner}, mode 0000; let uid {uid} read it, by chmod {whom}+{rights} or chown\n"
    ) == capsys.readouterr().err


@pytest.mark.parametrize("text", ["20130106", "2013-W01-7", "2013-1-6", "2013-02-30", "", "today"])
def test_a_day_has_one_spelling(text: str) -> None:
    with pytest.raises(Exception, match="not a day written YYYY-MM-DD"):
        calendar_day(text)
