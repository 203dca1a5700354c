"""The scheduler has imported what its tasks import: they are forks of it."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

LOOK = """
import json, runpy, sys
from importlib import import_module

dags = sys.argv[1]
for library in runpy.run_path(sys.argv[2])["LIBRARIES"]:
    import_module(library)
before = set(sys.modules)
sys.path.insert(0, dags)
for name in ("generate_data", "train_model", "predict", "monitor", "rollback", "backfill"):
    import_module(name)
new = [sys.modules[name] for name in set(sys.modules) - before]
files = [file for module in new if (file := getattr(module, "__file__", None))]
print(json.dumps([file for file in files if not file.startswith(dags)]))
"""


def test_a_task_imports_no_library_that_the_scheduler_has_not_imported() -> None:
    preload = REPOSITORY / "containers/platform/airflow/preload.py"
    command = [sys.executable, "-c", LOOK, str(REPOSITORY / "dags"), str(preload)]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert [] == json.loads(done.stdout.splitlines()[-1])
