"""What rows publish, as Assets of Airflow: drawn as lineage, announced when it is there.

A pipeline has an asset of each kind of directory: flights/predictions for flights/predictions/<ds>.
One more, flights/production, is the version that is in production: MLflow knows that, no directory.

Airflow checks the assets of a task before it runs it, and fails the task where one is not active.
Nothing of that kind is to keep a row from publishing: so a task declares its assets where the DAG
is read, and has none while it runs, until it has published.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import Asset, get_parsing_context
from airflow.sdk.definitions.asset import AssetUniqueKey
from airflow.sdk.execution_time.context import OutletEventAccessor

from microstage.data_folder import DataFolder
from microstage.facets import read_published
from microstage.inputs import version_of
from microstage.links import links_of, show
from microstage.placement import row_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from microstage.contract import Run
    from microstage.jobs import Job
    from microstage.table import Row

log = logging.getLogger(__name__)

# Airflow gives no meaning of its own to what begins with "x-", now or later.
SCHEME = "x-microstage"
PRODUCTION = "production"
MOVES = ("promote-model", "roll-back-model")  # work that changes what is in production
COPIES = "fetch-model"  # and work that reads it
PLACEHOLDER = re.compile(r"\{\w*\}")
MAX_TEXT = 250  # characters of a name in an event


def asset(pipeline: str, kind: str) -> Asset:
    """Return an asset of a pipeline, such as ("flights", "predictions"), to schedule a DAG on."""
    name = f"{pipeline}/{kind}"
    return Asset(name=name, uri=f"{SCHEME}://{quote(name)}", group="microstage")


def kind_of(path: str) -> str:
    """Return the kind of a directory, as a row has it: "processed/split" of processed/{ds}/split.

    {model} is what is in production; the copy of it that a day has is another kind.
    """
    parts = (PLACEHOLDER.sub("", part) for part in path.split("/"))
    kind = "/".join(filter(None, parts)) or PRODUCTION
    return f"{kind}/day" if kind == PRODUCTION and path.startswith(f"{kind}/") else kind


def declare(task: Any) -> None:
    """Have the task of a row say what the row reads and publishes, and what it will link to.

    Not while Airflow runs a task, and not of a row that cannot be read or has no name for an asset.
    """
    name, stage = task.pipeline, task.stage
    row = None if get_parsing_context().dag_id else row_of(name, stage)
    if row is None:
        return
    reads = {kind_of(source) for source in row.reads.values()}
    reads |= {PRODUCTION} if row.work == COPIES else set()
    task.operator_extra_links = links_of(row)
    with suppress(ValueError):  # longer than Airflow takes
        task.inlets = [*task.inlets, *(asset(name, kind) for kind in sorted(reads))]
        task.outlets = [*task.outlets, *(asset(name, kind) for kind in published_by(row))]


def published_by(row: Row) -> list[str]:
    """Return the kinds that a row publishes."""
    return [kind_of(row.to), *([PRODUCTION] if row.work in MOVES else [])]


def undeclared(task: Any) -> Any:
    """Return a task that is about to run, without the assets and the links of its row."""
    task.operator_extra_links = []
    for ports_of in ("inlets", "outlets"):
        setattr(task, ports_of, [one for one in getattr(task, ports_of) if not _is_ours(one)])
    return task


def _is_ours(one: object) -> bool:
    return isinstance(one, Asset) and one.uri.startswith(f"{SCHEME}://")


class _Another(AssetUniqueKey):
    """The key of one more event of the same asset: by Airflow's own, each asset has but one.

    Of many days that one task publishes each has an event of its own; and names all of them, as
    Airflow 3.3 hands but the first on at once: https://github.com/apache/airflow/issues/54659
    """

    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Announced:
    """What a task has published, for Airflow to make events of once the task has succeeded.

    Whatever goes wrong in here is told in the log, and is no failure of the task.
    """

    def __init__(self) -> None:
        self._events: list[tuple[Asset, dict[str, Any]]] = []
        self._done: list[tuple[str, Job]] = []

    def add(self, data: DataFolder, job: Job, run: Run, summary: dict[str, Any], day: str) -> None:
        """Take note of what is there now that a job is done; threads may do so side by side."""
        self._done.append((day, job))
        try:
            said = described(data, job, run, summary) | {"day": day}
            for kind in published_by(job.row):
                more = _moved(summary) if kind == PRODUCTION else {}
                event = {"pipeline": job.pipeline.name, "kind": kind, **said, **more}
                self._events.append((asset(job.pipeline.name, kind), event))
        except Exception:
            log.exception("%s is there, but no event of Airflow will say so.", job.target)

    def done(self) -> list[tuple[str, Job]]:
        """Return the jobs that are done, each with its day, in the days' order."""
        return sorted(self._done, key=lambda done: done[0])

    def tell(self, task: Any, context: Context) -> None:
        """Let the task have what it has published as its outlets, with an event of each, and links.

        These are to the last day of many.
        """
        accessors: Any = context.get("outlet_events")
        events, self._events = self._events, []
        if accessors is None or not self._done:
            return  # not run by Airflow, or all of it another's
        try:
            show(task, *self.done()[-1])
            days = sorted({extra["day"] for _, extra in events})
            for one, said in events:
                extra = said | {"days": days}
                if one in task.outlets:
                    key = _Another(name=one.name, uri=one.uri)
                    accessors._dict[key] = OutletEventAccessor(key=key, extra=extra)
                else:
                    task.outlets = [*task.outlets, one]
                    accessors[one].extra = extra
        except Exception:
            log.exception("What was published is there, but no event of Airflow will say so.")


def described(data: DataFolder, job: Job, run: Run, summary: dict[str, Any]) -> dict[str, Any]:
    """Return what an event says of a directory that is there. Raises OSError, ValueError."""
    directory = data.place(job.target)
    version, manifest = read_published(directory)
    # By this task of this run, whichever try: one may have been killed before it could say so.
    ours = {key: value for key, value in run.described().items() if key != "try"}
    made = manifest.get("run") or {}
    model = manifest.get("model") or version_of(directory)
    rows = summary.get("rows")
    return {
        "directory": job.shown(job.target),
        "manifest": version,
        "rows": rows if isinstance(rows, int) else None,
        "model": _text(model.get("name")),
        "version": _text(model.get("version")),
        "changed": all(made.get(key) == value for key, value in ours.items()),
    }


def _moved(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what an event says of production, by promotion.json or rollback.json."""
    return {
        "model": _text(summary.get("name")),
        "version": _text(summary.get(PRODUCTION)),
        "changed": summary.get("changed") is not False,
    }


def _text(value: object) -> str | None:
    """Return a text that any database takes, as any image may have written it; or None."""
    text = str(value)[:MAX_TEXT]
    return text if value is not None and text.isprintable() else None
