"""Where people decide: which model is used, what goes into production, what bad quality leads to.

Each decision can be given to a Variable of Airflow (Admin, Variables); in another pipeline than the
default one its name begins with the pipeline's, such as flights.auto_promotion:

    model_path         a directory such as models/2013-01-06: predict with it, not with production
    auto_promotion     "better" or "not_worse": promote by the comparison; "off": ask (the default)
    retrain_on_alert   "on": train again when quality is below its threshold; "off": the default
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from microstage.data_folder import DataFolder, digest, is_inner_path, read_manifest
from microstage.errors import BAD_DATA, NO_INPUT, StageError
from microstage.jobs import target_of
from microstage.links import Report, show_report
from microstage.operator import StageOperator
from microstage.pipelines import DEFAULT, Pipeline
from microstage.published import Published, read_json, understood
from microstage.schedule import DS, RETRIES, RETRY_DELAY, hours_of
from microstage.verdicts import automatic, body

if TYPE_CHECKING:
    from airflow.sdk import Context

# --- which model predictions are made with --------------------------------------------------------


class FetchModel(StageOperator):
    """Fetch the model in production; return its directory as `path`, with the stage's summary.

    The Variable model_path, when it is set, wins: its directory is returned, once it has been
    checked, and the registry is not asked.

    :param trainer: the row whose files a model has
    """

    def __init__(self, *, trainer: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trainer = trainer

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        try:
            pipeline, data = self.load_pipeline()
            variable = pipeline.prefixed("model_path")
            if path := Variable.get(variable, default=None):
                check_model(data, path, pipeline.row(self.trainer).files, variable)
                self.log.warning("The Variable %s is set: %s, not production.", variable, path)
                return {"path": path}
            summary = super().execute(context)
            return {**summary, "path": target_of(pipeline, self.stage, self.ds)}
        except StageError as error:
            raise AirflowFailException(str(error)) from None


def check_model(data: DataFolder, path: str, files: tuple[str, ...], variable: str) -> None:
    """Raise StageError unless the directory holds a model, as it was published."""
    wrong = f"The Variable {variable} is wrong:"
    what_to_do = "name a directory like models/2013-01-06, or delete the Variable"
    try:
        folder = data.path(path)
    except StageError as error:
        raise StageError(error.code, f"{wrong} {error}") from None
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise StageError(NO_INPUT, f"{wrong} {path} lacks {', '.join(missing)}; {what_to_do}.")
    published = read_manifest(folder).get("outputs", {})
    if changed := [file for file in published if not _is_as(folder, file, published)]:
        raise StageError(
            BAD_DATA,
            f"{wrong} {path}: {', '.join(changed)} is no longer what was published; {what_to_do}.",
        )


def _is_as(folder: Path, file: str, published: Any) -> bool:
    try:
        return is_inner_path(file) and bool(digest(folder / file) == published[file])
    except (OSError, TypeError):
        return False


# --- what goes into production --------------------------------------------------------------------


class ApprovePromotion(ApprovalOperator):
    """Ask a person whether a model goes into production; no answer in time means no.

    The Variable auto_promotion decides instead where the verdict of the comparison is clear.

    :param version: the row that has recorded the model as a version
    :param comparison: the row that has compared it with the one in production
    :param report: the row whose newest report is linked
    :param hours: how long to wait for an answer
    :param pipeline: name of the pipeline
    :param ds: the day of the model
    """

    template_fields = ("subject", "body", "ds", "hours")

    def __init__(
        self,
        *,
        version: str,
        comparison: str,
        report: str,
        hours: float | str,
        pipeline: str = DEFAULT,
        ds: str = DS,
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        # An answer within seconds may find the scheduler still busy with the asking, which it then
        # fails (https://github.com/apache/airflow/pull/71579): it is asked once more.
        super().__init__(
            subject="",
            body="",
            defaults=self.REJECT,
            retries=retries,
            retry_delay=retry_delay,
            **kwargs,
        )
        self.version = version
        self.comparison = comparison
        self.report = report
        self.hours = hours
        self.pipeline = pipeline
        self.ds = ds

    def execute(self, context: Context) -> Any:
        published = Published(self.pipeline, self.ds, self.log.warning)
        with understood(f"The version.json or comparison.json of {self.ds}"):
            version = published.read(self.version, "version.json")
            comparison = published.read(self.comparison, "comparison.json")
            champion = comparison["champion"] or {}
            label = f"{version['name']} version {version['version']}"
            if champion.get("version") == version["version"]:
                raise AirflowSkipException(f"{label} is in production already.")
            variable = published.pipeline.prefixed("auto_promotion")
            policy = switch(variable, "better", "not_worse")
            if automatic(policy, comparison):
                self.log.info("Promoted without asking: %s", comparison["reason"])
                return {"by": f"{variable}={policy}"}
            self.subject = f"Put {label}, trained for {self.ds}, into production?"
            self.body = "\n".join(body(version, comparison, published.newest_report(self.report)))
        self.response_timeout = timedelta(hours=hours_of(self.hours))
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        answer = super().execute_complete(context, event)
        if self.REJECT in answer["chosen_options"]:
            return answer  # nobody to name, should somebody run what follows by hand
        user = answer["responded_by_user"] or {}
        return {**answer, "by": user.get("name") or user.get("id") or ""}


def switch(variable: str, *values: str) -> str:
    """Return the value of a Variable: one of these, or "off" when it is not set."""
    value = str(Variable.get(variable, default="off")).strip().lower()
    if value not in {"off", *values}:
        known = ", ".join(["off", *values])
        raise AirflowFailException(
            f"The Variable {variable} is {value!r}; it must be one of {known}."
        )
    return value


# --- what bad quality leads to --------------------------------------------------------------------


class CheckQuality(BaseOperator):
    """Fail, and so alert, when the report of a day says that quality is bad.

    :param report: the row that publishes the report
    """

    template_fields = ("ds",)
    operator_extra_links = (Report(),)
    addresses = MappingProxyType({Report.name: ""})  # until the report has been read

    def __init__(
        self, *, report: str, pipeline: str = DEFAULT, ds: str = DS, **kwargs: Any
    ) -> None:
        super().__init__(retries=0, **kwargs)
        self.report = report
        self.pipeline = pipeline
        self.ds = ds

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's
        published = Published(self.pipeline, self.ds, self.log.warning)
        with understood(f"The quality.json of {self.ds}"):
            problems = " ".join(published.read(self.report, "quality.json")["problems"])
        where = published.newest_report(self.report)
        show_report(self, where)
        if problems:
            raise AirflowFailException(f"{problems} Report: {where}")
        self.log.info("The quality of %s is as it should be.", self.ds)


class Retrain(TriggerDagRunOperator):
    """Start a DAG that trains for the day, when its quality is bad and the Variable says so.

    The new model learns from as many days as the one that it is to replace.

    :param report: the row that publishes the report
    :param dag_to_start: the DAG, without the pipeline's prefix
    :param model: directory of the model that made the predictions
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "ds", "model")

    def __init__(
        self,
        *,
        report: str,
        dag_to_start: str,
        model: Any,
        pipeline: str = DEFAULT,
        ds: str = DS,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            trigger_dag_id=Pipeline(pipeline).prefixed(dag_to_start),
            logical_date="{{ dag_run.logical_date or dag_run.run_after }}",
            skip_when_already_exists=True,
            **kwargs,
        )
        self.report = report
        self.model = model
        self.pipeline = pipeline
        self.ds = ds

    def execute(self, context: Context) -> Any:
        published = Published(self.pipeline, self.ds, self.log.warning)
        with understood(f"The quality.json of {self.ds}"):
            ok = published.read(self.report, "quality.json")["ok"]
        if ok:
            raise AirflowSkipException("Quality is as it should be: no new model is needed.")
        variable = published.pipeline.prefixed("retrain_on_alert")
        if switch(variable, "on") == "off":
            raise AirflowSkipException(
                f"Quality is bad, but the Variable {variable} is not on: nothing is trained."
            )
        with understood(f"{self.model}/preprocess.json"):
            folder = published.data.path(self.model)
            window = len(read_json(folder / "preprocess.json")["days"])
        self.conf = {"day": self.ds, "window": window}
        return super().execute(context)
