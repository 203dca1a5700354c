"""
### generate_data: one day of data, every day

Runs the stage `generate`, which publishes `raw/<ds>/data.csv` and `raw/<ds>/target.csv`.

- **Schedule**: by default daily at 00:00 UTC. Nothing is caught up: after the DAG
  is switched on, the first automatic run is the next midnight.
- **`ds`** is the day on which the data arrives: the date of the run.
- **A manual run** makes the data of its parameter `day` (2013-01-06 for `raw/2013-01-06`), or else
  of its logical date, or of today when it has none.
- **A backfill** makes every day of its range; the days do not depend on each other.
- **A re-run** does nothing while parameters and image are unchanged; the parameter `force` makes
  the data again.

Files that a person put into `raw/<ds>` are never replaced (the run fails and says so), except with
`force`. To use only such files, leave this DAG switched off.
"""

from airflow.sdk import DAG, Param

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.day import day_param
from microstage.operator import StageOperator
from microstage.schedule import pipelines, timetable

for pipeline in pipelines():
    with DAG(
        dag_id=pipeline.prefixed("generate_data"),
        description="One day of data: raw/<ds>",
        doc_md=__doc__,
        schedule=timetable(pipeline, "generate_data"),
        catchup=False,
        max_active_runs=8,
        default_args={**DEFAULT_ARGS, "pipeline": pipeline.name},
        on_failure_callback=on_run_failure,
        params={
            "day": day_param(),
            "force": Param(False, type="boolean", description="Run it although it is up to date."),
        },
        tags=["microstage", pipeline.name],
    ):
        StageOperator(task_id="generate")
