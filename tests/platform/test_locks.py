"""Every list of packages can be locked anew, beside what the others have locked."""

import subprocess
from pathlib import Path

import pytest
from stack import ROOT, clone_to

pytestmark = pytest.mark.images
FOLDERS = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("[cdst]*/**/requirements.in"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("locks")
    clone_to(root, history=False)
    (root / ".venv").symlink_to(ROOT / ".venv")
    return root


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_folder_can_be_locked(clone: Path, folder: Path) -> None:
    name = folder.name if folder.parts[0] == "containers" else str(folder)
    lock = clone / folder / "requirements.txt"
    before = lock.read_text()
    done = subprocess.run(
        ["scripts/lock", name], cwd=clone, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert versions(before) == versions(lock.read_text()), "what is locked is kept"


def versions(lock: str) -> list[str]:
    return [line.split()[0] for line in lock.splitlines() if "==" in line]


def test_no_folder_is_forgotten() -> None:
    assert len(FOLDERS) > 10
    assert {"containers", "docs", "scripts", "tests"} == {folder.parts[0] for folder in FOLDERS}
