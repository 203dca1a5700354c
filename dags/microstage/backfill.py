"""What a run of many days has besides its rows: a model for each day, and a word about each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, XComArg
from airflow.sdk.exceptions import AirflowFailException

from microstage.contract import run_job
from microstage.data_folder import MANIFEST, VERSIONS, DataFolder
from microstage.decisions import FetchModel
from microstage.each_day import DAYS, FIRST, LAST, EachDay, in_words, named
from microstage.errors import StageError
from microstage.exits import Exit
from microstage.jobs import Job, days_between, resolve, target_of
from microstage.pipelines import DEFAULT, Pipeline
from microstage.published import Published, understood
from microstage.schedule import task_failure

if TYPE_CHECKING:
    from airflow.sdk import Context


class FetchForDays(FetchModel):
    """Fetch the model in production once, and publish a copy for each day of a range.

    So each day has the model that a run of that day alone would have, under the same name: such a
    run finds its work done. The directory is returned as `path`, with {ds} for the day.
    """

    template_fields: Any = ("first", "last", "ds", "window", "model", "stage_params", "force")

    def __init__(self, *, first: str = FIRST, last: str = LAST, **kwargs: Any) -> None:
        super().__init__(ds=last, multiple_outputs=True, **kwargs)
        self.first = first
        self.last = last

    @property
    def path(self) -> XComArg:
        """Where the model will be: whoever takes it comes after this task."""
        return XComArg(self, "path")

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        try:
            days = days_between(self.first, self.last)
            fetched = super().execute(context)
            pipeline, data = self.load_pipeline()
            path = target_of(pipeline, self.stage, days[-1])
            if fetched["path"] != path:  # that of the Variable
                return fetched
            for day in days[:-1]:
                self._copy(pipeline, data, path, day)
            self._announced.tell(self, context)
            return {**fetched, "path": pipeline.row(self.stage).to}
        except StageError as error:
            raise task_failure(error) from None

    def _copy(self, pipeline: Pipeline, data: DataFolder, path: str, day: str) -> None:
        """Publish for a day what was fetched for the last one. Raises StageError."""
        job = resolve(pipeline, self.stage, day, params=self.stage_params)
        if job.target == path or not self._run:
            return  # a row that has one directory for all days

        def copy(_: Job, staging: Path) -> Exit:
            left = shutil.ignore_patterns(MANIFEST, VERSIONS)
            shutil.copytree(data.path(path), staging, ignore=left, dirs_exist_ok=True)
            return Exit(0)

        run = replace(self._run, day=day)
        done = run_job(
            data, job, image_id=self.row_image.id, run=run, engine=copy, log=self.log.info
        )
        self._announced.add(data, job, run, done, day)


class CheckDays(BaseOperator):
    """Tell what became of each day of each row, and fail if one failed, so that the run is red.

    Quality that is below its threshold is told, and is no failure: nobody is to be alerted of what
    is past, day by day.

    :param report: the row that publishes the report
    """

    def __init__(self, *, report: str, pipeline: str = DEFAULT, **kwargs: Any) -> None:
        super().__init__(retries=0, **kwargs)
        self.report = report
        self.pipeline = pipeline

    def execute(self, context: Context) -> dict[str, Any]:
        ti: Any = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
        bad = [task for task, state in states.items() if state in ("failed", "upstream_failed")]
        steps = [task.task_id for task in context["dag"].tasks if isinstance(task, EachDay)]
        told = {step: ti.xcom_pull(task_ids=step, key=DAYS) or {} for step in steps}
        for step in steps:
            self.log.info("%s: %s", step, in_words(states.get(step), told[step]))
        failed = {step: days["failed"] for step, days in told.items() if days.get("failed")}
        poor = self._poor(told)
        for day, problems in poor.items():
            self.log.warning("%s  %s", day, problems)
        if bad:
            without = [task for task in bad if task not in failed and states[task] == "failed"]
            said = [f"{step} failed for {named(days)}" for step, days in failed.items()]
            said += [f"{task} failed as a whole, see its log" for task in without]
            raise AirflowFailException("; ".join(said))
        return {**{step: len(told[step].get("done", [])) for step in steps}, "poor": len(poor)}

    def _poor(self, told: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Return the days whose quality is below its threshold, and what the reports say."""
        poor = {}
        published = Published(self.pipeline, "", self.log.warning)
        for published.ds in told.get(self.report, {}).get("done", []):
            with understood(f"The quality.json of {published.ds}"):
                if problems := published.read(self.report, "quality.json")["problems"]:
                    poor[published.ds] = " ".join(problems)
        return poor
