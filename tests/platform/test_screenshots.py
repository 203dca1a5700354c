"""scripts/screenshots: a real browser logs in, and pictures show the pages."""

import struct
from pathlib import Path

import pytest
from stack import Stack


def test_a_browser_logs_in_and_takes_a_picture_of_the_dags(stack: Stack, tmp_path: Path) -> None:
    done = stack.run("scripts/screenshots", "--to", tmp_path, "login", "dags", check=False)
    if done.returncode == 69:
        pytest.skip(done.stderr.splitlines()[-1])

    assert 0 == done.returncode, done.stderr
    for name in ("login", "dags"):
        picture = (tmp_path / f"{name}.png").read_bytes()
        width, height = struct.unpack(">II", picture[16:24])
        assert 1440 * 2 == width
        assert height >= 900 * 2
        # A blank page is 10 kB.
        assert 15_000 < len(picture) < 300_000


def test_a_page_that_is_not_known_is_refused_with_64(stack: Stack, tmp_path: Path) -> None:
    done = stack.run("scripts/screenshots", "--to", tmp_path, "nowhere", check=False)
    if done.returncode == 69:
        pytest.skip(done.stderr.splitlines()[-1])

    assert 64 == done.returncode
    assert "There is no page 'nowhere'; there are login, dags, " in done.stderr.splitlines()[-1]
