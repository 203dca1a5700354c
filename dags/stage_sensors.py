"""Deferrable sensors: wait for data, wait for predictions. A waiting task holds no slot."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow.triggers.base import BaseTrigger, TriggerEvent
from stage_contract import DataFolder
from stage_operator import DS
from stage_table import MANIFEST, StageError, window_days

if TYPE_CHECKING:
    from airflow.sdk import Context

SETTLED_SECONDS = 10.0  # files from outside are complete when they have not changed for so long

RAW_FILES = ("data.csv", "target.csv")

# What a look found: the result, or None and a sentence about what is still missing.
Look = tuple[Any | None, str]


def look_for_data(days: list[str], files: list[str]) -> Look:
    """Look for complete data of every day.

    A day is complete when a stage published it (it has a manifest), or when its files came from
    outside and have not changed for ten seconds.
    """
    data = DataFolder.from_environment()
    for day in days:
        folder = data.path(f"raw/{day}")
        if (folder / MANIFEST).is_file():
            continue
        try:
            # ctime and not mtime: copying tools set mtime back to that of the original.
            changed = max((folder / name).stat().st_ctime for name in files)
        except OSError:
            return None, f"raw/{day} lacks {' or '.join(files)}"
        if time.time() - changed < SETTLED_SECONDS:
            return None, f"the files in raw/{day} are still changing"
    return days, ""


def look_for_predictions(ds: str) -> Look:
    """Look for the predictions of a day; find the directory of the model that made them."""
    manifest = DataFolder.from_environment().path(f"predictions/{ds}") / MANIFEST
    try:
        return json.loads(manifest.read_bytes())["sources"]["model"], ""
    except FileNotFoundError:
        return None, f"there are no predictions for {ds}; see why in the run of the DAG predict"


LOOKS: dict[str, Callable[..., Look]] = {
    "data": look_for_data,
    "predictions": look_for_predictions,
}


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
        return "stage_sensors.LookTrigger", {name: getattr(self, name) for name in fields}

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
    look: str

    def __init__(
        self,
        *,
        ds: str = DS,
        poke_interval: float = 5,
        timeout: float = 24 * 3600,
        retries: int = 2,
        retry_delay: timedelta = timedelta(seconds=10),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=poke_interval,
            timeout=timeout,
            retries=retries,
            retry_delay=retry_delay,
            **kwargs,
        )
        self.ds = ds

    def wait(self, **arguments: Any) -> Any:
        try:
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
    """Wait until raw/ holds complete data of every day of the window; return the days.

    :param ds: the last day of the window
    :param window: number of days
    :param files: what must be there of a day; without labels, which come later, data.csv alone
    """

    template_fields = ("ds", "window")
    look = "data"

    def __init__(
        self, *, window: int | str = 1, files: Sequence[str] = RAW_FILES, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.window = window
        self.files = list(files)

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's
        try:
            days = window_days(self.ds, self.window)
        except StageError as error:
            raise AirflowFailException(str(error)) from None
        return self.wait(days=days, files=self.files)


class WaitForPredictions(_WaitSensor):
    """Wait until a day has predictions; return the directory of the model that made them.

    :param ds: the day
    :param hours: how long it waits; then the task fails
    """

    template_fields = ("ds", "hours")
    look = "predictions"

    def __init__(self, *, hours: float | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hours = hours

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's
        self.timeout = float(self.hours) * 3600
        return self.wait(ds=self.ds)

    def found(self, context: Context, event: dict[str, Any]) -> Any:
        self.timeout = float(self.hours) * 3600
        return super().found(context, event)
