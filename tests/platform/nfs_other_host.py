"""Run in a share of NFS: what another host has published is read, by one that has looked before.

The other host is the server itself, in the folder that it exports.
"""

import os
import sys
from pathlib import Path

from nfs_inside import JOB, publish_version

from microstage.data_folder import MANIFEST, DataFolder
from microstage.inputs import present, read_inputs

EXPORTED = Path("/mnt/export/data")


def read(data: DataFolder) -> str:
    """Return what the day has, as a task reads it."""
    files = read_inputs(data, present(data, JOB))
    return next(path.read_text() for path in files.values())


def main() -> None:
    """Say what is read before and after the other host has published."""
    os.environ["MICROSTAGE_PATIENCE"] = sys.argv[1]
    data = DataFolder.at(Path.cwd())
    publish_version(data, 0)
    before = read(data)
    version = EXPORTED / "raw/.versions/day.0123abcd"
    version.mkdir()
    (version / "0.csv").write_text("1")
    (version / MANIFEST).write_text("{}")
    (EXPORTED / "raw/new").symlink_to(".versions/day.0123abcd")
    (EXPORTED / "raw/new").rename(EXPORTED / "raw/day")
    print(f"before {before} after {read(data)}")


main()
