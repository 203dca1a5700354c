"""The scheduler has imported what its tasks import: they are forks of it."""

import inspect
import json
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager, DagFileStat
from airflow.executors.local_executor import LocalExecutor
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.taskinstancekey import TaskInstanceKey

REPOSITORY = Path(__file__).resolve().parents[2]
PRELOAD = REPOSITORY / "containers/platform/airflow/preload.py"

LOOK = """
import json, runpy, sys
from importlib import import_module

dags = sys.argv[1]
for library in runpy.run_path(sys.argv[2])["LIBRARIES"]:
    import_module(library)
before = set(sys.modules)
sys.path.insert(0, dags)
for name in ("generate_data", "train_model", "predict", "monitor", "rollback", "backfill"):
    import_module(name)
new = [sys.modules[name] for name in set(sys.modules) - before]
files = [file for module in new if (file := getattr(module, "__file__", None))]
print(json.dumps([file for file in files if not file.startswith(dags)]))
"""


def test_a_task_imports_no_library_that_the_scheduler_has_not_imported() -> None:
    command = [sys.executable, "-c", LOOK, str(REPOSITORY / "dags"), str(PRELOAD)]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert [] == json.loads(done.stdout.splitlines()[-1])


# It begins as python3 begins it, in the folder that it is in.
BEGIN = """
import runpy, sys
import airflow.__main__

airflow.__main__.main = lambda: print(sorted({"openlineage", "docker"} & set(sys.modules)))
sys.path.insert(0, sys.argv[1].rpartition("/")[0])
sys.argv[1:] = [sys.argv[1], "version"]
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


@pytest.mark.parametrize(
    ("address", "loaded"), [("none", "['docker']"), ("http://there", "['docker', 'openlineage']")]
)
def test_what_tells_openlineage_is_imported_where_there_is_somebody_to_tell(
    address: str, loaded: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN, str(PRELOAD)],
        env=os.environ | {"MICROSTAGE_LINEAGE": address},
        capture_output=True,
        text=True,
        check=True,
    )

    assert loaded == done.stdout.splitlines()[-1]


def test_the_scheduler_looks_often_while_tasks_run_and_seldom_when_none_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preload = runpy.run_path(str(PRELOAD))
    attribute = "_scheduler_idle_sleep_time"
    monkeypatch.setattr(SchedulerJobRunner, attribute, preload["Pause"](), raising=False)
    executor = LocalExecutor()  # type: ignore[no-untyped-call] # Airflow's
    job = Job()  # type: ignore[no-untyped-call] # likewise
    scheduler = SchedulerJobRunner(job=job, scheduler_idle_sleep_time=0.25, executors=[executor])
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    task = TaskInstanceKey("dag", "task", "run")
    pauses = []
    # Nothing has run; a task runs; it has ended; that was a while ago.
    for running, later in ((False, 0), (True, 0), (False, 5), (False, 6)):
        executor.running, now = {task} if running else set(), now + later
        pauses.append(getattr(scheduler, attribute))

    assert [1.5, 0.25, 0.25, 1.5] == pauses


def test_airflow_sleeps_as_long_as_that_attribute_says() -> None:
    loop = inspect.getsource(SchedulerJobRunner._run_scheduler_loop)

    assert "time.sleep(min(self._scheduler_idle_sleep_time, " in loop


def test_dag_files_are_read_again_when_what_they_read_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train.py", "stages.toml", "notes.txt", "pipelines/one.toml", "package/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    # What is patched is put back.
    sort = DagFileProcessorManager._sort_by_mtime
    monkeypatch.setattr(DagFileProcessorManager, "_sort_by_mtime", sort)
    runpy.run_path(str(PRELOAD))["follow"]()
    manager = DagFileProcessorManager(max_runs=1)
    file = DagFileInfo(Path("train.py"), "dags", tmp_path)

    def again() -> bool:
        """Whether it would be read again; after that, it has just been."""
        _, changed = manager._sort_by_mtime([file])
        time.sleep(0.05)  # the kernel's clock for files may be a tick behind
        read = datetime.now(UTC)
        manager._file_stats[file] = DagFileStat(last_finish_time=read, last_duration=0.01)
        time.sleep(0.05)
        return bool(changed == {file})

    assert not again()  # it is new, which the manager knows by itself
    assert not again()
    changes: list[Callable[[], object]] = [
        lambda: (tmp_path / "stages.toml").write_text("# other"),
        (tmp_path / "pipelines/one.toml").unlink,
        lambda: (tmp_path / "package/a.py").replace(tmp_path / "package/b.py"),
        lambda: shutil.copy2(PRELOAD, tmp_path / "package/old.py"),
    ]
    for change in changes:
        change()
        assert again()
        assert not again()
    (tmp_path / "notes.txt").write_text("other")
    assert not again()
