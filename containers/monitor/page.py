"""Write the report: one HTML file that needs nothing else."""

from datetime import date
from pathlib import Path
from typing import Any

import classes_page
import numbers_page
from gaps import shares
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from limits import Limits
from plots import bars, moved
from svg import brief
from used import in_words
from verdict import Evidence, called

TABLE = 40  # features in the table; quality.json has all
HERE = Path(__file__).parent


def render(quality: dict[str, Any], evidence: Evidence, limits: Limits) -> str:
    """Return report.html; quality: quality.json, which was made of the same evidence."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=printable, loader=FileSystemLoader(HERE),
    )  # fmt: skip
    environment.filters.update(
        number=lambda value, digits=3: "–" if value is None else f"{value:.{digits}f}",
        figures=lambda value, digits=4: "–" if value is None else f"{value:.{digits}g}",
        percent=lambda value: "–" if value is None else f"{value:.1%}",
        thousands=lambda value: f"{value:,}",
        long_day=long_day,
    )
    features = sorted(evidence.features or [], key=lambda f: (not f.judged, -f.psi, f.name))
    own: Any = numbers_page if evidence.given.numbers else classes_page
    text = environment.get_template("report.html.j2").render(
        q=quality,
        model=evidence.given.spec,
        limits=limits,
        called=called(quality["model"]),
        training=in_words(evidence.given.used),
        features=features[:TABLE],
        judged=sum(f.judged for f in features),
        gaps=shares,
        rests_on=evidence.given.rests_on,
        hidden=len(features[TABLE:]),
        source=evidence.source,
        bars=bars,
        moved=moved(features[:4]) if features else "",
        own=own.TEMPLATE,
        **own.context(quality, evidence, limits),
    )
    return f"{text}\n"


def printable(value: object) -> object:
    """Return a text of the user without what no page can show, such as control characters."""
    return brief(value, 5000) if type(value) is str else value


def long_day(text: str) -> str:
    """Return 2013-01-06 as Sunday, 6 January 2013."""
    day = date.fromisoformat(text)
    return f"{day:%A}, {day.day} {day:%B %Y}"
