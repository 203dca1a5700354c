"""The sources of a program, for who runs its functions elsewhere: in a notebook, in a server."""

import re
import zipfile
from pathlib import Path

FILE = "code.zip"
# Of two builds the same bytes: the earliest day that a ZIP file can tell.
EPOCH = (1980, 1, 1, 0, 0, 0)
REQUIREMENTS = "requirements.txt"


def write_sources(path: Path, program: Path) -> None:
    """Write a ZIP file that Python can import from: modules of a folder, the frame, what they need.

    program: the folder of a program with `pyfunc.py`, and maybe the requirements that it is locked
    to. Those are written without hashes, which pip would ask for of everything else, too.
    """
    frame = Path(__file__).parent
    modules = {f"{frame.name}/{module.name}": module for module in frame.glob("*.py")}
    modules |= {module.name: module for module in program.glob("*.py")}
    files = {name: module.read_text("utf-8") for name, module in modules.items()}
    if (locked := program / REQUIREMENTS).is_file():
        files[REQUIREMENTS] = without_hashes(locked.read_text("utf-8"))
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)


def without_hashes(locked: str) -> str:
    """Return the requirements of a lock file, each on a line: `numpy==2.5.5 ; python_version …`."""
    lines = re.findall(r"^[\w.-]+==[^\\\n]*", locked, re.MULTILINE)
    return "".join(f"{line.rstrip()}\n" for line in lines)
