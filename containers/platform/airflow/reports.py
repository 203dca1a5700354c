"""The reports in the data folder as web pages: a list of them, newest first, and each of them.

The default pipeline's are at /, another one's at /<pipeline>/; what made a published directory, a
report or any other, is at /made-by/<pipeline>/<directory>. Started as `uvicorn reports:app`.
Nothing else of the data folder is served, and only to those who call this machine by its own name:
a page elsewhere that gives its name this address gets nothing. Airflow's UI, at the address of
MICROSTAGE_AIRFLOW_URL, may show the pages in a frame, and no other page may.
"""

import json
import os
import re
from html import escape
from pathlib import Path

import made_by
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DATA = Path(os.environ.get("MICROSTAGE_DATA", "/data"))
DAY = re.compile(r"\d{4}-\d\d-\d\d")
PIPELINE = re.compile(r"[a-z][a-z0-9_]*")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ padding: .4rem 1rem .4rem 0; text-align: left; border-bottom: 1px solid #8884 }}
</style><h1>{title}</h1>{content}</html>
"""
HEAD = "<tr><th>Day<th>Verdict<th>AUC<th>Model version"
NONE = "<p>None yet: the DAG monitor writes one for each day that has predictions."


def folder_of(pipeline: str) -> Path:
    """Return where a pipeline's reports are; "" is the default one."""
    return DATA / pipeline / "reports"


def pipelines() -> list[str]:
    """Return the pipelines that have reports, the default one apart."""
    found = {path.parent.parent.parent.name for path in DATA.glob("*/reports/*/report.html")}
    return sorted(filter(PIPELINE.fullmatch, found))


def summary(folder: Path) -> dict[str, object]:
    """Return what the stage said of its report; nothing when it cannot be read."""
    try:
        content: dict[str, object] = json.loads((folder / "summary.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content


def line(pipeline: str, day: str) -> str:
    """Return one row of the list."""
    said = summary(folder_of(pipeline) / day)
    auc = said.get("roc_auc")
    address = f"/{pipeline}/{day}" if pipeline else f"/{day}"
    cells = [
        f'<a href="{address}/report.html">{day}</a>',
        "all well" if said.get("ok") else escape(str(said.get("problems") or "")),
        f"{auc:.3f}" if isinstance(auc, float) else "no labels",
        escape(str(said.get("model_version") or "")),
    ]
    return f"<tr><td>{'<td>'.join(cells)}"


def table(pipeline: str) -> str:
    """Return the list of a pipeline's reports, newest first; "" if there is none."""
    days = [path.parent.name for path in folder_of(pipeline).glob("*/report.html")]
    lines = [line(pipeline, day) for day in sorted(filter(DAY.fullmatch, days), reverse=True)]
    return f"<table>{HEAD}{''.join(lines)}</table>" if lines else ""


def page(title: str, content: str, status: int = 200) -> HTMLResponse:
    """Return a page."""
    return HTMLResponse(PAGE.format(title=escape(title), content=content), status)


async def index(_: Request) -> HTMLResponse:
    """List the default pipeline's reports, and the other pipelines."""
    others = pipelines()
    links = "".join(f'<li><a href="/{name}/">{name}</a>' for name in others)
    more = f"<h2>Other pipelines</h2><ul>{links}</ul>" if others else ""
    return page("Reports", (table("") or ("" if others else NONE)) + more)


async def reports(request: Request) -> Response:
    """List a pipeline's reports."""
    pipeline = request.path_params["pipeline"]
    listed = table(pipeline) if PIPELINE.fullmatch(pipeline) else ""
    if not listed:
        return page("Reports", '<p>There are no such reports. <a href="/">All reports</a>', 404)
    return page(f"Reports of {pipeline}", f'{listed}<p><a href="/">All reports</a>')


async def report(request: Request) -> Response:
    """Show one report."""
    pipeline, day = request.path_params.get("pipeline", ""), request.path_params["day"]
    known = DAY.fullmatch(day) and (not pipeline or PIPELINE.fullmatch(pipeline))
    file = folder_of(pipeline) / day / "report.html"
    if not known or not file.is_file():
        return page("Reports", '<p>There is no such report. <a href="/">All reports</a>', 404)
    return FileResponse(file)


async def made(request: Request) -> Response:
    """Show what made a published directory."""
    pipeline, directory = request.path_params["pipeline"], request.path_params["directory"]
    if not (found := made_by.find(DATA, pipeline, directory)):
        return page("Lineage", '<p>There is no such directory. <a href="/">All reports</a>', 404)
    return page(f"{pipeline}: {directory}", made_by.content(DATA, pipeline, found))


def framing(airflow: str) -> bytes:
    """Return the policy by which Airflow's UI, by either name of this machine, has frames of us."""
    other = airflow.replace("://localhost", "://127.0.0.1")
    origins = " ".join(dict.fromkeys(filter(None, (airflow, other)))) or "'none'"
    return f"frame-ancestors {origins}".encode()


class Framed:
    """Says with each answer whose frames may show it.

    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy/frame-ancestors
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.policy = framing(os.environ.get("MICROSTAGE_AIRFLOW_URL", ""))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", self.policy)
                message = {**message, "headers": [*message["headers"], policy]}
            await send(message)

        await self.app(scope, receive, answer)


app = Starlette(
    routes=[
        Route("/", index),
        Route("/made-by/{pipeline}/{directory:path}", made),
        Route("/{day}/report.html", report),
        Route("/{pipeline}/", reports),
        Route("/{pipeline}/{day}/report.html", report),
    ],
    middleware=[
        Middleware(Framed),
        Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"]),
    ],
)
