"""Deferrable sensors: wait for complete data, wait for a model. A waiting task holds no slot."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow.triggers.base import BaseTrigger, TriggerEvent
from stage_contract import DataFolder
from stage_operator import DS
from stage_table import MANIFEST, StageError, load_row, window_days

if TYPE_CHECKING:
    from airflow.sdk import Context

SETTLED_SECONDS = 10.0  # files from outside are complete when they have not changed for so long

# What a look found: the result, or None and a sentence about what is still missing.
Look = tuple[Any | None, str]


def look_for_data(days: list[str]) -> Look:
    """Look for complete data of every day.

    A day is complete when a stage published it (it has a manifest), or when data.csv and
    target.csv came from outside and have not changed for ten seconds.
    """
    data = DataFolder.from_environment()
    for day in days:
        folder = data.path(f"raw/{day}")
        if (folder / MANIFEST).is_file():
            continue
        try:
            # ctime and not mtime: copying tools set mtime back to that of the original.
            changed = max((folder / name).stat().st_ctime for name in ("data.csv", "target.csv"))
        except OSError:
            return None, f"raw/{day} lacks {MANIFEST}, or data.csv and target.csv"
        if time.time() - changed < SETTLED_SECONDS:
            return None, f"the files in raw/{day} are still changing"
    return days, ""


def look_for_model(ds: str) -> Look:
    """Look for the newest validated model of a day before ds; without one, for that of ds."""
    models = DataFolder.from_environment().path("models")
    days = sorted(
        folder.name
        for folder in (models.iterdir() if models.is_dir() else ())
        if re.fullmatch(r"\d{4}-\d\d-\d\d", folder.name)
        and (folder / "validation" / MANIFEST).is_file()
    )
    if earlier := [day for day in days if day < ds]:
        return f"models/{earlier[-1]}", ""
    if ds in days:
        return f"models/{ds}", ""
    return None, f"there is no validated model of {ds} or of a day before; run train_model"


def check_model(path: str) -> str:
    """Return the path of the Variable model_path, if a model is there. Raises StageError."""
    folder = DataFolder.from_environment().path(path)
    if missing := [file for file in load_row("train").files if not (folder / file).is_file()]:
        raise StageError(
            66,
            f"The Variable model_path names {path}, which lacks {', '.join(missing)}; "
            "name a directory like models/2013-01-06, or delete the Variable.",
        )
    return path


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
    """

    template_fields = ("ds", "window")
    look = "data"

    def __init__(self, *, window: int | str = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.window = window

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's
        try:
            days = window_days(self.ds, self.window)
        except StageError as error:
            raise AirflowFailException(str(error)) from None
        return self.wait(days=days)


class WaitForModel(_WaitSensor):
    """Return the directory of the model to predict with, such as models/2013-01-06.

    The Variable model_path names it when it is set; a wrong path fails at once. Otherwise it is
    the newest validated model of a day before ds, so that a re-run or a backfill of an old day
    takes the model of that time, and no model scores the days it has learned from. Only where
    no earlier model exists (the very first day) it is, or waits for, the model of ds itself.

    :param ds: the day to predict
    """

    template_fields = ("ds",)
    look = "model"

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's
        path = Variable.get("model_path", default=None)
        if not path:
            return self.wait(ds=self.ds)
        try:
            return check_model(path)
        except StageError as error:
            raise AirflowFailException(str(error)) from None
