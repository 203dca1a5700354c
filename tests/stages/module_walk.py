"""Import every module of the named distributions; print {module: its public names} as JSON.

Runs inside an image, from stdin: `docker run -i --entrypoint python3 IMAGE - numpy pandas`.
"""

import contextlib
import csv
import importlib
import importlib.metadata
import io
import json
import os
import re
import sys
import types
import warnings

# Tests, and programs that would start, are no API.
SKIPPED = {"tests", "test", "conftest", "__main__", "setup"}
SUFFIX = re.compile(r"\.py$|\.(cpython-\d+|abi3)[^/]*\.so$")


def modules(distribution: str) -> set[str]:
    """Read the modules' names from the distribution's RECORD, which every image keeps."""
    found = set()
    try:
        record = importlib.metadata.distribution(distribution).read_text("RECORD") or ""
    except importlib.metadata.PackageNotFoundError:
        return set()  # locked for another platform or Python
    for file, *_ in csv.reader(record.splitlines()):
        path = SUFFIX.sub("", file)
        parts = path.split("/")
        if path != file and all(p.isidentifier() for p in parts) and not SKIPPED & set(parts):
            found.add(".".join(parts).removesuffix(".__init__"))
    return found


def names(module: str) -> list[str] | None:
    """Return the public names of a module, None where it cannot be imported."""
    try:
        value = importlib.import_module(module)
    except BaseException:  # some end the program where a package is missing
        return None
    return [name for name in sorted(dir(value)) if not name.startswith("_") and has(value, name)]


def has(module: types.ModuleType, name: str) -> bool:
    """Whether the module has something by that name that is no module, which is its own entry."""
    try:
        return not isinstance(getattr(module, name), types.ModuleType)
    except Exception:  # it is promised, and cannot be had
        return False


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["MPLCONFIGDIR"] = "/tmp"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = {m: names(m) for d in sys.argv[1:] for m in sorted(modules(d))}
    print(json.dumps({m: n for m, n in found.items() if n is not None}))
