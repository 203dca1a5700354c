"""A pipeline of the running stack, and what its users do with it."""

import base64
import datetime as dt
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stack import Stack, wait_until


class Story:
    """The stack, and what its users do with one of its pipelines."""

    def __init__(self, stack: Stack, pipeline: str = "flights") -> None:
        self.stack = stack
        self.pipeline = pipeline
        self.airflow = stack.airflow(pipeline)

    @property
    def data(self) -> Path:
        return self.stack.data / self.pipeline

    @property
    def model(self) -> str:
        """The name of its registered model."""
        return self.pipeline

    def manifest(self, directory: str) -> dict[str, Any]:
        return self.json(f"{directory}/manifest.json")

    def json(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.data / path).read_text())
        return content

    def mlflow(self, method: str, path: str, **fields: str) -> Any:
        """Call MLflow's REST API as its administrator."""
        url = f"http://localhost:{self.stack.setting('MLFLOW_PORT')}/api/2.0/mlflow/{path}"
        body = None if method == "GET" else json.dumps(fields).encode()
        if method == "GET":
            url += f"?{urllib.parse.urlencode(fields)}"
        user = f"admin:{self.stack.setting('MLFLOW_ADMIN_PASSWORD')}".encode()
        headers = {
            "Authorization": f"Basic {base64.b64encode(user).decode()}",
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def aliases(self) -> dict[str, str]:
        """Return the version behind each alias of the pipeline's model."""
        found = self.mlflow("GET", "registered-models/get", name=self.model)
        aliases = found["registered_model"].get("aliases", [])
        return {alias["alias"]: alias["version"] for alias in aliases}

    def start(self, dag: str, day: dt.date, **conf: Any) -> str:
        """Start a run of a DAG for a day; return its path."""
        self.airflow.switch_on(dag)
        path: str = self.airflow.trigger(dag, day, conf)
        return path

    def state_of(self, run: str) -> str:
        return str(self.airflow.call("GET", run)["state"])

    def has_ended(self, run: str) -> bool:
        return self.state_of(run) in ("success", "failed")

    def run(self, dag: str, day: dt.date, **conf: Any) -> dict[str, str]:
        """Let the scheduler run a DAG for a day, to its end; return the state of each task."""
        path = self.start(dag, day, **conf)
        wait_until(lambda: self.has_ended(path))
        return self.states(dag, day)

    def states(self, dag: str, day: dt.date) -> dict[str, str]:
        tasks = self.airflow.call("GET", f"{self.airflow.find(dag, day)}/taskInstances")
        return {task["task_id"]: task["state"] for task in tasks["task_instances"]}

    def log(self, dag: str, day: dt.date, task: str) -> str:
        instance = f"{self.airflow.find(dag, day)}/taskInstances/{task}"
        number = self.airflow.call("GET", instance)["try_number"]
        logged = self.airflow.call("GET", f"{instance}/logs/{number}?full_content=true")["content"]
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in logged)

    def is_known(self, dag: str) -> bool:
        """Does Airflow have the pipeline's DAG, and that from its file of now?"""
        try:
            found = self.airflow.call("GET", f"/api/v2/dags/{self.airflow.pipeline.prefixed(dag)}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False
        return not found["is_stale"]

    def predict(self, day: dt.date) -> dict[str, Any]:
        """Let data arrive and be predicted; return which model did it."""
        self.airflow.run("generate_data", [day], {})
        assert set(self.run("predict", day).values()) == {"success"}
        model: dict[str, Any] = self.manifest(f"predictions/{day}")["model"]
        return model

    @contextmanager
    def variable(self, key: str, value: str) -> Iterator[None]:
        """Set a Variable of the pipeline's for a while."""
        key = f"{self.pipeline}.{key}"
        self.airflow.call("POST", "/api/v2/variables", {"key": key, "value": value})
        try:
            yield
        finally:
            with pytest.raises(json.JSONDecodeError):  # the answer to DELETE is empty
                self.airflow.call("DELETE", f"/api/v2/variables/{key}")
