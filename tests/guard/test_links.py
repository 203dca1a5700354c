"""A task can write the data folder, and links into it: none leads a container out of it."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from guarded import Place

from microstage.clearing import remove

Body = Callable[..., dict[str, Any]]
RACES = 15


@pytest.fixture
def model(place: Place) -> Iterator[Path]:
    """The directory that a task may put something else in the place of."""
    path = place.data / "models" / "one"
    yield path
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    (path / "file").write_text("models/one")


@pytest.fixture
def outside(place: Place) -> Path:
    """What no container may see."""
    folder = place.root / "outside"
    folder.mkdir(exist_ok=True)
    (folder / "secret").write_text("nobody may see this")
    return folder


def seen(place: Place, sent: dict[str, Any]) -> str:
    """Run a container as a task does that checks nothing; return what it wrote, or why not."""
    client = place.client()
    out = Path(next(m["Source"] for m in sent["HostConfig"]["Mounts"] if m["Target"] == "/out"))
    out.mkdir(exist_ok=True)
    os.chown(out, 1234, 1234)
    (out / "summary.json").unlink(missing_ok=True)
    made = ""
    try:
        made = client.create_container_from_config(sent)["Id"]
        client.start(made)
        client.wait(made)
        return (out / "summary.json").read_text()
    except (APIError, FileNotFoundError) as error:
        return f"refused: {error}"
    finally:
        if made:
            remove(client, made)


@pytest.mark.parametrize("to", ["outside", "../../outside", "../../../../../../etc"])
def test_a_link_in_the_place_of_an_input_is_not_followed(
    place: Place, body: Body, model: Path, outside: Path, to: str
) -> None:
    sent = body()
    shutil.rmtree(model)
    model.symlink_to(outside if to == "outside" else to)
    found = seen(place, sent)

    assert found.startswith("refused")
    assert str(place.root) not in found


def test_a_link_above_an_input_is_not_followed(
    place: Place, body: Body, model: Path, outside: Path
) -> None:
    above, sent = model.parent, body()
    above.rename(place.root / "elsewhere")
    above.symlink_to(place.root / "elsewhere")
    try:
        assert seen(place, sent).startswith("refused")
    finally:
        above.unlink()
        (place.root / "elsewhere").rename(above)


def test_a_link_in_the_place_of_out_is_not_followed(
    place: Place, body: Body, outside: Path
) -> None:
    sent = body()
    out = Path(next(m["Source"] for m in sent["HostConfig"]["Mounts"] if m["Target"] == "/out"))
    shutil.rmtree(out, ignore_errors=True)
    out.symlink_to(outside)
    os.chown(outside, 1234, 1234)
    client = place.client()
    made = ""
    try:
        made = client.create_container_from_config(sent)["Id"]
        with pytest.raises(APIError):
            client.start(made)
    finally:
        if made:
            remove(client, made)
        out.unlink()

    assert ["secret"] == [path.name for path in outside.iterdir()]


def test_a_link_that_is_swapped_in_while_a_container_starts_is_not_followed(
    place: Place, body: Body, model: Path, outside: Path
) -> None:
    real, link = place.data / "models" / "real", place.data / "models" / "link"
    sent, over = body(), threading.Event()
    model.rename(real)
    link.symlink_to(outside)
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not over.is_set():
            for each in (real, link):
                each.rename(model)
                model.rename(each)
                swaps += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        found = [seen(place, sent) for _ in range(RACES)]
    finally:
        over.set()
        thread.join()
        link.unlink()
        real.rename(model)

    assert swaps > RACES
    assert [] == [each for each in found if "secret" in each]
