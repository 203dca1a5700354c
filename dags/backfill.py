"""
### backfill: many past days in one run

Started by hand alone, for the days from `first` to `last`. Makes their data (`generate`), fetches
the model in production (`fetch`), runs `transform` and `predict` and, when all predictions are
there, `monitor`: as generate_data, predict and monitor would day by day, several days at once and
with one task for all of them. Publishes the same, each day on its own.

- **As many containers** run at once as the machine has cores, if its memory holds the limits of
  all. Each does several days, one after the other, if its image can; each day is published on its
  own all the same.
- **A day that fails** stops no other. The task that it failed in tells which and why, what can be
  mended by trying again is tried again, and the later steps do the days that can be done. A day
  without data is left out. `check` tells it all, and fails if a day did.
- **The model** is the version in production now, or the Variable `model_path`, for all days; it may
  have learned from some of them. Without a model in production, the data is made and the rest is
  skipped.
- **Data that a person put** into `raw/<day>` is left as it is. The parameter `generate`, switched
  off, makes none.
- **Bad quality** of a past day is told by `check`, and alerts nobody.
- **`ds`** is the parameter `last`; what each day publishes is under its own date.
- **A re-run** repeats only what is not up to date, as does a daily run of one of the days; the
  parameter `force` repeats all but the data that a person put there.
"""

from airflow.sdk import DAG, Param

from microstage.alerts import DEFAULT_ARGS, on_run_failure
from microstage.backfill import CheckDays, FetchForDays
from microstage.each_day import EachDay
from microstage.operator import PATIENT
from microstage.schedule import pipelines

# A failed day is no reason to lose the others: what comes after it runs if there is a model.
ANY = "all_done_min_one_success"

for pipeline in pipelines():
    with DAG(
        dag_id=pipeline.prefixed("backfill"),
        description="Many past days in one run: data, predictions and reports",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        catchup=False,
        max_active_runs=1,
        default_args={**DEFAULT_ARGS, "pipeline": pipeline.name},
        on_failure_callback=on_run_failure,
        params={
            "first": Param(type="string", format="date", description="The first day."),
            "last": Param(type="string", format="date", description="The last day."),
            "generate": Param(True, type="boolean", description="Make the data of each day."),
            "force": Param(False, type="boolean", description="Run it although it is up to date."),
        },
        tags=["microstage", pipeline.name, "by hand"],
    ):
        generate = EachDay(task_id="generate", wanted="{{ params.generate }}", keep_foreign=True)
        fetch = FetchForDays(
            task_id="fetch",
            trainer="train",
            skip_on_exit_code=66,
            trigger_rule="all_done",
            **PATIENT,
        )
        transform = EachDay(task_id="transform", model=fetch.path)
        predict = EachDay(task_id="predict", model=fetch.path, trigger_rule=ANY)
        monitor = EachDay(
            task_id="monitor",
            model=fetch.path,
            predictions="predict",
            window=pipeline.history,
            trigger_rule=ANY,
        )
        check = CheckDays(task_id="check", report="monitor", trigger_rule="all_done")

        generate >> fetch >> transform >> predict >> monitor >> check
