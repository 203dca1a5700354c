"""Where people decide: which model is used, what goes into production, what bad quality leads to.

Each decision can be given to a Variable of Airflow (Admin, Variables):

    model_path         a directory such as models/2013-01-06: predict with it, not with production
    auto_promotion     "better" or "not_worse": promote by the comparison; "off": ask (the default)
    retrain_on_alert   "on": train again when quality is below its threshold; "off": the default
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from stage_contract import DataFolder, digest
from stage_operator import DS, StageOperator
from stage_table import BAD_DATA, MANIFEST, NO_INPUT, StageError, load_row, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.sdk import Context

# What a promotion without a person must not cost, at the least favourable end of its interval.
MARGIN = 0.02  # of the AUC
MORE_LOSS = 1.05  # times the log loss
METRICS = {
    "roc_auc": "AUC",
    "average_precision": "average precision",
    "log_loss": "log loss (less is better)",
    "calibration_error": "calibration error (less is better)",
    "accuracy": "accuracy",
}


# --- which model predictions are made with --------------------------------------------------------


class FetchModel(StageOperator):
    """Fetch the model in production; return its directory as `path`, with the stage's summary.

    The Variable model_path, when it is set, wins: its directory is returned, once it has been
    checked, and the registry is not asked.
    """

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        if path := Variable.get("model_path", default=None):
            try:
                check_model(path)
            except StageError as error:
                raise AirflowFailException(f"The Variable model_path is wrong: {error}") from None
            self.log.warning("The Variable model_path is set: %s, not what is in production.", path)
            return {"path": path}
        summary = super().execute(context)
        return {"path": resolve(load_row(self.stage), self.ds).target, **summary}


def check_model(path: str) -> None:
    """Raise StageError unless the directory holds a model, as it was published."""
    folder = DataFolder.from_environment().path(path)
    what_to_do = "name a directory like models/2013-01-06, or delete the Variable"
    if missing := [file for file in load_row("train").files if not (folder / file).is_file()]:
        raise StageError(NO_INPUT, f"{path} lacks {', '.join(missing)}; {what_to_do}.")
    published = _read(folder / MANIFEST).get("outputs", {})
    if changed := [file for file in published if digest(folder / file) != published[file]]:
        raise StageError(
            BAD_DATA,
            f"{path}: {', '.join(changed)} is no longer what was published; {what_to_do}.",
        )


# --- what goes into production --------------------------------------------------------------------


class ApprovePromotion(ApprovalOperator):
    """Ask a person whether a model goes into production; no answer in time means no.

    The Variable auto_promotion decides instead where the verdict of the comparison is clear.
    """

    template_fields = ("subject", "body", "ds", "hours")

    def __init__(self, *, ds: str = DS, hours: float | str, **kwargs: Any) -> None:
        """`hours`: how long to wait for an answer."""
        super().__init__(subject="", body="", defaults=self.REJECT, **kwargs)
        self.ds = ds
        self.hours = hours

    def execute(self, context: Context) -> Any:
        model = DataFolder.from_environment().path(f"models/{self.ds}")
        version = _read(model / "version/version.json")
        comparison = _read(model / "comparison/comparison.json")
        champion = comparison["champion"] or {}
        label = f"{version['name']} version {version['version']}"
        if champion.get("version") == version["version"]:
            raise AirflowSkipException(f"{label} is in production already.")
        policy = switch("auto_promotion", "better", "not_worse")
        if automatic(policy, comparison):
            self.log.info("Promoted without asking: %s", comparison["reason"])
            return {"by": f"auto_promotion={policy}"}
        self.subject = f"Put {label}, trained for {self.ds}, into production?"
        self.body = "\n".join(body(version, comparison, newest_report(self.ds)))
        self.response_timeout = timedelta(hours=float(self.hours))
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        answer = super().execute_complete(context, event)
        user = answer["responded_by_user"] or {}
        return {**answer, "by": user.get("name") or user.get("id") or ""}


def switch(variable: str, *values: str) -> str:
    """Return the value of a Variable: one of these, or "off" when it is not set."""
    value = str(Variable.get(variable, default="off")).strip().lower()
    if value not in ("off", *values):
        known = ", ".join(["off", *values])
        raise AirflowFailException(
            f"The Variable {variable} is {value!r}; it must be one of {known}."
        )
    return value


def automatic(policy: str, comparison: dict[str, Any]) -> bool:
    """Tell whether to promote without asking; False: ask. Raises AirflowSkipException for a no.

    Not worse is what has no clear difference and, at the lower end of the interval, loses at most
    MARGIN of the AUC: a wide interval alone is no evidence. Whatever the verdict, a model that may
    be no better than chance, or whose probabilities are worse, is a person's decision.
    """
    if policy == "off" or comparison["verdict"] == "not_comparable":
        return False
    challenger, champion = comparison["challenger"], comparison["champion"] or {}
    verdict, low = comparison["verdict"], (comparison["difference"] or {}).get("low", 0)
    if verdict == "worse" or (policy == "better" and verdict == "no_clear_difference"):
        raise AirflowSkipException(f"Production stays as it is: {comparison['reason']}")
    return bool(
        challenger["roc_auc_low"] > 0.5
        and low > -MARGIN
        and challenger["log_loss"] <= MORE_LOSS * champion.get("log_loss", float("inf"))
    )


def body(version: dict[str, Any], comparison: dict[str, Any], report: str) -> Iterator[str]:
    """Yield what a person needs to decide, as lines of Markdown."""
    champion = comparison["champion"] or {}
    verdict = comparison["verdict"].replace("_", " ")
    yield f"**Verdict: {verdict}.** {comparison['reason']}"
    yield ""
    in_production = (
        f"in production (version {champion['version']})" if champion else "in production"
    )
    yield f"| | this model (version {version['version']}) | {in_production} |"
    yield "|---|---:|---:|"
    for key, name in METRICS.items():
        both = [_shown(metrics.get(key)) for metrics in (comparison["challenger"], champion)]
        if any(value != "–" for value in both):
            yield f"| {name} | {both[0]} | {both[1]} |"
    yield ""
    learned = comparison["proof"]["challenger_trained_on"]
    if len(learned) > 1:
        yield f"It has learned from {len(learned)} days, {learned[0]} to {learned[-1]}."
    elif learned:
        yield f"It has learned from one day, {learned[0]}."
    mlflow = os.environ.get("MICROSTAGE_MLFLOW_URL", "")
    run = f"{mlflow}/#/experiments/{version['experiment_id']}/runs/{version['run_id']}"
    yield ""
    yield f"- [The run in MLflow, with parameters, curves and files]({run})"
    if report:
        yield f"- [How the model in production has done lately]({report})"


def newest_report(ds: str) -> str:
    """Return the address of the newest report up to the day ds, or nothing."""
    reports = DataFolder.from_environment().path("reports")
    days = sorted(path.parent.name for path in reports.glob(f"*/{MANIFEST}"))
    until = [day for day in days if day <= ds]
    url = os.environ.get("MICROSTAGE_REPORTS_URL", "")
    return f"{url}/{until[-1]}/report.html" if until else ""


# --- what bad quality leads to --------------------------------------------------------------------


class CheckQuality(BaseOperator):
    """Fail, and so alert, when the report of a day says that quality is bad."""

    template_fields = ("ds",)

    def __init__(self, *, ds: str = DS, **kwargs: Any) -> None:
        super().__init__(retries=0, **kwargs)
        self.ds = ds

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's
        if problems := read_quality(self.ds)["problems"]:
            raise AirflowFailException(f"{' '.join(problems)} Report: {newest_report(self.ds)}")
        self.log.info("The quality of %s is as it should be.", self.ds)


class Retrain(TriggerDagRunOperator):
    """Start train_model for the day, when its quality is bad and the Variable says so.

    The new model learns from as many days as the one that it is to replace.
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "ds", "model")

    def __init__(self, *, model: Any, ds: str = DS, **kwargs: Any) -> None:
        """`model`: directory of the model that made the predictions."""
        super().__init__(
            trigger_dag_id="train_model",
            logical_date="{{ dag_run.logical_date or dag_run.run_after }}",
            skip_when_already_exists=True,
            **kwargs,
        )
        self.ds = ds
        self.model = model

    def execute(self, context: Context) -> Any:
        if read_quality(self.ds)["ok"]:
            raise AirflowSkipException("Quality is as it should be: no new model is needed.")
        if switch("retrain_on_alert", "on") == "off":
            raise AirflowSkipException(
                "Quality is bad, but the Variable retrain_on_alert is not on: nothing is trained."
            )
        folder = DataFolder.from_environment().path(self.model)
        self.conf = {"window": len(_read(folder / "preprocess.json")["days"])}
        return super().execute(context)


def read_quality(ds: str) -> dict[str, Any]:
    """Return the quality.json of a day."""
    return _read(DataFolder.from_environment().path(f"reports/{ds}") / "quality.json")


def _read(path: Path) -> dict[str, Any]:
    if path.name == MANIFEST and not path.exists():
        return {}  # a directory that a person made
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "–"
