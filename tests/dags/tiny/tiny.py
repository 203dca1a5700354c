"""DAGs of the test stage, for runs through Airflow itself."""

from datetime import timedelta

from airflow.sdk import DAG, Param

from microstage.each_day import EachDay
from microstage.forms import chosen
from microstage.operator import StageOperator
from microstage.sensors import WaitForData, WaitForPredictions

DEFAULTS = {"retries": 2, "retry_delay": timedelta(0)}
PARAMS = {"window": Param(1, type="integer"), "force": Param(False, type="boolean")}

with DAG(dag_id="chain", schedule=None, default_args=DEFAULTS, params=PARAMS):
    wait = WaitForData(
        task_id="wait",
        stage="count",
        files=["data.csv"],
        window="{{ params.window }}",
        poke_interval=0.5,
    )
    ok = StageOperator(task_id="ok")
    count = StageOperator(task_id="count", window="{{ params.window }}")
    wait >> ok >> count

with DAG(dag_id="alone", schedule=None, default_args=DEFAULTS, params=PARAMS):
    StageOperator(task_id="stage")

FIELDS = {"stage.rounds": Param(None, type=["null", "integer"])}

with DAG(dag_id="formed", schedule=None, params=FIELDS):
    StageOperator(task_id="stage", stage_params=chosen("stage"))

with DAG(dag_id="once", schedule=None):
    StageOperator(task_id="stage", retries=0)

with DAG(dag_id="days", schedule=None):
    EachDay(task_id="stage", first="2013-01-06", last="2013-01-09", retries=0)

with DAG(dag_id="data", schedule=None):
    WaitForData(task_id="wait", stage="preprocess", window=2, poke_interval=0.5, timeout=2)

with DAG(dag_id="predictions", schedule=None):
    WaitForPredictions(task_id="wait", stage="predict", poke_interval=0.5, hours=2 / 3600)
