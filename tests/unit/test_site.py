"""The site of the docs: the pages as they are, and nothing in it that leads nowhere."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.environment import environment
from support.site import SETTINGS, pages

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("docs", ROOT / "docs/requirements.txt")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository of two pages."""
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    shutil.copy(ROOT / SETTINGS, root / SETTINGS)
    (root / "README.md").write_text("# One\n\n[more](docs/more.md#much-more), [raw](.raw#L2)\n")
    (root / "docs/more.md").write_text("# More\n\n## Much more\n\n[back](../README.md#one)\n")
    (root / ".raw").write_text("raw\n")
    return root


def build(python: Path, root: Path, source: str | None = None) -> str:
    """Build the site beside the repository; return what leads nowhere."""
    program = f"""
from pathlib import Path
from support.site import build
print(build(Path({str(root.parent / "site")!r}), {source!r}, Path({str(root)!r})))
"""
    done = subprocess.run(
        [python, "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def test_each_page_is_in_it() -> None:
    own = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]

    assert {str(page.relative_to(ROOT)) for page in own} == set(pages())


def test_the_readme_is_its_front_and_a_file_that_is_no_page_is_in_it_too(
    python: Path, root: Path
) -> None:
    assert "" == build(python, root)
    front = (root.parent / "site/index.html").read_text()

    assert 'href="docs/more.html#much-more"' in front
    assert 'href=".raw#L2"' in front
    assert "raw\n" == (root.parent / "site/.raw").read_text()
    assert 'href="../index.html#one"' in (root.parent / "site/docs/more.html").read_text()


def test_where_the_forge_shows_files_links_lead_there(python: Path, root: Path) -> None:
    assert "" == build(python, root, "https://forge.example.org/team/blob/main/")
    front = (root.parent / "site/index.html").read_text()

    assert 'href="https://forge.example.org/team/blob/main/.raw#L2"' in front
    assert not (root.parent / "site/.raw").exists()


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("docs/more.md#nothing", "anchor does not exist"),
        ("#nothing", "anchor does not exist"),
        ("docs/nothing", "These links lead nowhere: docs/nothing in README.md"),
        ("docs/nothing.md", "These links lead nowhere: docs/nothing.md in README.md"),
    ],
)
def test_what_leads_nowhere_is_told_and_the_site_of_before_stays(
    python: Path, root: Path, link: str, told: str
) -> None:
    build(python, root)
    with (root / "README.md").open("a") as page:
        page.write(f"\n[nowhere]({link})\n")

    assert told in build(python, root)
    assert "nowhere" not in (root.parent / "site/index.html").read_text()


def test_what_is_in_a_block_of_code_is_no_link(python: Path, root: Path) -> None:
    with (root / "README.md").open("a") as page:
        page.write("\n```\n[nowhere](docs/nothing)\n```\n")

    assert "" == build(python, root)
