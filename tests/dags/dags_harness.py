"""What all tests of the DAGs share."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DAY = "2013-01-06"
# Of its own for each run of the tests: several may share one engine.
INSTALL = f"test-{uuid.uuid4().hex[:12]}"
IMAGE = f"microstage/test-stage:{INSTALL}"
DAYS_IMAGE = f"{IMAGE}-days"


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait until the condition holds; return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def states(run: Any) -> dict[str, tuple[str, int]]:
    """Return what became of a run's tasks: task id -> (state, number of tries)."""
    return {ti.task_id: (str(ti.state), ti.try_number) for ti in run.get_task_instances()}


def schedule(dag: Any) -> str:
    """Return the cron expression of a DAG, "None" where it is started by hand alone."""
    from airflow.serialization.encoders import coerce_to_core_timetable  # noqa: PLC0415 - as below

    return str(coerce_to_core_timetable(dag.timetable).summary)


def read_xcom(run: Any, task: str, key: str = "return_value") -> Any:
    """Return what a task of a run returned, or left under another key."""
    # Not at the top: Airflow reads its environment on the first import, and conftest.py sets it.
    from airflow.models.xcom import XComModel  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415

    with create_session() as session:
        found = XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id, task_ids=task, key=key)
        return XComModel.deserialize_value(session.scalars(found).first())


def run_each_day(
    days: list[str], attempt: int = 1, run_id: str = "manual", **options: Any
) -> dict[str, Any]:
    """Run the operator for these days on the row `stage`; return its XCom `days`."""
    from microstage.each_day import DAYS, EachDay  # noqa: PLC0415 - as above

    told: dict[str, Any] = {}
    ti: Any = SimpleNamespace(
        dag_id="test", run_id=run_id, task_id="stage", map_index=-1, try_number=attempt
    )
    ti.xcom_push = lambda key, value: told.update({key: value})
    arguments = {"first": days[0], "last": days[-1], "force": False, **options}
    EachDay(task_id="stage", **arguments).execute({"ti": ti})
    found: dict[str, Any] = told[DAYS]
    return found


def give(data: Path, codes: dict[str, int]) -> None:
    """Put the data of days there: the exit codes that the stage `told` is told."""
    for day, code in codes.items():
        (data / "raw" / day).mkdir(parents=True, exist_ok=True)
        (data / "raw" / day / "code").write_text(str(code))
