"""A task of a row tells OpenLineage what it reads and publishes, with all that is known of that.

Airflow's provider asks a task when it starts, and when it has succeeded or failed, and sends the
events: https://openlineage.io/docs/spec/object-model. It is loaded only where OPENLINEAGE_URL is
set (docs/operations.md), and so are its classes here.

Whatever goes wrong in here is told in the log, and is no failure of the task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from microstage.errors import StageError

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from microstage.assets import Announced
    from microstage.data_folder import DataFolder
    from microstage.images import Image
    from microstage.jobs import Job
    from microstage.pipelines import Pipeline

    Told = OperatorLineage[Any, Any]

log = logging.getLogger(__name__)


class TellsLineage:
    """A task of a row; three of its methods have the names by which Airflow's provider asks."""

    ds: str
    model: Any
    row_image: Image
    load_pipeline: Callable[[], tuple[Pipeline, DataFolder]]
    _announced: Announced
    _job: Callable[[Pipeline, str, str | None], Job]

    def planned(self) -> Iterator[Job]:
        """Yield the jobs that this task is to do, each a day's. Raises StageError."""
        yield self._job(self.load_pipeline()[0], self.ds, self.model)

    def get_openlineage_facets_on_start(self) -> Told | None:
        """Return what the task is to read and to publish."""
        return self._told(complete=False)

    def get_openlineage_facets_on_complete(self, _: object) -> Told | None:
        """Return what the task has read and published; of many days those that are done."""
        return self._told(complete=True)

    def get_openlineage_facets_on_failure(self, _: object) -> Told | None:
        """Return what the task was to read; and of many days what it has published."""
        return self._told(complete=None)

    def _told(self, *, complete: bool | None) -> Told | None:
        """Return what is known at the start (False), the end (True), or a failure (None)."""
        try:
            from microstage.lineage_events import told  # noqa: PLC0415 - it loads the provider

            done = [job for _, job in self._announced.done()]
            reads = done if complete else self._reads()
            writes = reads if complete is False else done
            image = getattr(self, "row_image", None)  # once it has been found
            return told(
                self.load_pipeline()[1],
                reads,
                writes,
                published=complete is not False,
                image_id=image.id if image else None,
            )
        except Exception:
            log.exception("OpenLineage is not told what this task reads and publishes.")
            return None

    def _reads(self) -> list[Job]:
        try:
            return list(self.planned())
        except StageError:  # the task says so itself
            return []
