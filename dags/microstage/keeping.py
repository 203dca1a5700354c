"""How long things are kept, and which runs still need what is old. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from microstage.errors import BAD_DATA, USAGE, StageError
from microstage.jobs import window_days
from microstage.pipelines import Pipeline

SETTING = "KEEP_DAYS"
BESIDES = {"logs", "runs", "mlflow"}  # what has a number of days, and is no folder of the data


def days_of(setting: str, pipelines: Iterable[Pipeline]) -> dict[str, int]:
    """Return the days of KEEP_DAYS by folder; what it does not name is kept for ever.

    Raises StageError (64).
    """
    found: dict[str, int] = {}
    if setting.strip().lower() in ("", "none"):
        return found
    for part in setting.split(","):
        said = re.fullmatch(r"\s*([\w.-]+)\s*=\s*([1-9]\d{0,4})\s*", part)
        if not said or said[1] in found:
            raise StageError(
                USAGE,
                f"{SETTING} in .env has {part.strip()!r}; write a folder and a number of days, "
                "such as raw=730, each folder once, with commas between them.",
            )
        found[said[1]] = int(said[2])
    rows = [row for pipeline in pipelines for row in pipeline.rows.values()]
    known = BESIDES | {row.to.partition("/")[0] for row in rows}
    # Of a pipeline whose file is broken nobody knows the folders.
    if rows and (unknown := sorted(set(found) - known)):
        raise StageError(
            USAGE,
            f"{SETTING} in .env names {', '.join(unknown)}, which no stage writes; there are "
            f"{', '.join(sorted(known))}.",
        )
    return found


@dataclass(frozen=True)
class Going:
    """A run that has not ended, and the days that it may need."""

    name: str
    first: str
    last: str


def going(pipeline: Pipeline, name: str, moment: datetime, conf: Mapping[str, Any] | None) -> Going:
    """Return a run that has not ended. Raises StageError (65) if its days cannot be known.

    `moment`: its logical date, or that of its start; `conf`: the parameters that were said.
    """
    said = conf or {}
    # The day of a run may be read in a time zone that is not ours.
    slack = timedelta(days=1)
    try:
        last = date.fromisoformat(str(said.get("day") or said.get("last") or moment.date()))
        back = max(pipeline.window, pipeline.history, int(said.get("window") or 1))
        first = date.fromisoformat(str(said.get("first") or last))
        return Going(name, window_days(str(first - slack), back)[0], str(last + slack))
    except (ValueError, TypeError, OverflowError, StageError):
        raise StageError(
            BAD_DATA,
            f"{name} has not ended, and nobody knows from its parameters which days it needs, so "
            "nothing was removed: wait for its end, or end it.",
        ) from None
