"""
### train_model: a validated model, every week

Waits for the data, then runs `preprocess`, `split`, `train` and `validate`, each in its own
container. Publishes `processed/<ds>`, `processed/<ds>/split`, `models/<ds>` and
`models/<ds>/validation`.

- **Schedule**: weekly, Sunday at 00:00 UTC. There is no start date and no catch-up: after the DAG
  is switched on, the first automatic run is the next Sunday.
- **`ds`** is the date of the run, and the last day of data that the model sees. The parameter
  `window` is the number of days up to and including `ds`; with more than one, the newest days
  validate what the earlier ones trained.
- **Waiting**: up to 24 hours for `raw/<day>` of every day of the window, without holding a slot.
- **A manual run** trains the model of its logical date, or of today when it has none.
- **A backfill** trains one model for each Sunday of its range.
- **A re-run** repeats only the steps whose inputs, parameters or image changed; the parameter
  `force` repeats all of them. A model that is replaced takes its validation with it.
"""

from airflow.sdk import DAG, CronTriggerTimetable, Param
from stage_operator import StageOperator
from stage_sensors import WaitForData

with DAG(
    dag_id="train_model",
    description="A validated model: models/<ds>",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("@weekly", timezone="UTC", run_immediately=False),
    catchup=False,
    # A run that waits for data must not keep others waiting. Two runs of the same day do no harm:
    # each publishes whole directories.
    max_active_runs=8,
    default_args={"owner": "microstage"},
    params={
        "window": Param(1, type="integer", minimum=1, description="Days of data, ending at ds."),
        "force": Param(False, type="boolean", description="Run it although it is up to date."),
    },
    tags=["microstage", "weekly"],
):
    wait_for_data = WaitForData(task_id="wait_for_data", window="{{ params.window }}")
    preprocess = StageOperator(task_id="preprocess", window="{{ params.window }}")
    split = StageOperator(task_id="split")
    train = StageOperator(task_id="train")
    validate = StageOperator(task_id="validate")

    wait_for_data >> preprocess >> split >> train >> validate
