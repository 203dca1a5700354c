"""What track records in MLflow, once and for all."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import Result
from registry.server import DAYS, RAW, Mlflow, model_inputs, sha256, tracked, using


def described(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((result.out / "version.json").read_text("utf-8"))
    return content


def values(run: dict[str, Any], kind: str) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in run["data"].get(kind, [])}


def test_a_run_says_how_the_model_was_made(mlflow: Mlflow) -> None:
    tracked(mlflow, "one tree")
    (run,) = mlflow.runs()
    params, tags = values(run, "params"), values(run, "tags")

    assert ("FINISHED", DAYS[-1]) == (run["info"]["status"], run["info"]["run_name"])
    assert {
        "seed": "17",
        "learning_rate": "0.05",
        "format": "lightgbm",
        "features": "2",
        "classes": "2",
        "window_days": "3",
        "window_first": DAYS[0],
        "window_last": DAYS[-1],
        "trained_on_days": "2",
        "trained_on_first": DAYS[0],
        "trained_on_last": DAYS[1],
        "trained_on_rows": "1600",
        "version_lightgbm": "4.7.0",
    } == params
    assert {"rows": 800, "roc_auc": 0.75, "log_loss": 0.5} == values(run, "metrics")
    own = {name: value for name, value in tags.items() if not name.startswith("mlflow.")}
    assert ("train_model", "dates__2013-01-10") == (own["airflow.dag"], own["airflow.run"])
    assert {"airflow.dag", "airflow.run", "date", "microstage.key"} == own.keys()
    digests = json.loads(mlflow.file("lineage/digests.json"))
    assert sha256("a,target\n1,0\n") == digests["split/train.csv"]


def test_data_and_metrics_are_linked(mlflow: Mlflow) -> None:
    tracked(mlflow, "one tree")
    (run,), (model,) = mlflow.runs(), mlflow.logged_models()
    found = {
        one["tags"][0]["value"]: (
            one["dataset"]["digest"],
            json.loads(one["dataset"]["source"])["days"],
            json.loads(one["dataset"]["profile"])["num_rows"],
        )
        for one in run["inputs"]["dataset_inputs"]
    }

    assert {
        "training": (sha256("a,target\n1,0\n")[:32], DAYS[:2], 1600),
        "validation": (sha256("a,target\n")[:32], DAYS[2:], 800),
    } == found
    assert model["info"]["model_id"] == run["outputs"]["model_outputs"][0]["model_id"]
    measured = {one["key"]: one["dataset_name"] for one in model["data"]["metrics"]}
    assert dict.fromkeys(("rows", "roc_auc", "log_loss"), "validation") == measured


def test_a_model_of_numbers_is_told_by_its_errors(mlflow: Mlflow) -> None:
    mlflow.ok("track", model_inputs(numbers=True))
    (run,) = mlflow.runs()

    assert {"rows": 800, "rmse": 3.5, "mae": 2.25} == values(run, "metrics")
    assert "regression" == values(run, "params")["task"]
    assert "classes" not in values(run, "params")
    assert "RMSE 3.500, MAE 2.250" in values(run, "tags")["mlflow.note.content"]


USED = {
    "memory": 512 * 2**20,
    "cpu_seconds": 20.12,
    "bytes_read": 3 * 2**19,
    "bytes_written": 0,
    "of_another_engine": "7",
}


def of_use(run: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values(run, "metrics").items() if k.startswith("used")}


def test_a_run_and_its_version_say_what_the_training_used(mlflow: Mlflow) -> None:
    result = mlflow.ok("track", using(USED))
    (run,) = mlflow.runs()

    assert {
        "used.seconds": 12.5,
        "used.cpu_seconds": 20.12,
        "used.memory_mib": 512,
        "used.read_mib": 1.5,
        "used.written_mib": 0,
    } == of_use(run)
    known = {name: value for name, value in USED.items() if name != "of_another_engine"}
    assert {"seconds": 12.5, **known} == described(result)["used"]
    assert "used.seconds" not in result.summary


@pytest.mark.parametrize("used", [None, {}, [1], "a lot", 7])
def test_of_a_training_that_nobody_watched_nothing_is_told(mlflow: Mlflow, used: object) -> None:
    result = mlflow.ok("track", using(used))
    (run,), (version,) = mlflow.runs(), mlflow.versions()

    assert {} == of_use(run)
    assert "used" not in described(result)
    assert "used" not in {tag["key"] for tag in version["tags"]}


def test_what_is_no_amount_is_left_out(mlflow: Mlflow) -> None:
    odd = {"memory": -1, "cpu_seconds": "7", "bytes_read": 10**400, "bytes_written": True}
    result = mlflow.ok("track", using(odd))
    (run,) = mlflow.runs()

    assert {"used.seconds": 12.5} == of_use(run)
    assert {"seconds": 12.5} == described(result)["used"]


def test_what_other_stages_used_is_not_the_trainings(mlflow: Mlflow) -> None:
    mlflow.ok("track", using(USED, "validation"))
    (run,) = mlflow.runs()

    assert {} == of_use(run)


def test_the_same_model_is_the_same_version_whatever_it_used(mlflow: Mlflow) -> None:
    first = mlflow.ok("track", using(USED))
    again = mlflow.ok("track", using({"memory": 1}))

    assert described(first) == described(again)
    assert 1 == len(mlflow.versions())


def test_all_files_are_there(mlflow: Mlflow) -> None:
    files: Any = model_inputs()
    mlflow.ok("track", files)
    model = {name: files["model"][name] for name in ("model.txt", "model.json", "preprocess.json")}
    expected = {
        **{f"version/{name}": content for name, content in model.items()},
        "version/metrics.json": files["validation"]["metrics.json"],
        "validation/metrics.json": files["validation"]["metrics.json"],
        "validation/roc.csv": files["validation"]["roc.csv"],
        "lineage/preprocess.json": files["processed"]["manifest.json"],
        "lineage/split.json": files["split"]["manifest.json"],
        "lineage/train.json": files["model"]["manifest.json"],
        "lineage/validate.json": files["validation"]["manifest.json"],
    }

    assert {"raw": RAW} == json.loads(mlflow.file("version/lineage/raw.json"))
    assert expected == {path: mlflow.file(path).decode() for path in expected}
    found = {path for f in ("validation", "lineage") for path in mlflow.artifacts(f)}
    of_run = {path for path in expected if not path.startswith("version/")}
    assert {*of_run, "lineage/digests.json"} == found


def test_the_version_is_described(mlflow: Mlflow) -> None:
    files: Any = model_inputs()
    result = mlflow.ok("track", files)
    (run,), (version,) = mlflow.runs(), mlflow.versions()
    names = ["model.json", "model.txt", "preprocess.json"]
    digests = {name: sha256(files["model"][name]) for name in names}
    digests["metrics.json"] = sha256(files["validation"]["metrics.json"])
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}

    assert {
        "name": mlflow.name,
        "version": "1",
        "run_id": run["info"]["run_id"],
        "experiment_id": run["info"]["experiment_id"],
        "date": DAYS[-1],
        "files": digests,
        "raw": RAW,
    } == described(result)
    assert {f"sha256.{name}": digest for name, digest in digests.items()}.items() <= tags.items()
    assert DAYS[-1] == tags["date"]
    (model,) = mlflow.logged_models()
    assert model["info"]["artifact_uri"] == version["source"]
    assert ("LOGGED_MODEL_READY", mlflow.name) == (model["info"]["status"], model["info"]["name"])
    assert {"version": "1", "roc_auc": 0.75, "created": True}.items() <= result.summary.items()


def test_people_read_what_it_learned_from_and_how_good_it_is(mlflow: Mlflow) -> None:
    tracked(mlflow, "one tree")
    (run,), (version,) = mlflow.runs(), mlflow.versions()
    stages = ("preprocess", "split", "train", "validate")
    note = (
        "- Learned from 1600 rows of 2 days, 2013-01-08 – 2013-01-09\n"
        "- Validation: AUC 0.750, log loss 0.500, 800 rows of 2013-01-10\n"
        f"- Images: {', '.join(f'{stage} `{sha256(stage)[:12]}`' for stage in stages)}\n"
        "- What is behind it: `scripts/lineage models/2013-01-10`\n"
    )

    assert note == version["description"]
    assert note == values(run, "tags")["mlflow.note.content"]


def test_tracking_the_same_again_changes_nothing(mlflow: Mlflow) -> None:
    first = tracked(mlflow, "one tree")
    before = mlflow.runs(), mlflow.versions()
    again = tracked(mlflow, "one tree")

    assert before == (mlflow.runs(), mlflow.versions())
    assert described(first) == described(again)
    assert {**first.summary, "created": False} == again.summary


def test_times_in_manifests_make_no_new_version(mlflow: Mlflow) -> None:
    tracked(mlflow, "one tree")
    files: Any = model_inputs("one tree")
    files["model"]["manifest.json"] = files["model"]["manifest.json"].replace("2026", "2027")
    mlflow.ok("track", files)

    assert 1 == len(mlflow.versions())


def test_another_model_is_another_version(mlflow: Mlflow) -> None:
    one, other = tracked(mlflow, "one tree"), tracked(mlflow, "two trees")

    assert ("1", "2") == (described(one)["version"], described(other)["version"])
    assert 2 == len(mlflow.runs())


def test_what_a_killed_try_left_is_finished(mlflow: Mlflow) -> None:
    files: Any = model_inputs("a large tree " * 10**6)
    command = ["track", "--name", mlflow.name, "--date", DAYS[-1]]
    start = mlflow.engine.start
    with start("registry", command, inputs=files, **mlflow.options()) as container:
        deadline = time.monotonic() + 20
        while not mlflow.runs() and time.monotonic() < deadline:
            time.sleep(0.02)
        container.kill("SIGKILL")
    left = mlflow.runs()

    assert [] == mlflow.versions()
    assert ["RUNNING"] == [run["info"]["status"] for run in left]
    mlflow.ok("track", files)
    (run,), (version,) = mlflow.runs(), mlflow.versions()
    assert (left[0]["info"]["run_id"], "FINISHED") == (run["info"]["run_id"], run["info"]["status"])
    assert run["info"]["run_id"] == version["run_id"]
    assert files["model"]["model.txt"] == mlflow.file("version/model.txt").decode()
    assert 1 == len(mlflow.logged_models())


def test_a_run_whose_version_was_made_is_ended_by_the_next_try(mlflow: Mlflow) -> None:
    tracked(mlflow, "one tree")
    (run,) = mlflow.runs()
    mlflow.call("POST", "runs/update", run_id=run["info"]["run_id"], status="RUNNING")
    tracked(mlflow, "one tree")

    assert ["FINISHED"] == [run["info"]["status"] for run in mlflow.runs()]
    assert 1 == len(mlflow.versions())


def test_two_at_once_agree_on_one_version(mlflow: Mlflow) -> None:
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda _: tracked(mlflow, "one tree"), range(2)))
    one, other = map(described, results)

    assert one == other
    assert [one["version"]] == [version["version"] for version in mlflow.versions()]
    assert [one["run_id"]] == [run["info"]["run_id"] for run in mlflow.runs()]


def with_file(folder: str, name: str, content: str | None) -> Any:
    files: Any = model_inputs()
    if content is None:
        del files[folder][name]
    else:
        files[folder][name] = content
    return files


@pytest.mark.parametrize(
    ("folder", "name", "content", "code", "words"),
    [
        ("model", "model.txt", "half a tr", 65, "model/model.txt is not as its manifest says"),
        ("validation", "roc.csv", "", 65, "validation/roc.csv is not as its manifest says"),
        ("split", "val.csv", None, 66, "split/val.csv"),
        ("model", "manifest.json", None, 66, "model/manifest.json"),
        ("model", "manifest.json", '{"stage": "tr', 65, "model/manifest.json is not JSON"),
        ("model", "manifest.json", "[]", 65, "model/manifest.json is no object with stage"),
        ("model", "manifest.json", '{"outputs": 1}', 65, "model/manifest.json is no object"),
    ],
)
def test_inputs_that_are_not_as_they_were_published_are_refused(
    mlflow: Mlflow, folder: str, name: str, content: str | None, code: int, words: str
) -> None:
    result = mlflow.run("track", with_file(folder, name, content))

    assert (code, []) == (result.code, mlflow.runs())
    assert words in result.last_error


@pytest.mark.parametrize("value", ["", "2013-1-13", "20130113", "yesterday"])
def test_what_is_no_date_is_wrong_usage(mlflow: Mlflow, value: str) -> None:
    command = ["track", "--name", mlflow.name, "--date", value]
    result = mlflow.engine.run("registry", command, inputs=model_inputs(), **mlflow.options())

    assert 64 == result.code
    assert "--date" in result.last_error
