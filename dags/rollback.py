"""
### rollback: the version before goes back into production

Started by hand alone. Finds out which version is in production (`outgoing`), lets it and the one
that was there before change places (`rollback`), and refreshes the copy that predicts when MLflow
is down (`standby`). The next run of predict uses it; predictions that are there stay.

- **Twice** in one run (a retry, a cleared `rollback`) is the same as once. To go back again, start
  the DAG again.
- **`ds`** is the parameter `day`, or else the date of the run; its records are in `rollbacks/<ds>`.
"""

from airflow.sdk import DAG

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.day import day_param
from microstage.operator import PATIENT, StageOperator
from microstage.schedule import pipelines, timetable

for pipeline in pipelines():
    with DAG(
        dag_id=pipeline.prefixed("rollback"),
        description="The previous version of the model goes back into production",
        doc_md=__doc__,
        schedule=timetable(pipeline, "rollback"),
        is_paused_upon_creation=False,
        catchup=False,
        max_active_runs=1,
        default_args={**DEFAULT_ARGS, "pipeline": pipeline.name},
        on_failure_callback=on_run_failure,
        params={"day": day_param()},
        tags=["microstage", pipeline.name, "by hand"],
    ):
        outgoing = StageOperator(task_id="outgoing", **PATIENT)
        rollback = StageOperator(task_id="rollback", **PATIENT)
        standby = StageOperator(task_id="standby", **PATIENT)

        outgoing >> rollback >> standby
