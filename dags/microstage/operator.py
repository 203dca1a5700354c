"""StageOperator: an Airflow task that runs one row of a pipeline in its own container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from docker import APIClient

from microstage.assets import Announced, declare, undeclared
from microstage.clearing import remove_all, sweep
from microstage.contract import TAKEN_OVER, Engine, Run, run_job
from microstage.current import Current
from microstage.data_folder import DataFolder
from microstage.engines.attended import ENGINE_ERRORS, engine_failure
from microstage.engines.container import ContainerEngine, find_image
from microstage.errors import (
    TRY_AGAIN,
    LeftRunningError,
    OutOfMemoryError,
    StageError,
    StageExitError,
)
from microstage.exits import Exit
from microstage.jobs import Job, resolve
from microstage.last_good import load_for_run
from microstage.lineage import TellsLineage
from microstage.memory import Memory
from microstage.pipelines import DEFAULT, folder_of
from microstage.placement import placement
from microstage.schedule import DS, RETRIES, RETRY_DELAY, is_true, task_failure
from microstage.tries import Claim

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from microstage.pipelines import Pipeline
    from microstage.table import Param, Row

MIB = 2**20
# For steps that need a service: it may be away for a quarter of an hour, for an upgrade or so.
PATIENT: dict[str, Any] = {
    "retries": 6,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": True,
}


class StageOperator(TellsLineage, DockerOperator):
    """Run one stage for one day in its own container, and publish what it wrote.

    The row is read from the pipeline's table when the task runs: a changed row counts from the next
    task on. Returns the stage's summary.json as XCom. A stage whose inputs, parameters and image
    are unchanged is not run again; the task succeeds then and returns the published summary, so
    that what follows goes on. (The state "skipped" would skip what follows, too.)

    Exit codes 64, 65 and 66, an absent image and an output that breaks the contract fail the task
    at once. Anything else (75, a crash, no memory, no time, no engine) is retried. With
    `skip_on_exit_code=66` the task is skipped instead, when it is the stage itself that says 66.

    From the stock operator come the connection to the engine and its arguments (docker_url,
    docker_conn_id, tls_*). How the container is run does not: it would pull absent images, leave
    containers behind, and take the last line of the log for the result.

    :param stage: the row of the table; the task id by default
    :param pipeline: name of the pipeline; the one of dags/stages.toml by default
    :param ds: the day, YYYY-MM-DD
    :param window: number of days that end at ds, for rows that read {day}
    :param model: directory below the pipeline's data, for rows that read {model}
    :param stage_params: parameters of the image, over those of the row
    :param force: run the stage although it is up to date
    """

    template_fields = ("ds", "window", "model", "stage_params", "force")
    template_ext = ()
    ui_color = "#e6eef7"
    good_for = 0.0  # seconds for which Airflow's answer is good, that this try may publish

    def __init__(
        self,
        *,
        stage: str | None = None,
        pipeline: str = DEFAULT,
        ds: str = DS,
        window: int | str = 1,
        model: str | XComArg | None = None,
        stage_params: dict[str, Param] | None = None,
        force: bool | str = "{{ params.get('force', False) }}",
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        kwargs = {**placement(pipeline, stage or kwargs["task_id"]), "retries": retries, **kwargs}
        super().__init__(image="", mount_tmp_dir=False, retry_delay=retry_delay, **kwargs)
        self.stage = stage or self.task_id
        self.pipeline = pipeline
        self.ds = ds
        self.window = window
        self.model: Any = model  # an XComArg until Airflow has filled it in
        self.stage_params = stage_params
        self.force = force
        self._run: Run | None = None
        self._claim: Claim | None = None
        self._stopped: StageError | None = None
        self._current: Current | None = None
        self._memory = Memory()
        self._announced = Announced()
        declare(self)

    def prepare_for_execution(self) -> Self:
        """Return the task as Airflow is to run it."""
        return cast("Self", undeclared(super().prepare_for_execution()))

    def connect(self) -> APIClient:
        """Return a new client: on_kill and the time limit must not share one that is in use."""
        try:
            hook: DockerHook = DockerOperator.hook.func(self)  # type: ignore[attr-defined]
            return hook.api_client
        except AirflowException as error:
            raise engine_failure(error, self._engine_name()) from None

    def _engine_name(self) -> str:
        urls = self.docker_url
        return urls if isinstance(urls, str) else " or ".join(urls)

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        ti = context["ti"]
        self._run = Run(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)
        self._current = Current(context, self.good_for)
        self._memory = Memory(context.get("task_state_store"))
        self._announced = Announced()
        try:
            summary = self._run_stage(self._run)
            self._announced.tell(self, context)
            return summary
        except ENGINE_ERRORS as error:
            raise AirflowException(str(engine_failure(error, self._engine_name()))) from None
        except StageError as error:
            if isinstance(error, StageExitError) and error.code in self.skip_on_exit_code:
                raise AirflowSkipException(str(error)) from None
            raise task_failure(error) from None

    def load_pipeline(self) -> tuple[Pipeline, DataFolder]:
        """Return the pipeline as it is now, and its data. Raises StageError."""
        data = DataFolder.from_environment(folder_of(self.pipeline))
        return load_for_run(self.pipeline, data, self.log.warning), data

    def _run_stage(self, run: Run) -> dict[str, Any]:
        pipeline, data = self.load_pipeline()
        job = self._job(pipeline, self.ds, self.model)
        with self._begun(data, run, job.row):
            return self._run_job(
                data,
                job,
                run,
                force=is_true(self.force),
                log=lambda line: self.log.info("%s", line),
            )

    def _job(self, pipeline: Pipeline, ds: str, model: str | None) -> Job:
        return resolve(
            pipeline, self.stage, ds, window=self.window, model=model, params=self.stage_params
        )

    @contextmanager
    def _begun(self, data: DataFolder, run: Run, row: Row, days: int = 1) -> Iterator[None]:
        """Take the place of earlier tries, and find the image; clear all that is left at the end.

        What another try can take over stays until it has: containers, with what they wrote.
        """
        client = self.connect()
        self.api_version = client.api_version  # or each client would ask the engine for it
        claim = self._claim = Claim(data, run, row.limits.timeout * (days + 1))
        claim.take()
        left = False
        try:
            lost = remove_all(self.connect, run, client=client, lost_alone=True)
            for container in lost + sweep(client):
                self.log.warning("Removed container %s, which an earlier try left.", container[:12])
            self.row_image = find_image(client, row.image)
            yield
        except LeftRunningError:
            left = True
            raise
        finally:
            if not left and not isinstance(self._stopped, LeftRunningError) and claim.holds():
                remove_all(self.connect, run)
                claim.release()

    def _run_job(
        self, data: DataFolder, job: Job, run: Run, *, force: bool, log: Callable[[str], None]
    ) -> dict[str, Any]:
        limit, job = job.row.limits.memory, self._memory.given(job, run)
        row, more = job.row, job.row.limits.memory > limit
        if more:
            log(f"This try has {row.limits.memory // MIB} MiB of memory: one before ran out of it.")
        log(f"{row.stage}: {row.image} {' '.join(job.command)} ({self.row_image.id})")
        container = ContainerEngine(
            self.connect,
            data,
            image=self.row_image,
            run=run,
            write=log,
            stopped=lambda: self._stopped,
            holds=self._holds,
        )

        def engine(job: Job, staging: Path) -> Exit:
            try:
                alone = more or container.resumed
                return (container if alone else self._engine(container))(job, staging)
            except ENGINE_ERRORS as error:  # an OSError, too, which would be taken for the disk's
                raise engine_failure(error, self._engine_name()) from None

        def confirm() -> None:
            if not self._holds():
                raise StageError(TRY_AGAIN, TAKEN_OVER)
            if self._current:
                self._current.check()

        try:
            with container:
                summary = run_job(
                    data,
                    job,
                    image_id=self.row_image.id,
                    run=run,
                    engine=engine,
                    log=log,
                    force=force,
                    resume=container.resume,
                    confirm=confirm,
                )
            self._announced.add(data, job, run, summary, run.day or self.ds)
            return summary
        except OutOfMemoryError:
            if next_limit := self._memory.ran_out(job, run):
                raise OutOfMemoryError(
                    f"{row.stage} needed more memory than {row.limits.memory // MIB} MiB; "
                    f"the next try gets {next_limit // MIB} MiB."
                ) from None
            raise

    def _holds(self) -> bool:
        return self._claim is None or self._claim.holds()

    def _engine(self, container: ContainerEngine) -> Engine:
        """Return what a job is run by: what runs it in a container of its own, or more."""
        return container

    def on_kill(self) -> None:
        """Remove the containers, while there is time; unless nobody has asked for it."""
        if self._current and not self._current.was_asked_to_end():
            self._stopped = LeftRunningError(
                f"Airflow lost sight of this try, so {self.stage} was left: the next one goes on."
            )
            return
        self._stopped = StageError(TRY_AGAIN, f"{self.stage} was stopped.")
        if self._run and self._holds():
            # Airflow sends SIGKILL five seconds after it called this, and an engine that is busy
            # needs some of them for itself.
            remove_all(self.connect, self._run, seconds=1)
