"""Airflow, with what its tasks import already imported: `python3 preload.py scheduler`.

LocalExecutor's workers are forks of the scheduler, a task is a fork of its worker, and the DAG
processor forks for each file that it reads. What they inherit they need not import again and again;
and of the modules in the DAGs' folder, which is read-only and may change at any time, the byte code
is kept, so that only the first of them compiles one.
https://docs.python.org/3/library/sys.html#sys.pycache_prefix
"""

import sys
from importlib import import_module

from airflow.__main__ import main

LIBRARIES = (
    "airflow.api.common.trigger_dag",
    "airflow.providers.docker.operators.docker",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "tomllib",
)

if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    sys.dont_write_bytecode, sys.pycache_prefix = False, "/tmp/byte-code"  # noqa: S108 - its own
    main()  # type: ignore[no-untyped-call] # Airflow's
