"""Where people decide: which model is used, what goes into production, what bad quality leads to.

Each decision can be given to a Variable of Airflow (Admin, Variables):

    model_path         a directory such as models/2013-01-06: predict with it, not with production
    auto_promotion     "better" or "not_worse": promote by the verdict; "off": ask (the default)
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
from stage_table import BAD_DATA, MANIFEST, NO_INPUT, StageError, load_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.sdk import Context

# Verdicts that lead to a promotion without a person, by the value of the Variable auto_promotion.
AUTOMATIC = {
    "better": ("first", "better"),
    "not_worse": ("first", "better", "no_clear_difference"),
}
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
                return {"path": check_model(path)}
            except StageError as error:
                raise AirflowFailException(str(error)) from None
        summary = super().execute(context)
        return {"path": load_row(self.stage).to.replace("{ds}", self.ds), **summary}


def check_model(path: str) -> str:
    """Return the value of the Variable model_path. Raises StageError unless a model is there."""
    folder = DataFolder.from_environment().path(path)
    what_to_do = "name a directory like models/2013-01-06, or delete the Variable"
    if missing := [file for file in load_row("train").files if not (folder / file).is_file()]:
        raise StageError(
            NO_INPUT,
            f"The Variable model_path names {path}, which lacks {', '.join(missing)}; "
            f"{what_to_do}.",
        )
    published = _read(folder / MANIFEST).get("outputs", {})
    if changed := [file for file in published if digest(folder / file) != published[file]]:
        raise StageError(
            BAD_DATA,
            f"The Variable model_path names {path}, where {', '.join(changed)} is no longer what "
            f"was published; {what_to_do}.",
        )
    return path


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
        if automatic(Variable.get("auto_promotion", default="off"), comparison):
            self.log.info("Promoted without asking: %s", comparison["reason"])
            return {"chosen_options": [self.APPROVE], "automatic": True}
        self.subject = f"Put {label}, trained for {self.ds}, into production?"
        self.body = "\n".join(body(version, comparison, newest_report(self.ds)))
        self.response_timeout = timedelta(hours=float(self.hours))
        return super().execute(context)


def automatic(policy: str, comparison: dict[str, Any]) -> bool:
    """Tell whether to promote without asking; False: ask. Raises AirflowSkipException for a no."""
    if policy == "off":
        return False
    if policy not in AUTOMATIC:
        known = ", ".join(["off", *AUTOMATIC])
        raise AirflowFailException(
            f"The Variable auto_promotion is {policy!r}; it must be one of {known}."
        )
    verdict = comparison["verdict"]
    worthless = verdict == "first" and not comparison["challenger"].get("roc_auc_low", 0) > 0.5
    if verdict == "not_comparable" or worthless:
        return False
    if verdict in AUTOMATIC[policy]:
        return True
    raise AirflowSkipException(f"Production stays as it is: {comparison['reason']}")


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
    if learned:
        yield f"It has learned from {len(learned)} days, {learned[0]} to {learned[-1]}."
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
        if Variable.get("retrain_on_alert", default="off") != "on":
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
