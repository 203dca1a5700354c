"""The test stage with this project's own alerts."""

from datetime import timedelta

from airflow.sdk import DAG

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.operator import StageOperator

with DAG(
    dag_id="alerting",
    schedule=None,
    default_args=DEFAULT_ARGS,
    on_failure_callback=on_run_failure,
):
    StageOperator(task_id="stage", retry_delay=timedelta(0))
