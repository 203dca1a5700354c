"""scripts/lineage: what made a directory, and that nothing of it has changed since."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_data import publish, run_row

from microstage.jobs import Job
from microstage.pipelines import load_pipeline
from microstage.replacing import remove

ROOT = Path(__file__).resolve().parents[2]
DAYS = ["2013-01-11", "2013-01-12", "2013-01-13"]
TODAY = "2013-01-14"


def train(data: Path, text: str = "") -> None:
    ds = DAYS[-1]
    publish(data, "preprocess", ds, window=len(DAYS))
    for stage in ("split", "train"):
        publish(data, stage, ds, text)


def predict(data: Path, model: str) -> None:
    publish(data, "generate", TODAY)
    for stage in ("transform", "predict"):
        publish(data, stage, TODAY, model=model)


@pytest.fixture
def data(tmp_path: Path, either_file_system: None) -> Path:
    """Three days of raw data, the model trained on them, and the day after predicted by it."""
    for day in DAYS:
        publish(tmp_path, "generate", day)
    train(tmp_path)
    predict(tmp_path, f"models/{DAYS[-1]}")
    return tmp_path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(data: Path) -> None:
    """Publish production/<today>: the model as the registry gives it, with its version.json."""
    model = data / "models" / DAYS[-1]
    files = {name: (model / name).read_text() for name in ("model.txt", "model.json")}
    version = {
        "name": "microstage",
        "version": "3",
        "date": DAYS[-1],
        "files": {**{name: sha256(model / name) for name in files}, "metrics.json": "0"},
        "raw": {
            f"{day}/{name}": sha256(data / "raw" / day / name)
            for day in DAYS
            for name in ("data.csv", "target.csv")
        },
    }
    files["version.json"] = json.dumps(version)
    row = replace(
        load_pipeline().row("generate"),
        stage="fetch",
        verb="fetch",
        image="microstage/registry:1.0.0",
        to="production/{ds}",
        files=tuple(files),
    )
    run_row(data, Job(load_pipeline(), row, {}, {}, f"production/{TODAY}"), files)


@pytest.fixture
def production(data: Path) -> Path:
    """The same, with predictions by the model in production."""
    fetch(data)
    predict(data, f"production/{TODAY}")
    return data


Lineage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lineage(tmp_path: Path) -> Lineage:
    def run(name: str = f"predictions/{TODAY}", *options: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [ROOT / "scripts/lineage", name, "--data", tmp_path, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def loud(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("!!! ")]


def test_a_prediction_is_traced_to_raw_data(data: Path, lineage: Lineage) -> None:
    done = lineage()
    names = [line.strip("├└│─ ").partition("  ")[0] for line in done.stdout.splitlines()]

    assert [
        f"predictions/{TODAY}",
        "models/2013-01-13",
        "processed/2013-01-13",
        "raw/2013-01-11 … 2013-01-13 (3 days)",
        "processed/2013-01-13/split",
        "processed/2013-01-13",
        f"features/{TODAY}",
        f"raw/{TODAY}",
        "models/2013-01-13",
    ] == names
    assert (0, []) == (done.returncode, loud(done))
    assert "Intact: 9 directories" in done.stderr


def test_image_stage_time_and_run_are_shown(data: Path, lineage: Lineage) -> None:
    manifest = json.loads((data / f"predictions/{TODAY}/manifest.json").read_text())
    short_id = manifest["image_id"].removeprefix("sha256:")[:12]
    first = lineage().stdout.splitlines()[0]

    assert f"predict: predict:1.0.0 predict ({short_id})" in first
    assert f"run some_dag run-predictions/{TODAY}" in first
    assert manifest["started"][:10] in first


def test_what_was_shown_is_referred_to(data: Path, lineage: Lineage) -> None:
    out = lineage().stdout

    assert 1 == out.count("train: train:1.0.0 fit")
    assert out.splitlines()[-1].endswith("models/2013-01-13  (above)")


def test_what_was_shown_under_a_neighbour_is_referred_to(data: Path, lineage: Lineage) -> None:
    publish(data, "validate", DAYS[-1])
    out = lineage("models/2013-01-13/validation").stdout

    assert 1 == out.count("split: preprocess:1.0.0 split")
    assert out.splitlines()[-1].endswith("processed/2013-01-13/split  (above)")


@pytest.mark.parametrize(
    "name",
    [
        f"predictions/{TODAY}/",
        f"predictions/{TODAY}/predictions.csv",
        "{data}/predictions/2013-01-14/summary.json",
    ],
)
def test_a_directory_may_be_named_by_a_path_or_a_file_in_it(
    data: Path, lineage: Lineage, name: str
) -> None:
    assert lineage().stdout == lineage(name.format(data=data)).stdout


def test_a_published_file_that_was_changed_is_told(data: Path, lineage: Lineage) -> None:
    (data / "models/2013-01-13/model.txt").write_text("another")
    done = lineage()

    assert 1 == done.returncode
    start = "!!! CHANGED: models/2013-01-13/model.txt was published as "
    assert [start] == [line[: len(start)] for line in loud(done)]
    assert "NOT INTACT: 1 problem in 9 directories" in done.stderr


def test_a_file_that_was_added_is_told(data: Path, lineage: Lineage) -> None:
    (data / f"features/{TODAY}/more.csv").write_text("x")

    assert [f"!!! ADDED: features/{TODAY}/more.csv, which no stage published"] == loud(lineage())


def test_labels_that_came_after_the_data_were_read_are_no_problem(
    tmp_path: Path, lineage: Lineage
) -> None:
    raw = tmp_path / "raw" / TODAY
    raw.mkdir(parents=True)
    (raw / "data.csv").write_text("x\n1\n")
    for day in DAYS:
        publish(tmp_path, "generate", day)
    train(tmp_path)
    for stage in ("transform", "predict"):
        publish(tmp_path, stage, TODAY, model=f"models/{DAYS[-1]}")
    (raw / "target.csv").write_text("target\n1\n")
    done = lineage()

    assert (0, []) == (done.returncode, loud(done))
    assert f"raw/{TODAY}  from outside (no manifest)" in done.stdout


def test_a_file_put_beside_published_raw_data_is_noted(data: Path, lineage: Lineage) -> None:
    (data / f"raw/{TODAY}/remarks.txt").write_text("x")
    done = lineage()
    line = next(line for line in done.stdout.splitlines() if "added" in line)

    assert (0, []) == (done.returncode, loud(done))
    assert f"added: raw/{TODAY}/remarks.txt, which no stage published" == line.strip("│ ")


def test_a_file_put_beside_raw_data_that_changed_once_it_was_read_is_told(
    data: Path, lineage: Lineage
) -> None:
    (data / f"raw/{TODAY}/remarks.txt").write_text("x")
    predict(data, f"models/{DAYS[-1]}")
    intact = lineage()
    (data / f"raw/{TODAY}/remarks.txt").write_text("y")
    start = f"!!! REPLACED: raw/{TODAY} is not what features/{TODAY} was made from: remarks.txt "

    assert (0, []) == (intact.returncode, loud(intact))
    assert [start] == [line[: len(start)] for line in loud(lineage())]


def test_a_model_trained_again_is_told(data: Path, lineage: Lineage) -> None:
    shutil.rmtree(data / "models")
    train(data, "again")
    done = lineage()

    assert 1 == done.returncode
    assert 2 == len(loud(done))
    for reader in (f"predictions/{TODAY}", f"features/{TODAY}"):
        start = f"!!! REPLACED: models/2013-01-13 is not what {reader} was made from: model"
        assert any(line.startswith(start) for line in loud(done))
    assert "; made 20" in loud(done)[-1]


def test_raw_data_from_outside_is_shown_and_checked(data: Path, lineage: Lineage) -> None:
    for day in DAYS:
        (data / "raw" / day / "manifest.json").unlink()
    intact = lineage()
    (data / "raw/2013-01-12/data.csv").write_text("x\n2\n")
    replaced = lineage()

    assert 0 == intact.returncode
    assert "raw/2013-01-11 … 2013-01-13 (3 days)  from outside (no manifest)" in intact.stdout
    assert 1 == replaced.returncode
    assert "raw/2013-01-11 … 2013-01-13 (2 days)" in replaced.stdout
    start = "!!! REPLACED: raw/2013-01-12 is not what processed/2013-01-13 was made from: data.csv"
    assert [start] == [line[: len(start)] for line in loud(replaced)]


def test_what_is_missing_is_told(data: Path, lineage: Lineage) -> None:
    remove(data / "raw/2013-01-12")
    (data / "processed/2013-01-13/manifest.json").unlink()
    (data / f"features/{TODAY}/data.csv").unlink()
    (data / "models/2013-01-13/manifest.json").write_text("{}")
    done = lineage()

    assert 1 == done.returncode
    assert {
        "!!! UNREADABLE: models/2013-01-13/manifest.json or version.json in it is not as it was "
        "written",
        f"!!! MISSING: features/{TODAY}/data.csv, which was published there",
    } <= set(loud(done))
    done = lineage("processed/2013-01-13/split")
    assert (
        "!!! MISSING: processed/2013-01-13/manifest.json, so what made the directory is not known"
        in loud(done)
    )


def test_a_directory_that_is_gone_is_told(data: Path, lineage: Lineage) -> None:
    remove(data / "raw/2013-01-12")

    done = lineage()

    assert ["!!! MISSING: the directory raw/2013-01-12 is not there any more"] == loud(done)
    assert any(line.endswith("─ raw/2013-01-12  MISSING") for line in done.stdout.splitlines())
    assert "from outside" not in done.stdout
    assert "NOT INTACT: 1 problem in 9 directories" in done.stderr


def test_a_model_in_production_is_traced_to_the_model_that_was_registered(
    production: Path, lineage: Lineage
) -> None:
    done = lineage()
    line = next(line for line in done.stdout.splitlines() if f"production/{TODAY}" in line)

    assert (0, []) == (done.returncode, loud(done))
    assert "model microstage version 3, trained 2013-01-13" in line
    assert "models/2013-01-13  train: train:1.0.0 fit" in done.stdout


SUPERSEDED = (
    "superseded: models/2013-01-13 was trained anew since; the tree goes on by version.json"
)


def test_a_registered_model_that_was_changed_is_told(production: Path, lineage: Lineage) -> None:
    (production / "models/2013-01-13/model.txt").write_text("another")
    (production / "raw/2013-01-12/target.csv").unlink()
    done = lineage()

    assert 1 == done.returncode
    start = "!!! CHANGED: models/2013-01-13/model.txt was published as "
    assert [
        start,
        "!!! MISSING: raw/2013-01-12/target.csv, which was published there",
    ] == [line[: len(start)] if line.startswith(start) else line for line in loud(done)]


@pytest.fixture
def superseded(production: Path) -> Path:
    """The same, and then the model of that day was trained anew, to another one."""
    shutil.rmtree(production / "models")
    train(production, "again")
    return production


def test_a_model_trained_anew_after_its_copy_was_registered_is_no_problem(
    superseded: Path, lineage: Lineage
) -> None:
    done = lineage()
    lines = done.stdout.splitlines()

    assert (0, []) == (done.returncode, loud(done))
    assert [SUPERSEDED] == [line.strip("│ ") for line in lines if "superseded" in line]
    assert "raw/2013-01-11 … 2013-01-13 (3 days)" in done.stdout
    assert "processed" not in done.stdout


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("models/2013-01-13/model.txt", "CHANGED: models/2013-01-13/model.txt was published as "),
        ("raw/2013-01-12/data.csv", "CHANGED: raw/2013-01-12/data.csv was published as "),
        (f"production/{TODAY}/model.txt", f"CHANGED: production/{TODAY}/model.txt was published"),
    ],
)
def test_of_a_superseded_model_a_file_that_was_changed_is_told(
    superseded: Path, lineage: Lineage, path: str, start: str
) -> None:
    (superseded / path).write_text("another")
    done = lineage()

    assert 1 == done.returncode
    assert [f"!!! {start}"] == [line[: len(start) + 4] for line in loud(done)]
    assert SUPERSEDED in done.stdout


def test_of_a_superseded_model_raw_data_that_were_published_anew_are_told(
    superseded: Path, lineage: Lineage
) -> None:
    remove(superseded / "raw/2013-01-12")
    publish(superseded, "generate", "2013-01-12", "again")
    start = f"!!! REPLACED: raw/2013-01-12 is not what production/{TODAY} was made from: data.csv "

    assert [start] == [line[: len(start)] for line in loud(lineage())]


def test_a_copy_in_production_that_was_replaced_since_is_told(
    superseded: Path, lineage: Lineage
) -> None:
    shutil.rmtree(superseded / "production")
    fetch(superseded)
    done = lineage()

    assert 1 == done.returncode
    for reader in (f"predictions/{TODAY}", f"features/{TODAY}"):
        start = f"!!! REPLACED: production/{TODAY} is not what {reader} was made from: model"
        assert any(line.startswith(start) for line in loud(done))


def test_a_registered_model_that_is_gone_is_told_and_its_raw_data_shown(
    production: Path, lineage: Lineage
) -> None:
    shutil.rmtree(production / "models")
    done = lineage()

    assert ["!!! MISSING: the directory models/2013-01-13 is not there any more"] == loud(done)
    assert "─ models/2013-01-13  MISSING" in done.stdout
    assert "the tree goes on by version.json, for want of models/2013-01-13/manifest.json" in (
        done.stdout
    )
    assert "raw/2013-01-11 … 2013-01-13 (3 days)" in done.stdout


def test_a_copy_that_is_not_what_was_registered_is_told(production: Path, lineage: Lineage) -> None:
    path = production / f"production/{TODAY}/version.json"
    version = json.loads(path.read_text())
    version["files"]["model.txt"] = "0" * 64
    path.write_text(json.dumps(version))
    told = loud(lineage())

    assert (
        f"!!! CHANGED: production/{TODAY}/model.txt is not what version.json says was registered"
        in told
    )


def test_predictions_name_the_model_version_of_their_manifest(
    production: Path, lineage: Lineage
) -> None:
    path = production / f"predictions/{TODAY}/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["model"] = {"path": f"production/{TODAY}", "name": "microstage", "version": "3"}
    path.write_text(json.dumps(manifest))

    assert "model microstage version 3" in lineage().stdout.splitlines()[0]


def test_days_that_are_alike_share_a_line_and_their_model(data: Path, lineage: Lineage) -> None:
    days = ["2013-01-15", "2013-01-16", TODAY]
    for day in days[:2]:
        publish(data, "generate", day)
        for stage in ("transform", "predict"):
            publish(data, stage, day, model="models/2013-01-13")
    row = replace(
        load_pipeline().row("predict"), stage="monitor", files=("report.html",), to="reports/{ds}"
    )
    sources = {f"predictions/{day}": f"predictions/{day}" for day in days}
    job = Job(load_pipeline(), row, {}, sources, "reports/2013-01-16")
    run_row(data, job, {"report.html": "x"})
    out = lineage("reports/2013-01-16").stdout

    assert "predictions/2013-01-14 … 2013-01-16 (3 days)" in out
    assert "features/2013-01-14 … 2013-01-16 (3 days)" in out
    assert 1 == out.count("train: train:1.0.0 fit")


def test_a_program_can_read_it(data: Path, lineage: Lineage) -> None:
    (data / f"predictions/{TODAY}/predictions.csv").unlink()
    done = lineage(f"predictions/{TODAY}", "--json")
    found = json.loads(done.stdout)

    assert 1 == done.returncode
    assert (f"predictions/{TODAY}", False) == (found["directory"], found["intact"])
    assert [f"MISSING: predictions/{TODAY}/predictions.csv, which was published there"] == found[
        "directories"
    ][f"predictions/{TODAY}"]["problems"]
    assert ["models/2013-01-13", f"features/{TODAY}"] == found["directories"][
        f"predictions/{TODAY}"
    ]["sources"]


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("predictions/2013-02-01", 66, "There is no predictions/2013-02-01 in"),
        ("predictions", 66, "predictions is no published directory; name one of a day in it."),
        ("../elsewhere", 64, "is not a path below the data folder"),
        ("--no-such-option", 64, "scripts/lineage: "),
    ],
)
def test_what_it_cannot_show_is_refused_in_a_sentence(
    data: Path, lineage: Lineage, name: str, code: int, sentence: str
) -> None:
    done = lineage(name)

    assert code == done.returncode
    assert sentence in done.stderr.splitlines()[-1]
