"""The docs as a site, made of the pages of the repository as they are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from support import REPOSITORY

FRONT = "README.md"
SETTINGS = "docs/zensical.toml"
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"(?ms)(^```.*?^```$)")


def build(to: Path, source: str | None, root: Path = REPOSITORY) -> str:
    """Build the site in place of a folder; return what leads nowhere, "" if all is well.

    `source`: the address below which files that are no pages are shown. Without it they are
    copied into the site.
    """
    own = pages(root)
    with tempfile.TemporaryDirectory() as folder:
        work, files = Path(folder), dict[str, Path]()
        for page in own:
            _lay(root, page, own, work / "pages", files, source)
        if missing := [link for link, file in files.items() if not file.exists()]:
            return f"These links lead nowhere: {', '.join(sorted(missing))}"
        settings = (root / SETTINGS).read_text(encoding="utf-8")
        # JSON's list of texts is TOML's, too. It belongs to the first table.
        first, rest = settings.split("[project]\n", 1)
        (work / "zensical.toml").write_text(
            f"{first}[project]\nnav = {json.dumps(own)}\n{rest}", encoding="utf-8"
        )
        done = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
            cwd=work,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            told = (done.stdout + done.stderr).partition("Traceback")[0]
            return f"The site is not built:\n{told.strip()}"
        for file in files.values() if source is None else ():
            _copy(file, work / "site" / file.relative_to(root))
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(work / "site", to)
    return ""


def pages(root: Path = REPOSITORY) -> list[str]:
    """Return the pages: the front one, and those that it links to, in that order."""
    text = (root / FRONT).read_text(encoding="utf-8")
    linked = [match[1] for match in LINK.finditer(text)]
    own = [link for link in linked if link.endswith(".md") and (root / link).is_file()]
    return list(dict.fromkeys([FRONT, *own]))


def _lay(
    root: Path,
    page: str,
    own: list[str],
    folder: Path,
    files: dict[str, Path],
    source: str | None,
) -> None:
    """Copy a page, and the pictures on it, into a folder; add what else it links to to `files`."""
    new = folder / page
    new.parent.mkdir(parents=True, exist_ok=True)

    def follow(match: re.Match[str]) -> str:
        link = match[1]
        if re.match(r"\w+:", link):
            return match[0]
        file = Path(os.path.normpath(root / Path(page).parent / link))
        name = str(file.relative_to(root))
        if name in own:
            return match[0]
        files[f"{link} in {page}"] = file
        if file.suffix in {".png", ".svg"} and file.is_file():
            _copy(file, folder / name)
        elif source:
            return f"{source.rstrip('/')}/{name}{match[2] or ''}"
        return match[0]

    text = (root / page).read_text(encoding="utf-8")
    new.write_text(outside_of_code(text, lambda prose: LINK.sub(follow, prose)), encoding="utf-8")


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Return a page with what is outside of its blocks of code changed."""
    parts = FENCE.split(text)
    return "".join(part if FENCE.fullmatch(part) else change(part) for part in parts)


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if file.is_dir():
        shutil.copytree(file, to, dirs_exist_ok=True)
    else:
        shutil.copy(file, to)
