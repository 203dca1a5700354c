"""What a picture is made from: a page that shows what it should, at rest, in few bytes."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

WIDTH, HEIGHT, SCALE = 1440, 900, 2
MAX_BYTES = 300_000
# What a person would have clicked once: a graph from top to bottom beside the run's details, and no
# assistants.
GRAPH = """
localStorage.setItem("default_dag_view", '"graph"');
localStorage.setItem("direction-DAG", '"DOWN"');
localStorage.setItem("react-resizable-panels:graph-ltr", JSON.stringify(
  {"details-panel,main-panel": {"expandToSizes": {}, "layout": [32, 68]}}));
"""
MLFLOW = """
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""


class AbsentError(Exception):
    """What a picture would show is not there (yet): one sentence, with what makes it."""


class PageError(Exception):
    """A page does not show what it should: one sentence."""


def see(name: str, page: Page, what: Locator) -> None:
    """Wait until something is to be seen. Raises PageError."""
    from playwright.sync_api import TimeoutError as NotInTime  # noqa: PLC0415 - once it is there

    try:
        what.first.wait_for()
    except NotInTime:
        raise PageError(f"The page {name} ({page.url}) does not show {what}.") from None


def read(url: str, what: str, login: dict[str, str] | None = None) -> Any:
    """Return the JSON that a service of the stack answers. Raises AbsentError."""
    headers = {}
    if login:
        user = f"{login['username']}:{login['password']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(user).decode()}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http://localhost
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise AbsentError(f"{what} is not to be had at {url} ({error}); run scripts/demo") from None


def small(png: bytes) -> bytes:
    """Return a picture with 256 colours, at half its resolution when it is still too large."""
    from PIL import Image  # noqa: PLC0415 - once it is there

    with Image.open(io.BytesIO(png)) as image:
        picture = image.convert("RGB")
    for factor in range(1, SCALE + 1):
        out = io.BytesIO()
        size = picture.width // factor, picture.height // factor
        flat = picture.resize(size, Image.Resampling.LANCZOS)
        flat.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() < MAX_BYTES:
            break
    return out.getvalue()


def at_rest(name: str, page: Page) -> bytes:
    """Return a page's picture, once two in a row are the same. Raises PageError."""
    before = b""
    for _ in range(40):
        page.wait_for_timeout(300)
        now: bytes = page.screenshot(animations="disabled")
        if now == before:
            return now
        before = now
    raise PageError(f"The page {name} ({page.url}) does not come to rest.")


def green_tasks(states: dict[str, str]) -> int:
    """Return how many tasks of task -> state succeeded."""
    return list(states.values()).count("success")
