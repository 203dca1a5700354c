"""Which image fills a row: one line of a table, how it is changed, and what it was before."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from support.images import docker, find

from microstage.errors import NO_INPUT, USAGE, StageError
from microstage.images import Image, name_of_pin, named
from microstage.pipelines import DEFAULT, load_pipeline, pipeline_names, pipeline_path, table_path
from microstage.table import Row

HISTORY = "swaps.jsonl"  # in the pipeline's data, because it is this installation's
NONE = ""  # as the image of before: the file had no line for the row


def swappable(pipeline: str, stage: str) -> Row:
    """Return a row whose image can be swapped. Raises StageError (64) where it is another's."""
    table = load_pipeline(pipeline)
    row = table.row(stage)
    if row.like:
        together = ", ".join(table.followers(row.like))
        raise StageError(
            USAGE,
            f"{stage} has the image of {row.like}: swap {row.like}, which swaps {together}; for an "
            f'image of its own, write a line image = "…" into [stages.{stage}] of {table.file}.',
        )
    return row


def present(image: str) -> Image:
    """Return an image that is on this machine, by its name or pin. Raises StageError (66)."""
    if not (found := find(image)):
        raise StageError(
            NO_INPUT,
            f"The image {image} is not on this machine; build it (./build_images.sh) or load it "
            "(docker load, docker pull) first.",
        )
    return found


def pinned(image: str) -> str:
    """Return NAME@sha256:ID, which is that very image, whatever NAME means by now.

    Raises StageError (66) where it is not on this machine.
    """
    return f"{image.partition('@')[0]}@{present(image).id}"


def keep(pin: str) -> None:
    """Give a pinned image a name that stays, whatever the name that it had is given to.

    Where an engine keeps images in containerd, one without a name is gone, and one with another
    name is not found by its pin; elsewhere it goes with docker image prune.
    """
    docker("tag", present(pin).store_id, name_of_pin(named(pin)[1]))


def change(data: Path, pipeline: str, stage: str, image: str, action: str, check: str = "") -> str:
    """Change the row's one line and record it; return the image of before, "" if it had no line.

    The file of the pipeline is replaced as a whole, once it has been read with the change: a reader
    sees the old one or the new one. `data`: the pipeline's own; `image`: "" takes the line out.
    """
    path = pipeline_path(pipeline)
    data.mkdir(parents=True, exist_ok=True)
    with (data / HISTORY).open("a", encoding="utf-8") as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        old = load_pipeline(pipeline).row(stage).image
        text = path.read_text(encoding="utf-8")
        new, line = with_image(text, stage, image)
        write(path, pipeline, stage, new, image)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"when": when, "action": action, "stage": stage, "from": old}
        entry["to"] = load_pipeline(pipeline).row(stage).image
        record.write(json.dumps({**entry, "line": line, "check": check}) + "\n")
    return line


def with_image(text: str, stage: str, image: str) -> tuple[str, str]:
    """Return a table whose row has this image, and the image of its line before ("": none)."""
    section = re.search(rf"(?m)^\s*\[stages\.{re.escape(stage)}\]\s*(#.*)?$", text)
    if not section:
        return f'{text.rstrip()}\n\n[stages.{stage}]\nimage = "{image}"\n', NONE
    start = section.end()
    following = re.search(r"(?m)^\s*\[", text[start:])
    end = start + following.start() if following else len(text)
    body = text[start:end]
    line = re.search(r'(?m)^(\s*image\s*=\s*)"([^"]*)"', body)
    if not line:
        return f'{text[:start]}\nimage = "{image}"{body}{text[end:]}', NONE
    if image:
        new = f'{body[: line.start()]}{line[1]}"{image}"{body[line.end() :]}'
    else:
        new = body[: line.start()] + body[line.end() :].lstrip(" \t").removeprefix("\n")
        if not new.strip():  # the line was all there was
            return f"{text[: section.start()].rstrip()}\n{text[end:]}", line[2]
    return text[:start] + new + text[end:], line[2]


def write(path: Path, pipeline: str, stage: str, text: str, image: str) -> None:
    """Replace a pipeline's file. Raises StageError where the row would not have the image."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        table = Path(scratch, table_path().name)
        (table.parent / "pipelines").mkdir()
        for name in {DEFAULT, pipeline}:
            shutil.copy2(pipeline_path(name), pipeline_path(name, table))
        new = pipeline_path(pipeline, table)
        new.write_text(text, encoding="utf-8")
        if image and load_pipeline(pipeline, table).row(stage).image != image:
            raise StageError(
                NO_INPUT, f'{path} has no line image = "…" of its own for {stage}; write one.'
            )
        load_pipeline(pipeline, table)
        shutil.copystat(path, new)
        if os.geteuid() == 0:
            os.chown(new, path.stat().st_uid, path.stat().st_gid)
        new.replace(path)


def history(data: Path, stage: str | None) -> Iterator[dict[str, str]]:
    """Yield every change of a row, or of all, oldest first."""
    if (data / HISTORY).exists():
        for line in (data / HISTORY).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if stage in (None, entry["stage"]):
                yield entry


def before(data: Path, stage: str) -> dict[str, str]:
    """Return the newest swap of a row that is not undone. Raises StageError (66) without one."""
    swaps: list[dict[str, str]] = []
    for entry in history(data, stage):
        if entry["action"] == "swap":
            swaps.append(entry)
        else:
            swaps.pop()
    if not swaps:
        raise StageError(NO_INPUT, f"There is no swap of {stage} to undo; see --history.")
    return swaps[-1]


def others_that_follow(stage: str) -> list[str]:
    """Return the pipelines that have the default one's image in a row."""
    image = load_pipeline().row(stage).image
    names = [name for name in pipeline_names() if name != DEFAULT]
    return [name for name in names if has_image(name, stage, image)]


def has_image(pipeline: str, stage: str, image: str) -> bool:
    """Tell whether a pipeline's row has an image; one that is broken has none."""
    try:
        return load_pipeline(pipeline).row(stage).image == image
    except StageError:
        return False
