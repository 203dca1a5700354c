"""
### rollback: the version before goes back into production

Started by hand alone. Finds out which version is in production, and lets it and the one that was
there before change places. The next run of predict uses it; predictions that are there stay.

- **Twice** in one run (a retry, a cleared `rollback`) is the same as once. To go back again, start
  the DAG again.
- **`ds`** is the date of the run; its records are in `production/<ds>` and `rollbacks/<ds>`.
"""

from airflow.sdk import DAG
from stage_alerts import DEFAULT_ARGS, on_run_failure
from stage_operator import StageOperator

with DAG(
    dag_id="rollback",
    description="The previous version of the model goes back into production",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=on_run_failure,
    tags=["microstage", "by hand"],
):
    fetch = StageOperator(task_id="fetch")
    rollback = StageOperator(task_id="rollback")

    fetch >> rollback
