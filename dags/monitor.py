"""
### monitor: how good the predictions of a day were, every day

Waits for the predictions of the day, then runs `monitor` in its own container. Publishes
`reports/<ds>`: a report to read and `quality.json`.

- **Schedule**: by default daily at 00:00 UTC. Nothing is caught up: after the DAG is
  switched on, the first automatic run is the next midnight.
- **`ds`** is the date of the run, and the day whose predictions are looked at. The report goes back
  over the pipeline's `history`, by default the 28 days up to it.
- **A deadline**: when there are no predictions for the day within `deadline_hours` of the start of
  the run, the task `wait_for_predictions` fails, and that is alerted.
- **Bad quality**: the task `check_quality` fails, and that is alerted. With the Variable
  `retrain_on_alert` set to `on` (of a pipeline with a name: `<pipeline>.retrain_on_alert`), the DAG
  train_model is started for the day, too.
- **A manual run** looks at its parameter `day`, or else at its logical date, or at today. **A
  backfill** looks at every day of its range. **A re-run** repeats the report only if something in
  it has changed, for example because labels have come; the parameter `force` repeats it all the
  same.
"""

from airflow.sdk import DAG, Param

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.day import day_param
from microstage.decisions import CheckQuality, Retrain
from microstage.operator import StageOperator
from microstage.schedule import pipelines, timetable
from microstage.sensors import WaitForPredictions

for pipeline in pipelines():
    with DAG(
        dag_id=pipeline.prefixed("monitor"),
        description="How good the predictions were: reports/<ds>",
        doc_md=__doc__,
        schedule=timetable(pipeline, "monitor"),
        catchup=False,
        max_active_runs=8,
        default_args={**DEFAULT_ARGS, "pipeline": pipeline.name},
        on_failure_callback=on_run_failure,
        params={
            "day": day_param(),
            "deadline_hours": Param(
                12, type="number", minimum=0, description="Wait for predictions."
            ),
            "force": Param(False, type="boolean", description="Run it although it is up to date."),
        },
        tags=["microstage", pipeline.name],
    ):
        wait_for_predictions = WaitForPredictions(
            task_id="wait_for_predictions", stage="predict", hours="{{ params.deadline_hours }}"
        )
        model = wait_for_predictions.output
        monitor = StageOperator(task_id="monitor", window=pipeline.history, model=model)
        check_quality = CheckQuality(task_id="check_quality", report="monitor")
        retrain = Retrain(
            task_id="retrain", report="monitor", dag_to_start="train_model", model=model
        )

        wait_for_predictions >> monitor >> [check_quality, retrain]
