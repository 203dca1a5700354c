"""MLflow as a test sees it, and what the stage reads of a model."""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from docker.models.containers import Container
from harness import Engine, Input, Result
from warm import WarmEngine

DAYS = ["2013-01-08", "2013-01-09", "2013-01-10"]
PASSWORD = "a password, for a test alone"  # noqa: S105
SECRETS = [
    *("POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD", "MLFLOW_ADMIN_PASSWORD"),
    *("MLFLOW_STAGES_PASSWORD", "MLFLOW_SECRET_KEY"),
]
SECONDS = 90  # to start a database and MLflow, with all tables made, on a busy machine

# What a stage is given to reach it.
ENVIRONMENT = {
    "MLFLOW_TRACKING_URI": "http://mlflow:5000",
    "MLFLOW_TRACKING_USERNAME": "stages",
    "MLFLOW_TRACKING_PASSWORD": PASSWORD,
}

Files = dict[str, Input]


@dataclass
class Mlflow:
    """The server, as the tests see it from outside; each test takes a name of its own."""

    engine: Engine
    warm: WarmEngine
    network: str
    container: Container
    url: str
    name: str = field(default_factory=lambda: f"model-{uuid.uuid4().hex[:8]}")

    def options(self, **changes: str) -> dict[str, Any]:
        """What a container needs to reach it, with these variables changed; "" takes one away."""
        environment = {k: v for k, v in {**ENVIRONMENT, **changes}.items() if v}
        return {"network_mode": self.network, "environment": environment}

    def run(self, verb: str, inputs: Files | None = None, *options: str, **changes: str) -> Result:
        """Run a verb of the stage for this test's model."""
        date = ["--date", DAYS[-1]] if verb == "track" else []
        command = [verb, "--name", self.name, *date, *options]
        if not changes:
            return self.warm.run("registry", command, inputs)
        return self.engine.run("registry", command, inputs=inputs, **self.options(**changes))

    def ok(self, verb: str, inputs: Files | None = None) -> Result:
        result = self.run(verb, inputs)
        assert (0, "") == (result.code, result.stderr)
        return result

    def call(self, method: str, endpoint: str, **content: object) -> dict[str, Any]:
        """Ask MLflow itself: GET sends the content as parameters, all else as JSON."""
        response = self.http(method, f"/api/2.0/mlflow/{endpoint}", content)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def http(self, method: str, path: str, content: Mapping[str, object]) -> requests.Response:
        how: dict[str, Any] = {"params": content} if method == "GET" else {"json": content}
        return requests.request(
            method,
            self.url + path,
            auth=("admin", PASSWORD),
            headers={"Host": "mlflow:5000"},
            timeout=20,
            **how,
        )

    def lets_stages_in(self) -> bool:
        url = f"{self.url}/api/2.0/mlflow/users/current"
        who = ("stages", PASSWORD)
        return requests.get(url, auth=who, headers={"Host": "mlflow:5000"}, timeout=20).ok

    def versions(self) -> list[dict[str, Any]]:
        query = f"name = '{self.name}'"
        found = self.call("GET", "model-versions/search", filter=query).get("model_versions", [])
        return sorted(found, key=lambda version: int(version["version"]))

    def runs(self) -> list[dict[str, Any]]:
        response = self.http(
            "GET", "/api/2.0/mlflow/experiments/get-by-name", {"experiment_name": self.name}
        )
        if response.status_code == 404:  # not made yet
            return []
        ids = [response.json()["experiment"]["experiment_id"]]
        found: list[dict[str, Any]] = self.call("POST", "runs/search", experiment_ids=ids).get(
            "runs", []
        )
        return found

    def aliases(self) -> dict[str, str]:
        model = self.call("GET", "registered-models/get", name=self.name)["registered_model"]
        return {entry["alias"]: entry["version"] for entry in model.get("aliases", [])}

    def set_alias(self, alias: str, version: str) -> None:
        content = {"name": self.name, "alias": alias, "version": version}
        self.call("POST", "registered-models/alias", **content)

    def artifacts(self, folder: str = "") -> dict[str, int]:
        """The files of this test's run, by their paths."""
        run = self.runs()[0]["info"]["run_id"]
        found = self.call("GET", "artifacts/list", run_id=run, path=folder).get("files", [])
        return {entry["path"]: int(entry["file_size"]) for entry in found}

    def file(self, path: str, method: str = "GET", data: bytes | None = None) -> bytes:
        """A file of this test's run; or of its version, where the path begins with `version/`."""
        base, inner = self.runs()[0]["info"]["artifact_uri"], path
        if path.startswith("version/"):
            base, inner = self.versions()[0]["source"], path.removeprefix("version/")
        response = requests.request(
            method,
            f"{self.url}/api/2.0/mlflow-artifacts/artifacts"
            f"{base.removeprefix('mlflow-artifacts:')}/{inner}",
            auth=("admin", PASSWORD),
            headers={"Host": "mlflow:5000"},
            data=data,
            timeout=20,
        )
        response.raise_for_status()
        return response.content

    def logged_models(self) -> list[dict[str, Any]]:
        """What this test's experiment has beside its runs."""
        ids = [run["info"]["experiment_id"] for run in self.runs()[:1]]
        found = self.call("POST", "logged-models/search", experiment_ids=ids)
        return list(found.get("models", []))


def ready(engine: Engine, warm: WarmEngine, network: str, container: Container) -> Mlflow:
    """The server once it lets stages in."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
        found = Mlflow(engine, warm, network, container, f"http://{address}:5000")
        with suppress(requests.RequestException):
            if found.lets_stages_in():
                return found
        time.sleep(0.5)
    raise TimeoutError(f"no MLflow after {SECONDS} s:\n{container.logs(tail=20).decode()}")


def sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def published(
    stage: str, files: Mapping[str, str | bytes], inputs: Mapping[str, str]
) -> dict[str, str | bytes]:
    """A directory as the platform publishes it."""
    manifest = {
        "version": 1,
        "stage": stage,
        "verb": "fit",
        "parameters": {},
        "image": f"microstage/{stage}:1.0.0",
        "image_id": f"sha256:{sha256(stage)}",
        "inputs": {name: {"sha256": digest, "size": 1} for name, digest in inputs.items()},
        "outputs": {
            name: {"sha256": sha256(text), "size": len(text)} for name, text in files.items()
        },
        "started": "2026-11-21T21:22:47+00:00",
        "run": {"dag": "train_model", "run": "dates__2013-01-10", "task": stage},
    }
    return {**files, "manifest.json": json.dumps(manifest, indent=2)}


RAW = {
    f"{day}/{file}": sha256(f"{day}{file}") for day in DAYS for file in ("data.csv", "target.csv")
}


COLUMNS = [
    {"name": "a", "kind": "numeric"},
    {"name": "größe (m²)", "kind": "categorical", "categories": ["groß", "klein"]},
]
TABLE = "a,größe (m²),target\n1,0,0\n2.5,,1\n"


def model_inputs(trees: str = "one tree", roc_auc: float = 0.75, *, numbers: bool = False) -> Files:
    """What track reads; models differ by their text, how good they are, and what they predict."""
    model = {
        "version": 1,
        "format": "lightgbm",
        "features": ["a", "größe (m²)"],
        "classes": ["0", "1"],
        "trained_on": {"days": DAYS[:2], "rows": 1600, "sha256": sha256("train")},
        "params": {"seed": 17, "learning_rate": 0.05},
        "versions": {"lightgbm": "4.7.0"},
    }
    metrics = {"rows": 800, "classes": ["0", "1"], "roc_auc": roc_auc, "log_loss": 0.5}
    if numbers:
        del model["classes"]
        model |= {"task": "regression", "loss": "squared"}
        metrics = {"rows": 800, "task": "regression", "rmse": 3.5, "mae": 2.25, "r2": None}
    spec = json.dumps({"version": 1, "columns": COLUMNS, "classes": ["0", "1"], "days": []})
    raw = {f"raw/{file}": digest for file, digest in RAW.items()}
    raw |= {f"raw/{day}/summary.json": sha256(day) for day in DAYS}
    files: Files = {
        "processed": published(
            "preprocess", {"train_data.csv": TABLE, "preprocess.json": spec}, raw
        ),
        "split": published("split", {"train.csv": "a,target\n1,0\n", "val.csv": "a,target\n"}, {}),
        "model": published(
            "train",
            {
                "model.txt": trees,
                "model.json": json.dumps(model, ensure_ascii=False),
                "preprocess.json": spec,
                "summary.json": "{}",
            },
            {},
        ),
        "validation": published(
            "validate",
            {"metrics.json": json.dumps(metrics), "roc.csv": "a,b\n1,2\n", "summary.json": "{}"},
            {},
        ),
    }
    return files


def using(used: object, folder: str = "model") -> Files:
    """What track reads, the manifest of a directory saying that to make it took 12.5 s and this."""
    files: dict[str, Any] = dict(model_inputs())
    told = {**json.loads(files[folder]["manifest.json"]), "seconds": 12.5, "used": used}
    files[folder] = {**files[folder], "manifest.json": json.dumps(told)}
    return files


def tracked(mlflow: Mlflow, trees: str) -> Result:
    """Track a model, for a test that begins with one in MLflow."""
    return mlflow.ok("track", model_inputs(trees))
