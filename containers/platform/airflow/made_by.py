"""The page of a published directory: what its stage said of it, what made it, and from what.

What it was made from is linked, so that a report or a verdict leads back to the data. Only what
summary.json and manifest.json say is shown; scripts/lineage tells whether a file has changed since.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

PIPELINE = re.compile(r"[a-z][a-z0-9_]*")
DEFAULT = "default"  # the pipeline whose directories are in the data folder itself


def address(pipeline: str, directory: str) -> str:
    """Return where the page of a directory is: dags/microstage/links.py says so to Airflow."""
    return f"/made-by/{pipeline}/{quote(directory)}"


def find(data: Path, pipeline: str, directory: str) -> Path | None:
    """Return a published directory of a pipeline; None for whatever is none, or leads out."""
    parts = directory.split("/")
    if not PIPELINE.fullmatch(pipeline) or any(part.startswith(".") or not part for part in parts):
        return None
    root = data if pipeline == DEFAULT else data / pipeline
    try:
        found = (root / directory).resolve()
        inside = found.is_relative_to(root.resolve()) and (found / "manifest.json").is_file()
    except (OSError, ValueError):  # no name for a file
        return None
    return found if inside else None


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object; nothing where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def table(facts: Mapping[str, object]) -> str:
    """Return names and values as a table, without those that say nothing."""
    known = {name: value for name, value in facts.items() if value not in (None, "", {}, [])}
    rows = (f"<tr><th>{escape(name)}<td>{escape(spoken(known[name]))}" for name in known)
    return f"<table>{''.join(rows)}</table>"


def spoken(value: object) -> str:
    """Return a value as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {spoken(inner)}" for name, inner in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sources(data: Path, pipeline: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each directory that was read, with a link to its page if it has one."""
    read_from = manifest.get("sources")
    for name, source in read_from.items() if isinstance(read_from, dict) else ():
        text = escape(str(source))
        if isinstance(source, str) and find(data, pipeline, source):
            text = f'<a href="{escape(address(pipeline, source))}">{text}</a>'
        yield f"<tr><th>{escape(name)}<td>{text}"


def content(data: Path, pipeline: str, found: Path) -> str:
    """Return what the page of a directory holds, as HTML."""
    manifest = read(found / "manifest.json")
    run = manifest.get("run")
    facts = {
        "stage": manifest.get("stage"),
        "image": manifest.get("image"),
        "image's id": manifest.get("image_id"),
        "verb": manifest.get("verb"),
        "parameters": manifest.get("parameters"),
        "model": manifest.get("model"),
        "started": manifest.get("started"),
        "seconds": manifest.get("seconds"),
        "run": {key: run[key] for key in ("dag", "run", "task") if run.get(key)}
        if isinstance(run, dict)
        else None,
    }
    report = ""
    if (found / "report.html").is_file() and found.parent.name == "reports":
        folder = "" if pipeline == DEFAULT else f"/{pipeline}"
        report = f'<p><a href="{folder}/{escape(found.name)}/report.html">The report</a>'
    lines = "".join(sources(data, pipeline, manifest))
    return (
        f"{report}<h2>What the stage said</h2>{table(read(found / 'summary.json'))}"
        f"<h2>What made it</h2>{table(facts)}"
        f"<h2>From</h2>{f'<table>{lines}</table>' if lines else '<p>Nothing.'}"
    )
