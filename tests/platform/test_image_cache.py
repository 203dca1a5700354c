"""What the forge keeps between two of its machines: images that are built already are not built."""

import re
import shutil
from pathlib import Path

from images import Builder, inspect
from stack import docker


def test_what_was_saved_on_one_machine_is_not_built_on_the_next(
    builder: Builder, tmp_path: Path
) -> None:
    builder("split_lua")
    tag = builder.tag("split_lua")
    image = inspect(tag)["Id"]
    saved = builder.run(".ci/image_cache", "save", str(tmp_path))
    assert 0 == saved.returncode, saved.stderr
    docker("rmi", "--force", tag)
    shutil.rmtree(builder.root / ".cache")
    loaded = builder.run(".ci/image_cache", "load", str(tmp_path))
    assert 0 == loaded.returncode, loaded.stderr
    done = builder("split_lua")

    assert re.search(r"(?m)^split_lua .* no$", done.stdout)
    assert image == inspect(tag)["Id"]


def test_the_first_time_there_is_nothing_to_load(builder: Builder, tmp_path: Path) -> None:
    done = builder.run(".ci/image_cache", "load", str(tmp_path))

    assert (0, f"Nothing was saved in {tmp_path}\n") == (done.returncode, done.stdout)


def test_where_nothing_was_built_there_is_nothing_to_save(builder: Builder, tmp_path: Path) -> None:
    shutil.rmtree(builder.root / ".cache", ignore_errors=True)
    done = builder.run(".ci/image_cache", "save", str(tmp_path))

    assert 1 == done.returncode
    assert "run ./build_images.sh first" in done.stderr
