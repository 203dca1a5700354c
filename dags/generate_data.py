"""
### generate_data: one day of data, every day

Runs the stage `generate`, which publishes `raw/<ds>/data.csv` and `raw/<ds>/target.csv`.

- **Schedule**: daily at 00:00 UTC. There is no start date and no catch-up: after the DAG is
  switched on, the first automatic run is the next midnight.
- **`ds`** is the day on which the data arrives: the date of the run.
- **A manual run** makes the data of its logical date (trigger it with 2013-01-06 to get
  `raw/2013-01-06`), or of today when it has none.
- **A backfill** makes every day of its range; the days do not depend on each other.
- **A re-run** does nothing while parameters and image are unchanged; the parameter `force` makes
  the data again.

Files that a person put into `raw/<ds>` are never replaced (the run fails and says so), except with
`force`. To use only such files, leave this DAG switched off.
"""

from airflow.sdk import DAG, Param
from stage_alerts import DEFAULT_ARGS, on_run_failure
from stage_operator import StageOperator
from stage_schedule import DAILY

with DAG(
    dag_id="generate_data",
    description="One day of data: raw/<ds>",
    doc_md=__doc__,
    schedule=DAILY,
    catchup=False,
    max_active_runs=8,
    default_args=DEFAULT_ARGS,
    on_failure_callback=on_run_failure,
    params={
        "force": Param(False, type="boolean", description="Run it although it is up to date."),
    },
    tags=["microstage", "daily"],
):
    StageOperator(task_id="generate")
