"""The running stack, over Airflow's REST API (https://airflow.apache.org/docs, version 2)."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support import REPOSITORY
from support.command import UNAVAILABLE
from support.settings import setting

from microstage.errors import StageError
from microstage.pipelines import DEFAULT, Pipeline

ENDED = ("success", "failed")
# What Airflow notes of tasks that it ends, whether they have a log or not.
UNBEGUN = "state mismatch"  # its process had ended before it said that it had begun
ENDED_BY_AIRFLOW = (UNBEGUN, "heartbeat timeout", "stuck in queued tries exceeded")
NO_REASON = "see docker compose logs scheduler"
RAISED = re.compile(r"(?m)^(?:\x1b\S*?K)?(\w+(?:Error|Exception): .+)$")
ASKING = "awaiting_input"  # the state of a task that waits for a person


class Airflow:
    """A client of the stack for the DAGs of one pipeline, which it knows without its prefix."""

    def __init__(
        self,
        pipeline: str = DEFAULT,
        root: Path = REPOSITORY,
        user: str = "admin",
        password: str = "",
    ) -> None:
        """Log in to the installation in `root`; the admin's password is in its .env.

        Raises StageError (69) where nothing answers, or the password is not the right one.
        """
        self.pipeline, self.root = Pipeline(pipeline), root
        self.url = f"http://localhost:{setting('AIRFLOW_PORT', root)}"
        # Straight to this machine, whatever proxy the environment names.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.token = ""
        password = password or setting("AIRFLOW_ADMIN_PASSWORD", root)
        login = {"username": user, "password": password}
        try:
            self.token = self.call("POST", "/auth/token", login)["access_token"]
        except (urllib.error.HTTPError, ValueError) as error:
            raise self.silent(error) from None

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to one call.

        Raises urllib.error.HTTPError as the server says, and StageError (69) where it says nothing.
        """
        request = urllib.request.Request(  # noqa: S310 - always http://localhost
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with self.opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            raise self.silent(error) from None

    def silent(self, error: Exception) -> StageError:
        """One sentence for an answer that is none."""
        return StageError(
            UNAVAILABLE,
            f"Airflow does not answer at {self.url} ({error}); "
            "start it with: docker compose up --wait",
        )

    def runs(self, dag: str) -> str:
        """Return the path of a DAG's runs."""
        return f"/api/v2/dags/{self.pipeline.prefixed(dag)}/dagRuns"

    def run(self, dag: str, dates: Sequence[dt.date], conf: dict[str, Any]) -> None:
        """Run a DAG for dates, until all have ended well or wait for a person.

        Raises StageError (1) with the reason where one failed.
        """
        self.switch_on(dag)
        runs = [self.trigger(dag, date, conf) for date in dates]
        for date, run in zip(dates, runs, strict=True):
            while (state := self.call("GET", run)["state"]) not in ENDED:
                if self.asks(run):
                    break
                time.sleep(0.5)
            if state == "failed" and (reason := self.reason(run)):
                raise StageError(1, f"{self.pipeline.prefixed(dag)} of {date} failed: {reason}")

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        found: list[dict[str, Any]] = self.call("GET", f"{run}/taskInstances")["task_instances"]
        return found

    def asks(self, run: str) -> str:
        """Return the task of a run that waits for a person, or nothing."""
        waiting = [task["task_id"] for task in self.tasks(run) if task["state"] == ASKING]
        return waiting[0] if waiting else ""

    def question(self, dag: str, date: dt.date) -> str:
        """Return where the run of a date waits for a person's decision, or nothing."""
        run = self.find(dag, date)
        if not run or not (task := self.asks(run)):
            return ""
        page = run.removeprefix("/api/v2").replace("dagRuns", "runs")
        return f"{self.url}{page}/tasks/{task}/required_actions"

    def answer(self, dag: str, date: dt.date, option: str) -> bool:
        """Answer "Approve" or "Reject", as a person would in the UI; False if nobody asks."""
        run = self.find(dag, date)
        if not run or not self.asks(run):
            return False
        while self.call("GET", run)["state"] not in ENDED:
            if task := self.asks(run):
                # As a person would, not at once: the process of the task that asks ends a second or
                # two later. Airflow takes an answer that comes before for a failure of the task,
                # which asks once more then: https://github.com/apache/airflow/pull/71579
                time.sleep(3)
                self._reply(run, task, option)
            time.sleep(0.5)
        return True

    def _reply(self, run: str, task: str, option: str) -> None:
        """Answer a question, which may have this answer already."""
        reply = {"chosen_options": [option], "params_input": {}}
        try:
            self.call("PATCH", f"{run}/taskInstances/{task}/-1/hitlDetails", reply)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.CONFLICT:
                raise

    def switch_on(self, dag: str) -> None:
        """Unpause a DAG, once the DAG processor has seen it."""
        for attempt in range(60):
            try:
                path = f"/api/v2/dags/{self.pipeline.prefixed(dag)}"
                self.call("PATCH", path, {"is_paused": False})
                return
            except urllib.error.HTTPError as error:
                if error.code != 404 or attempt == 59:
                    raise
                time.sleep(1)

    def trigger(self, dag: str, date: dt.date, conf: dict[str, Any]) -> str:
        """Start a run for a date, or start its failed or outdated one again; return its path."""
        try:
            body = {
                "dag_run_id": f"dates__{date}",
                "logical_date": f"{date}T00:00:00Z",
                "conf": conf,
            }
            return f"{self.runs(dag)}/{self.call('POST', self.runs(dag), body)['dag_run_id']}"
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
        path = self.find(dag, date)
        if self.call("GET", path)["state"] in ENDED:
            self.call("POST", f"{path}/clear", {"dry_run": False, "only_failed": False})
        return path

    def find(self, dag: str, date: dt.date) -> str:
        """Return the path of the run of a date, or nothing."""
        span = f"logical_date_gte={date}T00:00:00Z&logical_date_lte={date}T00:00:00Z"
        found = self.call("GET", f"{self.runs(dag)}?{span}")["dag_runs"]
        return f"{self.runs(dag)}/{found[0]['dag_run_id']}" if found else ""

    def reason(self, run: str) -> str:
        """Return which task failed, and why; "" if it is a finding.

        A task that cannot be tried again fails on what it found, not on its way: a report of bad
        quality is a result, and was alerted.
        """
        failed = [task for task in self.tasks(run) if task["state"] == "failed"]
        for task in failed:
            if task["max_tries"]:
                said = (
                    self.logged(run, task) or self.recorded(task) or f"it has no log; {NO_REASON}"
                )
                return f"task {task['task_id']}: {said}"
        return ""

    def logged(self, run: str, task: dict[str, Any]) -> str:
        """Return the last error in the log of a task's last try; "" where there is none."""
        log = f"{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        query = f"?full_content=true&map_index={task['map_index']}"
        try:
            lines = self.call("GET", log + query).get("content", [])
        except urllib.error.HTTPError:
            return ""  # Airflow cannot read it: that is no reason for the task's failure
        # A structured log: an exception's own words are beside its event.
        details = [detail for line in lines for detail in line.get("error_detail") or []]
        errors = [line["event"] for line in lines if line.get("level") in ("error", "critical")]
        return str(details[-1]["exc_value"] if details else errors[-1] if errors else "")

    def recorded(self, task: dict[str, Any]) -> str:
        """Return why Airflow itself ended a task that could not say it; "" where it did not."""
        about = [("dag_id", task["dag_id"]), ("run_id", task["dag_run_id"])]
        about += [("task_id", task["task_id"]), ("order_by", "-when"), ("limit", "1")]
        about += [("included_events", event) for event in ENDED_BY_AIRFLOW]
        found = self.call("GET", f"/api/v2/eventLogs?{urlencode(about)}")["event_logs"]
        if not found:
            return ""
        if found[0]["event"] == UNBEGUN:
            return f"it could not be begun, and has no log: {self.raised() or NO_REASON}"
        return str(found[0]["extra"] or "")

    def raised(self) -> str:
        """Return the last error among what the scheduler's container says; "" if it is not asked.

        It is where the processes are begun that are to run tasks.
        """
        ask = ["docker", "compose", "logs", "--no-log-prefix", "--no-color", "--tail=500"]
        try:
            said = subprocess.run(
                [*ask, "scheduler"], cwd=self.root, capture_output=True, text=True, check=False
            ).stdout
        except FileNotFoundError:
            return ""
        errors = RAISED.findall(said)
        return errors[-1] if errors else ""
