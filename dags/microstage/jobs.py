"""A job: one run of one row of a pipeline, with every placeholder filled. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from microstage.errors import USAGE, StageError
from microstage.pipelines import Pipeline, shown
from microstage.table import Param, Row, check_params

DAY = r"\d{4}-\d\d-\d\d"
MAX_DAYS = 366  # of one run


@dataclass(frozen=True)
class Job:
    """One run of one row with every placeholder filled."""

    pipeline: Pipeline
    row: Row
    params: dict[str, Param]
    sources: dict[str, str]  # mount below /in -> path below the pipeline's data
    target: str

    def is_optional(self, mount: str) -> bool:
        """Tell whether what is mounted there may be absent."""
        return mount.split("/", maxsplit=1)[0] in self.row.optional

    def shown(self, path: str) -> str:
        """Return a path of the pipeline's data as a person knows it."""
        return shown(self.pipeline.name, path)

    @property
    def command(self) -> list[str]:
        """The verb and its parameters, as the image gets them."""
        command = [self.row.verb]
        for key, value in self.params.items():
            flag = "--" + key.replace("_", "-")
            if value is True:
                command.append(flag)
            elif value is not False:
                command += [flag, str(value)]
        return command


def window_days(ds: str, window: int | str = 1) -> list[str]:
    """Return the `window` days that end at ds, oldest first, as YYYY-MM-DD."""
    try:
        last = date.fromisoformat(ds)
        if last.isoformat() != ds:
            raise ValueError
    except (TypeError, ValueError):
        raise StageError(USAGE, f"{ds!r} is not a day; write it as 2013-01-06.") from None
    if not re.fullmatch("[1-9][0-9]{0,3}", str(window)):
        raise StageError(
            USAGE, f"The window is {window!r}; it must be a number of days, 1 or more."
        )
    back = int(window)
    if last.toordinal() < back:
        raise StageError(USAGE, f"The {back} days that end at {ds} would begin before the year 1.")
    return [(last - timedelta(days=n)).isoformat() for n in reversed(range(back))]


def days_between(first: str, last: str) -> list[str]:
    """Return the days from first to last, as YYYY-MM-DD. Raises StageError (64)."""
    start, end = (date.fromisoformat(window_days(day)[0]) for day in (first, last))
    count = (end - start).days + 1
    if count < 1:
        raise StageError(USAGE, f"The first day, {first}, is after the last, {last}.")
    if count > MAX_DAYS:
        raise StageError(
            USAGE,
            f"{first} to {last} are {count} days; one run does {MAX_DAYS} at most, so start "
            "several, one after the other.",
        )
    return window_days(last, count)


def spoken(days: Sequence[str]) -> str:
    """Return days in order, as a person would write them: those in a row by their ends."""
    rows: list[list[str]] = []
    for day in sorted(days):
        if rows and window_days(day, 2)[0] == rows[-1][-1]:
            rows[-1].append(day)
        else:
            rows.append([day])
    return ", ".join(row[0] if len(row) == 1 else f"{row[0]} to {row[-1]}" for row in rows)


def resolve(
    pipeline: Pipeline,
    stage: str,
    ds: str,
    *,
    window: int | str = 1,
    model: str | None = None,
    params: Mapping[str, Param] | None = None,
) -> Job:
    """Fill the placeholders of a row for the day `ds`. Raises StageError (64)."""
    row, days = pipeline.row(stage), window_days(ds, window)
    check_params(f"The run of {stage}", params or {})
    known = {"ds": ds, "pipeline": pipeline.name, "registered_model": pipeline.model}
    if model:
        known["model"] = model
    sources: dict[str, str] = {}
    for name, source in row.reads.items():
        if "{day}" in source:
            for day in days:
                sources[f"{name}/{day}"] = _fill(row, source, {**known, "day": day})
        else:
            sources[name] = _fill(row, source, known)
    filled = {
        key: _fill(row, value, known) if isinstance(value, str) else value
        for key, value in {**row.params, **(params or {})}.items()
    }
    return Job(pipeline, row, filled, sources, _fill(row, row.to, known))


def target_of(pipeline: Pipeline, stage: str, ds: str) -> str:
    """Return the directory that a row publishes for a day. Raises StageError (64)."""
    row = pipeline.row(stage)
    return _fill(row, row.to, {"ds": window_days(ds)[0]})


def writer_of(pipeline: Pipeline, directory: str) -> tuple[Row, str] | None:
    """Return the row that writes a directory, and its day ("" if it has none); None: no row."""
    for row in pipeline.rows.values():
        pattern = re.escape(row.to).replace(re.escape("{ds}"), f"({DAY})")
        if found := re.fullmatch(pattern, directory):
            return row, found[1] if found.groups() else ""
    return None


def _fill(row: Row, text: str, known: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] in known:
            return known[found[1]]
        if found[1] == "model":
            raise StageError(
                USAGE, f"The stage {row.stage} needs a model; name one, such as models/2013-01-06."
            )
        raise StageError(USAGE, f"{row.where}: {found[0]} is not known in {text!r}.")

    return re.sub(r"\{(\w*)\}", value, text)
