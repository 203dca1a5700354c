"""Run in a share of NFS that takes root for nobody: what a task makes, an engine has to mount."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from microstage.contract import Run
from microstage.data_folder import STAGING, DataFolder
from microstage.publishing import let_pass, prepare, publish

OWNER = int(sys.argv[1])


@contextmanager
def task() -> Iterator[None]:
    """Be who runs tasks, and then root again."""
    os.setresgid(OWNER, OWNER, 0)
    os.setresuid(OWNER, OWNER, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


def can_mount(directory: Path) -> bool:
    """Tell whether root can, as an engine does."""
    if subprocess.run(["mount", "--bind", directory, "/run"], check=False).returncode:
        return False
    subprocess.run(["umount", "/run"], check=True)
    return True


data = DataFolder.at(Path.cwd())
with task():
    staging = prepare(data, data.place("raw/day"), Run("dag", "run", "task").key)
    (staging / "data.csv").write_text("rows")
    shared = Path(tempfile.mkdtemp(dir=data.root / STAGING))
    let_pass(shared)
    (shared / "in").mkdir()
print(can_mount(staging), can_mount(shared / "in"), end=" ")
with suppress(PermissionError):
    print("looks in", sorted(path.name for path in (data.root / STAGING).iterdir()))
with task():
    publish(data, staging, data.place("raw/day"))
print((data.root / "raw/day/data.csv").read_text())
