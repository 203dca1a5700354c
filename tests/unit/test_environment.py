"""Virtual environments with locked packages, of stages that run as processes and of scripts."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.environment import environment

from microstage.errors import StageError


@pytest.fixture(autouse=True)
def uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the tests' own environment was made by, as the locked one takes a network."""
    monkeypatch.setattr("support.environment.find_uv", lambda _: Path(sys.prefix, "bin", "uv"))


def test_an_environment_is_made_once_for_each_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("# nothing\n")
    first = environment("train", lock, tmp_path / "cache")
    made = first.stat().st_ctime_ns
    again = environment("train", lock, tmp_path / "cache")
    lock.write_text("# still nothing\n")
    other = environment("train", lock, tmp_path / "cache")

    assert (first, made) == (again, again.stat().st_ctime_ns)
    assert first != other
    assert 2 == len(list((tmp_path / "cache").iterdir()))


def test_an_environment_is_that_of_this_python_and_has_just_what_is_locked(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("")
    python = environment("train", lock, tmp_path / "cache")
    ask = "import sys, importlib.metadata as m; print(sys.version, [*m.distributions()], sep='|')"
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout

    assert f"{sys.version}|[]\n" == said


def test_an_environment_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("docker==7.2.0\n")  # without a hash

    with pytest.raises(StageError, match="environment of train could not be made"):
        environment("train", lock, tmp_path / "cache")

    assert [] == list((tmp_path / "cache").iterdir())
