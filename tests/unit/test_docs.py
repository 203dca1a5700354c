"""What the docs name is there: links, commands and their options."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], key=lambda page: str(page.relative_to(ROOT))
)
README_LINES = 130  # what a newcomer reads in five minutes
COMMAND = re.compile(r"(?:\./)?(scripts/\w+|build_images\.sh)((?: [^|;&`#\n]+)?)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", text_of(page))


@cache
def anchors(page: Path) -> set[str]:
    """Return what can be linked to in a page, as forges name it."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(page))
    plain = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    broken = []
    for link in links:
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)

    assert [] == broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_say_nothing_of_this_machine(page: Path) -> None:
    assert [] == re.findall(r"(?i)/home/\w+|/root\b|/work\b", text_of(page))


def test_the_readme_is_for_five_minutes() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= README_LINES


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Return the project's own commands that a page names, and the options with each."""
    fences = re.findall(r"(?ms)^```(?:sh)?\n(.*?)^```$", text_of(page))
    code = [*re.findall(r"`([^`\n]+)`", prose(page)), *"\n".join(fences).splitlines()]
    return [
        (name, re.findall(r"(?<!\S)--[a-z][a-z-]*", arguments))
        for line in code
        for name, arguments in COMMAND.findall(line)
    ]


@cache
def usage(command: str) -> str:
    done = subprocess.run(
        [ROOT / command, "--help"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert 0 == done.returncode, f"{command} --help: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_there_and_know_their_options(page: Path) -> None:
    wrong = []
    for command, options in commands(page):
        if not (ROOT / command).exists():
            wrong.append(command)
        elif os.access(ROOT / command, os.X_OK):
            told = [option for option in options if option != "--help"]
            wrong += [f"{command} {o}" for o in told if not re.search(rf"{o}\b", usage(command))]

    assert [] == wrong


def test_the_docs_are_found_from_the_readme() -> None:
    links = set(re.findall(r"\]\(([^)#]+\.md)\)", text_of(ROOT / "README.md")))

    assert {name_of(page) for page in PAGES} - {"README.md"} == links
