"""In MLflow's container, run by its Python: its files, out of there and back, as a tar.

They belong to MLflow's user, in a volume. Standard library alone, and nothing else of this folder.
"""

import shutil
import sys
import tarfile
from contextlib import suppress
from pathlib import Path

ROOT = Path("/artifacts")
RESTORING = ROOT / ".restoring"


def out() -> None:
    """Write all files to stdout."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for path in [ROOT, *sorted(ROOT.rglob("*"))]:
            if not path.is_relative_to(RESTORING):
                with suppress(FileNotFoundError):  # a part of what is being uploaded
                    archive.add(path, path.relative_to(ROOT), recursive=False)


def back() -> None:
    """Put those of stdin in the place of all that is there, once they are here as a whole."""
    shutil.rmtree(RESTORING, ignore_errors=True)
    RESTORING.mkdir()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        archive.extractall(RESTORING, filter="tar")
    for path in ROOT.iterdir():
        if path.is_dir() and path != RESTORING:
            shutil.rmtree(path)
        elif path != RESTORING:
            path.unlink()
    for path in RESTORING.iterdir():
        path.rename(ROOT / path.name)
    RESTORING.rmdir()


if __name__ == "__main__":
    {"out": out, "back": back}[sys.argv[1]]()
