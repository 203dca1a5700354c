"""A task in a process of its own, to be killed: run the test stage through Airflow's `dag.test`."""

import sys
from datetime import UTC, datetime

from airflow.dag_processing.dagbag import DagBag

folder, dag_id, day = sys.argv[1:]
moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
DagBag(folder).dags[dag_id].test(logical_date=moment, run_after=moment)
