"""
### predict: predictions for one day, every day

Waits for the data and for a model, then runs `transform` and `predict`, each in its own container.
Publishes `features/<ds>` and `predictions/<ds>`.

- **Schedule**: daily at 00:00 UTC. There is no start date and no catch-up: after the DAG is
  switched on, the first automatic run is the next midnight.
- **`ds`** is the date of the run, and the day whose rows are predicted.
- **The model** is the directory that the Variable `model_path` names, when it is set. Otherwise
  it is the newest validated model of a day before `ds`, so no model scores the days it has learned
  from. Only where no earlier one exists (the very first day) it is the model of `ds` itself.
- **Waiting**: up to 24 hours each for data and model, without holding a slot.
- **A manual run** predicts the day of its logical date, or today when it has none.
- **A backfill** predicts every day of its range, each with the model of its time: backfill
  train_model first.
- **A re-run** repeats only the steps whose inputs, model, parameters or image changed; the
  parameter `force` repeats all of them.
"""

from airflow.sdk import DAG, CronTriggerTimetable, Param
from stage_operator import StageOperator
from stage_sensors import WaitForData, WaitForModel

with DAG(
    dag_id="predict",
    description="Predictions: predictions/<ds>",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("@daily", timezone="UTC", run_immediately=False),
    catchup=False,
    # A run that waits for data must not keep others waiting. Two runs of the same day do no harm:
    # each publishes whole directories.
    max_active_runs=8,
    default_args={"owner": "microstage"},
    params={
        "force": Param(False, type="boolean", description="Run it although it is up to date."),
    },
    tags=["microstage", "daily"],
):
    wait_for_data = WaitForData(task_id="wait_for_data")
    wait_for_model = WaitForModel(task_id="wait_for_model")
    transform = StageOperator(task_id="transform", model=wait_for_model.output)
    predict = StageOperator(task_id="predict", model=wait_for_model.output)

    [wait_for_data, wait_for_model] >> transform >> predict
