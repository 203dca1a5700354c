"""
### predict: predictions for one day, every day

Waits for the data (labels may come later), fetches the model in production, then runs `transform`
and `predict`, each in its own container. Publishes `production/<ds>` (the model), `features/<ds>`
and `predictions/<ds>`.

- **Schedule**: by default daily at 00:00 UTC. Nothing is caught up: after the DAG is
  switched on, the first automatic run is the next midnight.
- **`ds`** is the date of the run, and the day whose rows are predicted.
- **The model** is the version that is in production in MLflow while the run fetches it. When MLflow
  does not answer, it is the copy that was fetched last. The Variable `model_path`, when it is set,
  wins: a directory such as `models/2013-01-06` (of a pipeline with a name:
  `<pipeline>.model_path`).
- **No model in production yet**: the run says so and is skipped. Approve one in train_model.
- **Waiting**: up to 24 hours for `raw/<ds>/data.csv`, without holding a slot.
- **A manual run** predicts its parameter `day`, or else the day of its logical date, or today.
- **A backfill** predicts every day of its range with the model that is in production now, which may
  have learned from some of them; the reports of the DAG monitor say which.
- **A re-run** fetches the model again, and repeats only the steps whose inputs, model, parameters
  or image changed; the parameter `force` repeats all of them.
"""

from airflow.sdk import DAG, Param

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.day import day_param
from microstage.decisions import FetchModel
from microstage.operator import PATIENT, StageOperator
from microstage.schedule import pipelines, timetable
from microstage.sensors import WaitForData

MODEL = "{{ ti.xcom_pull('fetch')['path'] }}"

for pipeline in pipelines():
    with DAG(
        dag_id=pipeline.prefixed("predict"),
        description="Predictions: predictions/<ds>",
        doc_md=__doc__,
        schedule=timetable(pipeline, "predict"),
        catchup=False,
        # A run that waits for data must not keep others waiting. Two runs of the same day do no
        # harm: each publishes whole directories.
        max_active_runs=8,
        default_args={**DEFAULT_ARGS, "pipeline": pipeline.name},
        on_failure_callback=on_run_failure,
        params={
            "day": day_param(),
            "force": Param(False, type="boolean", description="Run it although it is up to date."),
        },
        tags=["microstage", pipeline.name],
    ):
        wait_for_data = WaitForData(task_id="wait_for_data", stage="transform", files=["data.csv"])
        fetch = FetchModel(task_id="fetch", trainer="train", skip_on_exit_code=66, **PATIENT)
        transform = StageOperator(task_id="transform", model=MODEL)
        predict = StageOperator(task_id="predict", model=MODEL)

        wait_for_data >> fetch >> transform >> predict
