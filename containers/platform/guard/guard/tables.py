"""The rows, as the files have them now: a row that is swapped counts from the next container on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from guard.refusals import RefusedError
from microstage.errors import StageError
from microstage.images import places
from microstage.pipelines import Pipeline, load_pipeline, pipeline_names, pipeline_path
from microstage.table import Row
from microstage.walls import network_of

Stamp = tuple[int, int, int] | None


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class Tables:
    """Every pipeline, read again when one of its files has changed.

    While a file is broken, its pipeline is what it was when it was last whole. That is kept here
    and not read from the copy that tasks make for themselves: what tasks can write says nothing.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._read: dict[str, tuple[tuple[Stamp, Stamp], Pipeline]] = {}

    def pipeline(self, name: str) -> Pipeline:
        """Return a pipeline. Raises RefusedError."""
        if name not in self.names():
            raise RefusedError("There is no pipeline of this name.")
        stamps = _stamp(pipeline_path("default")), _stamp(pipeline_path(name))
        before = self._read.get(name)
        if before and before[0] == stamps:
            return before[1]
        try:
            found = load_pipeline(name)
        except StageError as error:
            if not before:
                raise RefusedError(str(error)) from None
            found = before[1]
            self._warn(f"{error} Until that is mended, the table is as it was before.")
        self._read[name] = stamps, found
        return found

    def row(self, name: str, stage: str) -> tuple[Pipeline, Row]:
        """Return a row, and its pipeline. Raises RefusedError."""
        pipeline = self.pipeline(name)
        try:
            return pipeline, pipeline.row(stage)
        except StageError:
            raise RefusedError("There is no row of this name in the pipeline's table.") from None

    @staticmethod
    def names() -> list[str]:
        """Return the names of all pipelines."""
        return pipeline_names()

    def rows(self) -> Iterator[Row]:
        """Yield every row of those pipelines that can be read."""
        for name in self.names():
            try:
                yield from self.pipeline(name).rows.values()
            except RefusedError:
                continue

    def images(self) -> set[str]:
        """Return the names of images in the table; of one that is pinned, all that it may have."""
        return {place for row in self.rows() for place in places(row.image)}

    def networks(self) -> set[str]:
        """Return the networks of rows, by their names on the engine."""
        return {network_of(row.network) for row in self.rows()} - {"none", "bridge"}
