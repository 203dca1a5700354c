"""Links beside a task in Airflow: to what it has published, as the service of the reports shows it.

A task says its addresses itself, as XComs, so that Airflow needs no code of ours to show them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

    from microstage.jobs import Job
    from microstage.table import Row


class Address(BaseOperatorLink):
    """A link whose address the task has said while it ran, as `addresses`."""

    name: ClassVar[str] = ""

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        return str(operator.addresses[self.name])


class Report(Address):
    """The report of a day."""

    name = "Report"


class Verdict(Address):
    """What a comparison has found."""

    name = "Verdict"


class Lineage(Address):
    """What a stage has said of what it published, and what that was made from."""

    name = "Lineage"


OF_WORK: dict[str, type[Address]] = {"report-quality": Report, "compare-models": Verdict}


def links_of(row: Row | None) -> list[Address]:
    """Return the links that the task of a row has."""
    if row is None:
        return []
    return [of() for work, of in OF_WORK.items() if work == row.work] + [Lineage()]


def show(task: Any, day: str, job: Job) -> None:
    """Have the task of a job, which is done, tell Airflow the addresses of its links."""
    page = f"{reports()}/made-by/{job.pipeline.name}/{quote(job.target)}"
    task.operator_extra_links = links_of(job.row)
    task.addresses = {
        Report.name: f"{reports()}/{quote(job.shown(day))}/report.html",
        Verdict.name: page,
        Lineage.name: page,
    }


def show_report(task: Any, address: str) -> None:
    """Have a task that decides by a report tell Airflow where that is, if it is anywhere."""
    task.operator_extra_links = [Report()] if address else []
    task.addresses = {Report.name: address}


def reports() -> str:
    """Return where people find the service that shows reports."""
    return os.environ.get("MICROSTAGE_REPORTS_URL", "")
