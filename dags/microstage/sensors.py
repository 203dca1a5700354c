"""Deferrable sensors: wait for data, wait for predictions. A waiting task holds no slot."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow.triggers.base import BaseTrigger, TriggerEvent

from microstage.data_folder import MANIFEST, DataFolder, read_manifest, whose
from microstage.errors import USAGE, StageError
from microstage.jobs import resolve, target_of, writer_of
from microstage.last_good import load_for_run
from microstage.pipelines import DEFAULT, Pipeline, folder_of, shown
from microstage.schedule import DS, RETRIES, RETRY_DELAY, hours_of

if TYPE_CHECKING:
    from airflow.sdk import Context

SETTLED_SECONDS = 10.0  # files from outside are complete when they have not changed for so long

# What a look found: the result, or None and a sentence about what is still missing.
Look = tuple[Any | None, str]


def look_for_data(pipeline: str, folders: list[str], files: list[str]) -> Look:
    """Look for complete data in every folder of a pipeline's data.

    A folder is complete when a stage published it (it has a manifest), or when its files came from
    outside and have not changed for ten seconds.
    """
    data = DataFolder.from_environment(folder_of(pipeline))
    for folder in folders:
        path = data.path(folder)
        try:
            if (path / MANIFEST).is_file():
                continue
            # ctime and not mtime: copying tools set mtime back to that of the original.
            changed = max((path / name).stat().st_ctime for name in files)
        except PermissionError as error:
            return None, f"uid {os.geteuid()} may not read it: {whose(error.filename or path)}"
        except OSError:
            return None, f"{shown(pipeline, folder)} lacks {' or '.join(files)}"
        if time.time() - changed < SETTLED_SECONDS:
            return None, f"the files in {shown(pipeline, folder)} are still changing"
    return folders, ""


def look_for_model(pipeline: str, folder: str) -> Look:
    """Look for what a stage publishes from a model; find the directory of that model."""
    directory = DataFolder.from_environment(folder_of(pipeline)).path(folder)
    there = shown(pipeline, folder)
    if not (manifest := read_manifest(directory)):
        return None, f"there is no {there}; see why in the DAG that publishes it"
    try:
        return str(manifest["sources"]["model"]), ""
    except (LookupError, TypeError):
        return None, f"the manifest of {there} names no model; publish it again"


LOOKS: dict[str, Callable[..., Look]] = {"data": look_for_data, "model": look_for_model}


class LookTrigger(BaseTrigger):
    """Look every few seconds until something is there, or until the deadline (Unix time)."""

    def __init__(self, look: str, arguments: dict[str, Any], deadline: float, every: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.look = look
        self.arguments = arguments
        self.deadline = deadline
        self.every = every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        fields = ("look", "arguments", "deadline", "every")
        return f"{__name__}.LookTrigger", {name: getattr(self, name) for name in fields}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            # The deadline is the trigger's own, not defer(timeout=...): that one ends without
            # a word about what was missing.
            result, missing = await asyncio.to_thread(LOOKS[self.look], **self.arguments)
            if result is not None or time.time() >= self.deadline:
                event = {"result": result, "missing": missing}
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.every)


class _WaitSensor(BaseSensorOperator):
    """What both sensors share: the pipeline's table, and waiting without a slot."""

    look: str

    def __init__(
        self,
        *,
        stage: str,
        pipeline: str = DEFAULT,
        ds: str = DS,
        poke_interval: float = 5,
        timeout: float = 24 * 3600,
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=poke_interval,
            timeout=timeout,
            retries=retries,
            retry_delay=retry_delay,
            **kwargs,
        )
        self.stage = stage
        self.pipeline = pipeline
        self.ds = ds

    def arguments(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return what is looked for. Raises StageError."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's
        try:
            data = DataFolder.from_environment(folder_of(self.pipeline))
            table = load_for_run(self.pipeline, data, self.log.warning)
            arguments = {"pipeline": self.pipeline, **self.arguments(table)}
            result, missing = LOOKS[self.look](**arguments)
        except StageError as error:
            raise AirflowFailException(str(error)) from None
        if result is None:
            self.log.info("Waiting: %s.", missing)
            deadline = time.time() + self.timeout
            trigger = LookTrigger(self.look, arguments, deadline, self.poke_interval)
            self.defer(trigger=trigger, method_name="found")
        return result

    def found(self, context: Context, event: dict[str, Any]) -> Any:  # noqa: ARG002 - Airflow's
        if event["result"] is None:
            hours = self.timeout / 3600
            raise AirflowSensorTimeout(f"Waited {hours:.3g} hours in vain: {event['missing']}.")
        return event["result"]


class WaitForData(_WaitSensor):
    """Wait until what a stage reads of every day of its window is there; return the directories.

    :param stage: the row that reads it, as raw/{day} or the like
    :param pipeline: name of the pipeline
    :param ds: the last day of the window
    :param window: number of days
    :param files: what must be there of a day; by default all that the row that writes it declares
    """

    template_fields = ("ds", "window")
    look = "data"

    def __init__(
        self, *, window: int | str = 1, files: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.window = window
        self.files = files

    def arguments(self, pipeline: Pipeline) -> dict[str, Any]:
        row = pipeline.row(self.stage)
        daily = {name for name, source in row.reads.items() if "{day}" in source}
        job = resolve(pipeline, self.stage, self.ds, window=self.window, model="-")
        folders = [path for mount, path in job.sources.items() if mount.partition("/")[0] in daily]
        writer = writer_of(pipeline, folders[0]) if folders else None
        files = self.files or (writer[0].files if writer else ())
        if not files:
            raise StageError(
                USAGE, f"{row.where}: it reads no {{day}} that a stage writes; say which files."
            )
        return {"folders": folders, "files": list(files)}


class WaitForPredictions(_WaitSensor):
    """Wait until a stage has published a day; return the directory of the model that it read.

    :param stage: the row that publishes it
    :param pipeline: name of the pipeline
    :param ds: the day
    :param hours: how long it waits; then the task fails
    """

    template_fields = ("ds", "hours")
    look = "model"

    def __init__(self, *, hours: float | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hours = hours

    def arguments(self, pipeline: Pipeline) -> dict[str, Any]:
        return {"folder": target_of(pipeline, self.stage, self.ds)}

    def execute(self, context: Context) -> Any:
        self.timeout = hours_of(self.hours) * 3600
        return super().execute(context)

    def found(self, context: Context, event: dict[str, Any]) -> Any:
        self.timeout = hours_of(self.hours) * 3600
        return super().found(context, event)
