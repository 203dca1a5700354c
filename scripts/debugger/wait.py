"""Start a stage in its container once a debugger has attached: PORT PROGRAM ARGUMENT ..."""

import os
import runpy
import sys
from pathlib import Path

# Compiled parts are for the Python that fetched them, and the stage's is another.
os.environ.update(PYDEVD_USE_CYTHON="NO", PYDEVD_DISABLE_FILE_VALIDATION="1")
import debugpy  # noqa: T100 - a debugger is what this is for; it reads them as it is imported

port, program = int(sys.argv[1]), sys.argv[2]
sys.argv = sys.argv[2:]
sys.path[0] = str(Path(program).parent)
# All addresses of the container, of which the engine publishes the port on its loopback alone.
debugpy.listen(("0.0.0.0", port))  # noqa: S104, T100 - as above
print(f"It waits for a debugger at 127.0.0.1:{port}.", file=sys.stderr, flush=True)
debugpy.wait_for_client()  # noqa: T100
runpy.run_path(program, run_name="__main__")
