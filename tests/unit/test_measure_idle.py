"""What scripts/measure_idle adds up, and how it shows two measurements."""

import os
import subprocess
import sys

from support import idle

BURN = "import time\nwhile time.process_time() < 0.3: pass"
READ = "import sys; print(flush=True); sys.stdin.read()"


def test_a_process_counts_with_the_children_that_have_ended() -> None:
    before = idle._seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BURN], check=True)

    assert idle._seconds(os.getpid()) - before >= 0.25
    assert 0 == idle._seconds(2**22 + 1)  # there is no such process


def test_a_process_is_seen_with_its_command_line() -> None:
    """Not this one: who runs tests side by side gives each another title."""
    command = [sys.executable, "-c", READ, "a word"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdout
        child.stdout.readline()  # until it runs, it may have no command line yet
        name, seen = dict(idle._processes())[child.pid]

    assert name
    assert [*command, ""] == seen


def test_two_measurements_are_side_by_side_with_the_sums_last() -> None:
    before = {"a": 0.1, "gone": 0.2, idle.ENGINE: 0.3, idle.ALL: 0.6}
    now = {"a": 0.05, "new": 0.01, idle.ENGINE: 0.04, idle.ALL: 0.1}

    assert [
        "| core-seconds a second | before | now |",
        "|---|---:|---:|",
        "| a | 0.100 | 0.050 |",
        "| gone | 0.200 |  |",
        "| new |  | 0.010 |",
        "| the engine | 0.300 | 0.040 |",
        "| in all | 0.600 | 0.100 |",
    ] == list(idle.table(now, before))
    assert "| core-seconds a second | now |" == next(idle.table(now, {}))
