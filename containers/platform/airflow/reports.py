"""The reports in the data folder as web pages: a list of them, newest first, and each of them.

Started as `uvicorn reports:app`. Nothing else of the data folder is served, and only to those who
call this machine by its own name: a page elsewhere that gives its name this address gets nothing.
"""

import json
import os
import re
from html import escape
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

REPORTS = Path(os.environ.get("MICROSTAGE_DATA", "/data")) / "reports"
DAY = re.compile(r"\d{4}-\d\d-\d\d")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Reports</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ padding: .4rem 1rem .4rem 0; text-align: left; border-bottom: 1px solid #8884 }}
</style><h1>Reports</h1>{content}</html>
"""


def summary(day: str) -> dict[str, object]:
    """Return what the stage said of its report; nothing when it cannot be read."""
    try:
        content: dict[str, object] = json.loads((REPORTS / day / "summary.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content


def line(day: str) -> str:
    """Return one row of the list."""
    said = summary(day)
    auc = said.get("roc_auc")
    cells = [
        f'<a href="/{day}/report.html">{day}</a>',
        "all well" if said.get("ok") else escape(str(said.get("problems") or "")),
        f"{auc:.3f}" if isinstance(auc, float) else "no labels",
        escape(str(said.get("model_version") or "")),
    ]
    return f"<tr><td>{'<td>'.join(cells)}"


async def index(_: Request) -> HTMLResponse:
    """List the reports."""
    days = [path.parent.name for path in REPORTS.glob("*/report.html")]
    lines = [line(day) for day in sorted(filter(DAY.fullmatch, days), reverse=True)]
    head = "<tr><th>Day<th>Verdict<th>AUC<th>Model version"
    none = "<p>None yet: the DAG monitor writes one for each day that has predictions."
    return HTMLResponse(
        PAGE.format(content=f"<table>{head}{''.join(lines)}</table>" if lines else none)
    )


async def report(request: Request) -> Response:
    """Show one report."""
    file = REPORTS / request.path_params["day"] / "report.html"
    if not DAY.fullmatch(request.path_params["day"]) or not file.is_file():
        gone = '<p>There is no such report. <a href="/">All reports</a>'
        return HTMLResponse(PAGE.format(content=gone), 404)
    return FileResponse(file)


app = Starlette(
    routes=[Route("/", index), Route("/{day}/report.html", report)],
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])],
)
