"""
### train_model: a new model every week, and the question whether it goes into production

Waits for the data, then runs `preprocess`, `split`, `train` and `validate`; records the model with
all that made it in MLflow (`track`), fetches the one in production (`champion`), scores both on the
same rows, which neither has learned from (`compare`), asks a person (`approve`), puts it into
production (`promote`), and refreshes the copy that predicts when MLflow is down (`standby`). Every
stage runs in its own container. Publishes `processed/<ds>` and `models/<ds>`.

- **Schedule**: by default weekly, Sunday at 00:00 UTC. Nothing is caught up: after the DAG
  is switched on, the first automatic run is the next Sunday.
- **`ds`** is the date of the run, and the last day of data that the model sees. The parameter
  `window` is the number of days up to and including `ds`; with more than one, the newest days
  validate what the earlier ones trained. With one day, `compare` shows both models' metrics but
  gives no verdict: the new one alone has learned from rows of that day.
- **Waiting for data**: up to 24 hours for `raw/<day>` of every day of the window, without holding
  a slot.
- **The approval** waits in the UI (Required Actions) and holds no slot. Rejecting leaves production
  alone, and so does no answer within `approval_hours`. The Variable `auto_promotion` set to
  `better` or `not_worse` promotes by the verdict, without asking (of a pipeline with a name:
  `<pipeline>.auto_promotion`).
- **A manual run** trains the model of its parameter `day`, or else of its logical date, or today's.
- **The trainer's parameters** are fields of the form, of whichever image fills the row `train` and
  dags/forms.toml knows; what is left empty is as in the table.
- **A backfill** trains one model for each Sunday of its range, and asks for each.
- **A re-run** repeats only the steps whose inputs, parameters or image changed; the parameter
  `force` repeats all of them. A model that is replaced takes its validation with it. To decide
  again, clear `champion` and what follows.
"""

from airflow.sdk import DAG, Param

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.day import day_param
from microstage.decisions import ApprovePromotion
from microstage.forms import chosen, fields
from microstage.operator import PATIENT, StageOperator
from microstage.schedule import pipelines, timetable
from microstage.sensors import WaitForData

for pipeline in pipelines():
    with DAG(
        dag_id=pipeline.prefixed("train_model"),
        description="A new model, and whether it goes into production: models/<ds>",
        doc_md=__doc__,
        schedule=timetable(pipeline, "train_model"),
        catchup=False,
        # A run that waits for data, or for a person, must not keep others waiting. Two runs of the
        # same day do no harm: each publishes whole directories.
        max_active_runs=8,
        default_args={**DEFAULT_ARGS, "pipeline": pipeline.name},
        on_failure_callback=on_run_failure,
        params={
            "day": day_param(),
            "window": Param(pipeline.window, type="integer", minimum=1, description="Days to ds."),
            "approval_hours": Param(144, type="number", minimum=0, description="Hours to wait."),
            "force": Param(False, type="boolean", description="Run it although it is up to date."),
            **fields(pipeline, "train"),
        },
        tags=["microstage", pipeline.name],
    ):
        wait_for_data = WaitForData(
            task_id="wait_for_data", stage="preprocess", window="{{ params.window }}"
        )
        preprocess = StageOperator(task_id="preprocess", window="{{ params.window }}")
        split = StageOperator(task_id="split")
        train = StageOperator(task_id="train", stage_params=chosen("train"))
        validate = StageOperator(task_id="validate")
        track = StageOperator(task_id="track", **PATIENT)
        # The first model finds nothing in production (66): it is compared with nothing.
        champion = StageOperator(task_id="champion", skip_on_exit_code=66, **PATIENT)
        compare = StageOperator(task_id="compare", trigger_rule="none_failed")
        approve = ApprovePromotion(
            task_id="approve",
            version="track",
            comparison="compare",
            report="monitor",
            hours="{{ params.approval_hours }}",
        )
        promote = StageOperator(
            task_id="promote",
            stage_params={"approved-by": "{{ ti.xcom_pull('approve')['by'] }}"},
            **PATIENT,
        )
        standby = StageOperator(task_id="standby", **PATIENT)

        wait_for_data >> preprocess >> split >> train >> validate
        validate >> track >> champion >> compare >> approve >> promote >> standby
