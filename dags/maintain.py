"""
### maintain: what is old and needed by nothing that is kept goes

How many days what is kept is `KEEP_DAYS` in `.env`. Removes the directories of each pipeline's
days that are older, by their day and by when they were made, and logs of tasks. The log says what
goes and how many MB, and why something old is kept.

- **Schedule**: by default weekly. Switched off in a new installation, as nothing brings back what
  it removes: see what `scripts/maintain --dry-run` says, and switch it on then.
- **What stays**, however old: what the version in production and the one before it were made from,
  what a run that has not ended may need (one that waits for an approval, too), what the Variable
  `model_path` names, the lineage of each prediction that is kept, and what a person put there.
- **A manual run** with the parameter `dry_run` removes nothing.
- **Not here**: Airflow's own records, MLflow's runs and images, which no task can reach.
  `scripts/maintain` removes these, and all the rest as well.
"""

from airflow.sdk import DAG, Param

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.maintenance import ClearData, ClearLogs
from microstage.pipelines import DEFAULT, NAME, pipeline_names
from microstage.schedule import checked_pipeline, timetable

with DAG(
    dag_id="maintain",
    description="What is old and needed no more goes",
    doc_md=__doc__,
    schedule=timetable(checked_pipeline(DEFAULT), "maintain"),
    catchup=False,
    max_active_runs=1,
    # One after the other: each has the data folder to itself.
    max_active_tasks=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=on_run_failure,
    params={"dry_run": Param(False, type="boolean", description="Say what would go, alone.")},
    tags=["microstage"],
):
    ClearLogs(task_id="logs")
    for name in filter(NAME.fullmatch, pipeline_names()):
        ClearData(task_id=f"data_of_{name}", pipeline=name)
