"""
### monitor: how good the predictions of a day were, every day

Waits for the predictions of the day, then runs `monitor` in its own container. Publishes
`reports/<ds>`: a report to read and `quality.json`.

- **Schedule**: daily at 00:00 UTC. There is no start date and no catch-up: after the DAG is
  switched on, the first automatic run is the next midnight.
- **`ds`** is the date of the run, and the day whose predictions are looked at. The report goes back
  over the 28 days up to it.
- **A deadline**: when there are no predictions for the day within `deadline_hours` of the start of
  the run, the task `wait_for_predictions` fails, and that is alerted.
- **Bad quality**: the task `check_quality` fails, and that is alerted. With the Variable
  `retrain_on_alert` set to `on`, the DAG train_model is started for the day, too.
- **A manual run** looks at its logical date, or at today when it has none. **A backfill** looks at
  every day of its range. **A re-run** repeats the report only if something in it has changed, for
  example because labels have come; the parameter `force` repeats it all the same.
"""

from airflow.sdk import DAG, Param
from stage_alerts import DEFAULT_ARGS, on_run_failure
from stage_decisions import CheckQuality, Retrain
from stage_operator import StageOperator
from stage_schedule import DAILY
from stage_sensors import WaitForPredictions

with DAG(
    dag_id="monitor",
    description="How good the predictions were: reports/<ds>",
    doc_md=__doc__,
    schedule=DAILY,
    catchup=False,
    max_active_runs=8,
    default_args=DEFAULT_ARGS,
    on_failure_callback=on_run_failure,
    params={
        "deadline_hours": Param(12, type="number", minimum=0, description="Wait for predictions."),
        "force": Param(False, type="boolean", description="Run it although it is up to date."),
    },
    tags=["microstage", "daily"],
):
    wait_for_predictions = WaitForPredictions(
        task_id="wait_for_predictions", hours="{{ params.deadline_hours }}"
    )
    monitor = StageOperator(task_id="monitor", window=28, model=wait_for_predictions.output)
    check_quality = CheckQuality(task_id="check_quality")
    retrain = Retrain(task_id="retrain", model=wait_for_predictions.output)

    wait_for_predictions >> monitor >> [check_quality, retrain]
