"""Versions that release 1.0.0 recorded: their files are a run's, and no logged model's."""

import hashlib
import json

from registry.server import DAYS, Mlflow, sha256

FILES = {"model.txt": "an older tree", "model.json": "{}", "preprocess.json": "{}"}
RAW = json.dumps({"raw": {"2013-01-08/data.csv": sha256("data")}}).encode()


def test_what_the_last_release_put_into_production_is_fetched(mlflow: Mlflow) -> None:
    experiment = mlflow.call("POST", "experiments/create", name=mlflow.name)["experiment_id"]
    fields = {"experiment_id": experiment, "run_name": DAYS[-1]}
    run = mlflow.call("POST", "runs/create", **fields)["run"]["info"]
    for name, content in FILES.items():
        mlflow.file(f"model/{name}", "PUT", content.encode())
    mlflow.file("lineage/raw.json", "PUT", RAW)
    mlflow.call("POST", "registered-models/create", name=mlflow.name)
    tags = {
        "microstage.key": "a key",
        "date": DAYS[-1],
        "experiment_id": experiment,
        "lineage/raw.json": hashlib.sha256(RAW).hexdigest(),
        **{f"sha256.{name}": sha256(content) for name, content in FILES.items()},
    }
    mlflow.call(
        "POST",
        "model-versions/create",
        name=mlflow.name,
        source=f"{run['artifact_uri']}/model",
        run_id=run["run_id"],
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    mlflow.set_alias("production", "1")
    result = mlflow.ok("fetch")

    assert FILES == {name: (result.out / name).read_text("utf-8") for name in FILES}
    described = json.loads((result.out / "version.json").read_text("utf-8"))
    assert json.loads(RAW)["raw"] == described["raw"]
    assert ("1", DAYS[-1]) == (described["version"], described["date"])
