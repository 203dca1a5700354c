"""What goes of old data, and what stays because something that is kept needs it."""

import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from made_data import publish, run_row
from unit_harness import cannot_exchange, names

from microstage.data_folder import MANIFEST, VERSIONS, DataFolder, digest, plain, walk
from microstage.errors import BAD_DATA, USAGE, StageError
from microstage.jobs import resolve
from microstage.keeping import Going, days_of, going
from microstage.needed import Graph, Plan, clear, plan
from microstage.old_logs import clear as clear_logs
from microstage.pipelines import load_pipeline

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2013, 12, 31)
FOLDERS = ["raw", "processed", "features", "models", "production", "predictions", "rollbacks"]
DAYS = dict.fromkeys(FOLDERS, 100)
MODEL = ("model.txt", "model.json", "preprocess.json")
# The four models, each of the day before and its own: what they were made from, and they.
MODELS = {number: [f"2013-0{number}-01", f"2013-0{number}-02"] for number in (1, 2, 3, 4)}
PREDICTED = {"2013-01-10": 1, "2013-02-10": 2, "2013-12-20": 3}  # day -> the model's version


def told(data: Path, stage: str, ds: str, content: dict[str, Any], **more: str) -> None:
    """Publish a row whose first file is this JSON; of the others these."""
    job = resolve(load_pipeline(), stage, ds)
    run_row(data, job, {**more, job.row.files[0]: json.dumps(content)})


def described(data: Path, number: int) -> dict[str, Any]:
    """Return version.json of a model."""
    ds = MODELS[number][-1]
    raw = {f"{day}/data.csv": sha256(data / f"raw/{day}/data.csv") for day in MODELS[number]}
    files = {name: sha256(data / f"models/{ds}/{name}") for name in MODEL}
    return {"name": "microstage", "version": str(number), "date": ds, "raw": raw, "files": files}


def sha256(path: Path) -> str:
    found: str = digest(path)["sha256"]
    return found


def train(data: Path, number: int) -> None:
    """Publish a model and all before it, and register it."""
    ds = MODELS[number][-1]
    for day in MODELS[number]:
        publish(data, "generate", day)
    publish(data, "preprocess", ds, window=2)
    for stage in ("split", "train", "validate"):
        publish(data, stage, ds)
    told(data, "track", ds, described(data, number))


def move(data: Path, stage: str, ds: str, production: int, previous: int | None) -> None:
    """Publish which versions are in production, and were before, from that day on."""
    version = previous if previous is None else str(previous)
    content = {"name": "microstage", "production": str(production), "previous": version}
    if stage == "rollback":
        fetch(data, "outgoing", ds, production)
    else:
        publish(data, "compare", ds)
    told(data, stage, ds, content)


def fetch(data: Path, stage: str, ds: str, number: int) -> None:
    """Publish a copy of a registered model."""
    folder = data / "models" / MODELS[number][-1]
    files = {name: (folder / name).read_text() for name in MODEL}
    job = resolve(load_pipeline(), stage, ds)
    run_row(data, job, {**files, "version.json": json.dumps(described(data, number))})


def predict(data: Path, ds: str, number: int) -> None:
    """Publish the predictions of a day by a version in production."""
    publish(data, "generate", ds)
    fetch(data, "fetch", ds, number)
    for stage in ("transform", "predict"):
        publish(data, stage, ds, model=f"production/{ds}")


def as_of_its_day(data: Path) -> None:
    """Let everything have been made on the day that it is of."""
    for directory, files in walk(data):
        if MANIFEST in files:
            manifest = json.loads((directory / MANIFEST).read_text())
            manifest["started"] = f"{directory.relative_to(data).parts[1]}T12:00:00+00:00"
            (directory / MANIFEST).write_text(json.dumps(manifest))


@pytest.fixture(scope="module", params=["exchange", "links"])
def year(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shipped: Path
) -> Iterator[Path]:
    """A year: three models went into production one after the other; the fourth was rejected.

    By either of the ways in which data are published.
    """
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "links":
            cannot_exchange(patched)
        yield publish_year(tmp_path_factory.mktemp("year"))


def publish_year(data: Path) -> Path:
    for number, (_, ds) in MODELS.items():
        train(data, number)
        if number != 4:
            move(data, "promote", ds, number, number - 1 or None)
    for ds, number in PREDICTED.items():
        predict(data, ds, number)
    as_of_its_day(data)
    return data


@pytest.fixture
def data(year: Path, tmp_path: Path) -> DataFolder:
    """A copy of that year, to be changed."""
    subprocess.run(["cp", "-a", year, tmp_path / "data"], check=True)
    return DataFolder.at(tmp_path / "data")


def planned(data: DataFolder, without: Iterable[str] = (), **options: Any) -> Plan:
    """Return what goes by a limit of a hundred days, but for folders without a limit."""
    days = {folder: number for folder, number in DAYS.items() if folder not in without}
    return plan(Graph(load_pipeline(), data), days, TODAY, **options)


def goes(found: Plan) -> set[str]:
    return {unit.name for unit in found.goes}


def behind(number: int) -> set[str]:
    """Return what is behind a model, and it itself."""
    ds = MODELS[number][-1]
    return {*(f"raw/{day}" for day in MODELS[number]), f"processed/{ds}", f"models/{ds}"}


def of_predictions(ds: str) -> set[str]:
    return {f"{folder}/{ds}" for folder in ("raw", "production", "features", "predictions")}


OLD_PREDICTIONS = of_predictions("2013-01-10") | of_predictions("2013-02-10")


def test_what_is_old_goes_but_what_production_and_previous_were_made_from(
    data: DataFolder,
) -> None:
    found = planned(data)

    assert behind(1) | behind(4) | OLD_PREDICTIONS == goes(found)
    assert {*dict.fromkeys(behind(3), "production needs it").items()} <= found.stays.items()
    assert {*dict.fromkeys(behind(2), "previous needs it").items()} <= found.stays.items()


def test_after_a_rollback_it_is_what_the_rollback_says(data: DataFolder) -> None:
    move(data.root, "rollback", "2013-08-01", 2, 1)
    as_of_its_day(data.root)
    found = planned(data, without=["predictions"])

    # Without it, the promotion before would be taken for the newest.
    assert "it says what is in production" == found.stays["rollbacks/2013-08-01"]
    assert "production needs it" == found.stays["models/2013-02-02"]
    assert "previous needs it" == found.stays["models/2013-01-02"]
    assert "predictions that are kept need it" == found.stays["models/2013-03-02"]


def test_the_lineage_of_a_kept_prediction_stays_down_to_its_raw_data(data: DataFolder) -> None:
    found = planned(data, without=["predictions"])

    assert behind(4) == goes(found)
    why = {
        found.stays[name]
        for name in behind(1) | of_predictions("2013-01-10") - {"predictions/2013-01-10"}
    }
    assert {"predictions that are kept need it"} == why


def test_after_it_every_prediction_is_intact_still(data: DataFolder) -> None:
    found = planned(data)
    clear(data, found.goes)
    shown = subprocess.run(
        [ROOT / "scripts/lineage", "predictions/2013-12-20", "--data", data.root],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == shown.returncode, shown.stdout
    assert "models/2013-03-02" in shown.stdout
    left = set(names(data.root / "predictions"))
    versions = {plain(f"{VERSIONS}/{path.name}") for path in data.root.glob("predictions/.v*/*")}
    assert left == {"2013-12-20", *([VERSIONS] if versions else [])}
    assert versions <= {"2013-12-20"}
    assert [] == names(data.root / ".staging")
    assert set() == goes(planned(data))


def test_what_a_run_that_has_not_ended_may_need_stays(data: DataFolder) -> None:
    run = Going("train_model of April", "2013-04-01", "2013-04-03")
    found = planned(data, runs=[run])

    assert behind(1) | OLD_PREDICTIONS == goes(found)
    assert {"train_model of April has not ended"} == {found.stays[name] for name in behind(4)}


def test_what_is_in_use_in_another_way_stays(data: DataFolder) -> None:
    found = planned(data, in_use={"models/2013-04-02": "the Variable model_path names it"})

    assert not behind(4) & goes(found)
    assert "the Variable model_path names it" == found.stays["raw/2013-04-01"]


def test_what_a_person_put_there_stays(data: DataFolder) -> None:
    (data.root / "raw/2013-04-01" / MANIFEST).unlink()
    (data.root / "raw/2013-04-09").mkdir()
    (data.root / "raw/2013-04-09/data.csv").write_text("x\n")
    found = planned(data)

    assert not {"raw/2013-04-01", "raw/2013-04-09"} & goes(found)
    assert "no stage published it" == found.stays["raw/2013-04-09"]


def test_what_has_no_limit_or_was_made_of_late_stays(data: DataFolder) -> None:
    path = data.root / "features/2013-01-10" / MANIFEST
    path.write_text(path.read_text().replace("2013-01-10T12", "2013-12-01T12"))
    found = planned(data, without=["raw"])

    assert not {name for name in goes(found) if name.startswith("raw/")}
    assert "features/2013-01-10" not in goes(found)
    assert "features/2013-02-10" in goes(found)


def test_what_a_report_or_a_training_goes_back_over_stays_whatever_the_limit(
    data: DataFolder,
) -> None:
    graph = Graph(load_pipeline(), data)  # whose reports go back 28 days
    near, far = (
        goes(plan(graph, dict.fromkeys(FOLDERS, 1), date(2014, 1, day))) for day in (17, 18)
    )

    assert "predictions/2013-12-20" in far
    assert "predictions/2013-12-20" not in near


def test_another_pipeline_and_what_has_no_day_are_left_alone(data: DataFolder) -> None:
    (data.root / "flights/2013-01-01").mkdir(parents=True)
    (data.root / "flights/2013-01-01/file").touch()
    fetch(data.root, "standby", "2013-12-30", 1)
    found = planned(data)

    assert not {name for name in {*goes(found), *found.stays} if name.startswith("flights")}
    assert {"production/standby needs it"} == {found.stays[name] for name in behind(1)}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"stage": "x"}', "\udcff"])
def test_nothing_goes_where_a_manifest_does_not_tell_what_is_needed(
    data: DataFolder, text: str
) -> None:
    path = data.root / "predictions/2013-12-20" / MANIFEST
    path.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(StageError, match="nobody knows what is needed") as refused:
        Graph(load_pipeline(), data)
    assert BAD_DATA == refused.value.code


def test_it_says_what_goes_how_large_it_is_and_why_the_rest_stays(data: DataFolder) -> None:
    (data.root / "models/2013-04-02/large").write_bytes(bytes(3_000_000))
    lines = list(planned(data).lines())

    assert "models: 2 old, 3.0 MB: 2013-01-02 to 2013-04-02" in lines
    assert "raw: 2 old, kept: 2013-02-01 to 2013-02-02: previous needs it" in lines


def test_the_images_that_made_what_stays_are_known(data: DataFolder) -> None:
    graph = Graph(load_pipeline(), data)
    path = data.root / "models/2013-04-02" / MANIFEST
    image = json.loads(path.read_text())["image_id"]

    assert {image} < graph.images(without=[])
    assert set() == graph.images(without=graph.units.values())


# --- how long, and for which runs


def test_days_are_read_by_folder_and_what_is_none_is_refused() -> None:
    pipelines = [load_pipeline()]

    assert {"raw": 730, "logs": 9} == days_of("raw=730, logs=9", pipelines)
    assert [{}, {}] == [days_of(text, pipelines) for text in ("", "none")]
    for text in ("raw", "raw=", "raw=0", "raw=-1", "raw=x", "raw=1,raw=2", "raw=1;logs=2", "wra=1"):
        with pytest.raises(StageError, match=r"KEEP_DAYS in \.env") as refused:
            days_of(text, pipelines)
        assert USAGE == refused.value.code


def test_the_shipped_setting_names_folders_that_stages_write() -> None:
    [setting] = [
        line.partition("=")[2]
        for line in (ROOT / ".env.example").read_text().splitlines()
        if line.startswith("KEEP_DAYS=")
    ]

    assert set(FOLDERS) < set(days_of(setting, [load_pipeline()]))


def test_a_run_that_goes_on_may_need_all_days_that_it_is_about() -> None:
    pipeline = load_pipeline()
    moment = datetime(2013, 3, 1, tzinfo=UTC)

    def span(**conf: Any) -> tuple[str, str]:
        found = going(pipeline, "run", moment, conf)
        return found.first, found.last

    # A report goes back 28 days; and a day more, as no time zone is known here.
    assert ("2013-02-01", "2013-03-02") == span()
    assert ("2013-01-05", "2013-02-03") == span(day="2013-02-02")
    assert ("2012-11-21", "2013-03-02") == span(window=100)
    assert ("2012-12-05", "2013-02-02") == span(first="2013-01-02", last="2013-02-01")
    for conf in ({"day": "yesterday"}, {"window": "all"}, {"window": [1]}, {"window": 10**9}):
        with pytest.raises(StageError, match=r"nobody knows .* which days it needs") as refused:
            span(**conf)
        assert BAD_DATA == refused.value.code


def test_logs_that_are_old_go_with_the_folders_that_are_empty_then(tmp_path: Path) -> None:
    for run in ("old", "new", "both"):
        (tmp_path / "dag" / run).mkdir(parents=True)
    for name in ("old/1", "new/1", "both/1", "both/2"):
        (tmp_path / "dag" / name).write_bytes(bytes(500_000))
    then = time.time() - 10 * 86400
    for name in ("old/1", "both/1"):
        os.utime(tmp_path / "dag" / name, (then, then))

    said = clear_logs(tmp_path, 9, dry_run=True)
    before = names(tmp_path / "dag")
    assert [said] * 2 == [clear_logs(tmp_path, 9, dry_run=False), "logs: 2 old, 1.0 MB"]
    assert (["both", "new", "old"], ["both", "new"]) == (before, names(tmp_path / "dag"))
    assert ["2"] == names(tmp_path / "dag/both")
