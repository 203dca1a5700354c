"""Remove the logs of tasks that are older than some days: python3 -m microstage.old_logs DAYS.

With --dry-run it says alone what would go. Run where the logs are: in the scheduler's container.
Standard library only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LOGS = Path("/logs")  # AIRFLOW__LOGGING__BASE_LOG_FOLDER of docker-compose.yml


def old(folder: Path, days: int) -> Iterator[Path]:
    """Yield the files below a folder that nothing was written to for so many days."""
    before = time.time() - days * 86400
    for path, _, files in os.walk(folder):
        for file in files:
            found = Path(path, file)
            if found.lstat().st_mtime < before:
                yield found


def clear(folder: Path, days: int, *, dry_run: bool) -> str:
    """Remove them, and the folders that are empty then; return what went, for a person."""
    files = list(old(folder, days))
    size = sum(file.lstat().st_size for file in files) / 1e6
    for file in [] if dry_run else files:
        file.unlink()
        for above in file.parents:
            if above == folder or any(above.iterdir()):
                break
            above.rmdir()
    return f"logs: {len(files)} old, {size:.1f} MB"


if __name__ == "__main__":
    print(clear(LOGS, int(sys.argv[1]), dry_run="--dry-run" in sys.argv))
