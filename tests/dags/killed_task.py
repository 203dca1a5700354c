"""A task in a process of its own, to be killed: run the test stage through Airflow's `dag.test`."""

import sys

import pendulum
from airflow.dag_processing.dagbag import DagBag

folder, dag_id, day = sys.argv[1:]
moment = pendulum.parse(day)
DagBag(folder).dags[dag_id].test(logical_date=moment, run_after=moment)
