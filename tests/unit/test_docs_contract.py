"""docs/contract.md says what the code does: its examples go through the checks of images."""

import hashlib
import json
import os
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract.formats import FORMATS

from microstage.contract import Run, run_job
from microstage.data_folder import MANIFEST, DataFolder
from microstage.errors import MEANING
from microstage.exits import Exit
from microstage.jobs import Job, resolve
from microstage.pipelines import Pipeline, load_pipeline
from microstage.sharing import COMMAND, provide
from microstage.table import Row
from microstage.walls import CONTRACT, CONTRACT_LABEL, DAYS, DAYS_LABEL

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/contract.md").read_text("utf-8")
BASE = ROOT / "containers/platform/base"  # where the frame is
EXAMPLES: dict[str, str] = dict(re.findall(r"(?ms)^<!-- file: (\S+) -->\n```\w+\n(.*?^)```$", TEXT))
JSON = [name for name in EXAMPLES if name.endswith(".json")]
NUMBERS = [name for name in EXAMPLES if name.startswith("numbers/")]
SUMMARY = ("verdict", "reason", "rows")  # of a comparison
# What each kind of work reads in the examples: as it is below /in.
READS = {
    "generate-data": [],
    "fit-columns": ["raw/2013-01-05", "raw/2013-01-06"],
    "split-rows": ["processed"],
    "train-model": ["processed", "split"],
    "validate-model": ["model", "split"],
    "compare-models": ["challenger", "split"],
    "transform-rows": ["raw/2013-01-06", "model"],
    "predict-rows": ["model", "features"],
    "report-quality": ["predictions/2013-01-06", "model"],
}
WRITES = {
    "generate-data": "raw/2013-01-06",
    "fit-columns": "processed",
    "split-rows": "split",
    "train-model": "model",
    "validate-model": "validation",
    "compare-models": "comparison",
    "transform-rows": "features",
    "predict-rows": "predictions",
    "report-quality": "report",
}


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The files of the examples; a model has its preprocess.json, and predictions are of a day."""
    files = {
        **EXAMPLES,
        "model/preprocess.json": EXAMPLES["processed/preprocess.json"],
        "challenger/model.json": EXAMPLES["model/model.json"],
        "predictions/2013-01-06/predictions.csv": EXAMPLES["predictions/predictions.csv"],
    }
    write(tmp_path, files)
    return tmp_path


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """Those of numbers to predict, and beside them what is the same for classes."""
    own = {name.removeprefix("numbers/"): EXAMPLES[name] for name in NUMBERS}
    files = {name: text for name, text in EXAMPLES.items() if name.endswith("data.csv")} | own
    header, *rows = own["processed/train_data.csv"].splitlines(keepends=True)
    summary = {name: json.loads(own["comparison/comparison.json"])[name] for name in SUMMARY}
    quality = json.loads(own["report/quality.json"])
    files |= {
        "split/train.csv": "".join([header, *rows[:5]]),
        "split/val.csv": "".join([header, *rows[5:]]),
        "model/preprocess.json": own["processed/preprocess.json"],
        "challenger/model.json": own["model/model.json"],
        "comparison/summary.json": json.dumps(summary),
        "report/report.html": EXAMPLES["report/report.html"],
        "report/summary.json": json.dumps(quality),
        "predictions/2013-01-06/predictions.csv": own["predictions/predictions.csv"],
    }
    model = json.loads(own["model/model.json"])
    model["trained_on"]["sha256"] = hashlib.sha256(files["split/train.csv"].encode()).hexdigest()
    files["model/model.json"] = json.dumps(model)
    write(tmp_path, files)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def section(heading: str) -> str:
    """Return what is below a heading, down to the next one of its level or above."""
    start = re.search(rf"(?m)^(#+) {re.escape(heading)}$", TEXT)
    assert start, f"docs/contract.md has no heading {heading!r}"
    rest = TEXT[start.end() :]
    end = re.search(rf"(?m)^#{{1,{len(start[1])}}} ", rest)
    return rest[: end.start()] if end else rest


def cells(heading: str) -> list[list[str]]:
    """Return the rows of the tables below a heading, without their heads."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {i for i, row in enumerate(rows) if set("".join(row)) <= set("-: ")}
    return [row for i, row in enumerate(rows) if i not in heads and i + 1 not in heads]


def marked(text: str) -> list[str]:
    """Return what is marked as code in a line."""
    return re.findall(r"`([^`]+)`", re.sub(r"(?ms)^```.*?^```$", "", text))


# --- the files -------------------------------------------------------------------------------


@pytest.mark.parametrize("work", FORMATS)
def test_the_examples_are_what_the_checks_ask_of_an_image(work: str, examples: Path) -> None:
    inputs = {name: examples / name for name in READS[work]}

    assert [] == list(FORMATS[work](inputs, examples / WRITES[work]))


@pytest.mark.parametrize("work", FORMATS)
def test_so_are_the_examples_of_numbers_to_predict(work: str, numbers: Path) -> None:
    inputs = {name: numbers / name for name in READS[work]}

    assert [] == list(FORMATS[work](inputs, numbers / WRITES[work]))


@pytest.mark.parametrize("name", JSON)
def test_every_key_of_an_example_is_explained(name: str) -> None:
    heading = next(
        line.lstrip("# ")
        for line in reversed(TEXT[: TEXT.index(f"<!-- file: {name} -->")].splitlines())
        if line.startswith("##")
    )
    explained = {key for text in marked(section(heading)) for key in re.split(r"[^\w]+", text)}
    keys = json.loads(EXAMPLES[name]).keys()

    if not name.endswith("/summary.json"):
        assert set() == keys - explained


def test_a_manifest_has_the_keys_that_the_platform_writes(tmp_path: Path) -> None:
    row = load_pipeline(table=ROOT / "dags/stages.toml").row("predict")
    data, manifest = tmp_path / "data", json.loads(EXAMPLES[MANIFEST])
    for directory, file in (("production/2013-01-06", "model.txt"), ("features/2013-01-06", "x")):
        (data / directory).mkdir(parents=True)
        (data / directory / file).write_text("1")
    version = {"name": "microstage", "version": "3"}
    (data / "production/2013-01-06/version.json").write_text(json.dumps(version))

    def engine(job: Job, staging: Path) -> Exit:
        for file in ("predictions.csv", "summary.json"):
            (staging / file).write_text("{}")
        return Exit(0, used=manifest["used"])

    pipeline = Pipeline("default", {"predict": row})
    job = resolve(pipeline, "predict", "2013-01-06", model="production/2013-01-06")
    folder = DataFolder.at(data)
    run_job(folder, job, image_id="sha256:0", run=Run(), engine=engine, log=lambda _: None)
    written = json.loads((data / "predictions/2013-01-06" / MANIFEST).read_bytes())

    assert list(written) == list(manifest)
    for key in ("sources", "model", "run", "outputs"):
        assert list(written[key]) == list(manifest[key])


WRITTEN_BY_REGISTRY = """
import json, pathlib, sys
from types import SimpleNamespace
import production, versions
from published import VERSION
from stageframe import OUT
production.write_aliases("promotion.json", "m", ("3", "2"),
                         {"approved_by": None, "verdict": None}, changed=True)
production.write_aliases("rollback.json", "m", ("2", "3"), {}, changed=True)
versions.download_file = lambda *given: pathlib.Path(given[3]).write_text('{"raw": {}}')
tags = {"lineage/raw.json": "0", "sha256.model.txt": "0", "date": "d", "experiment_id": "1",
        "used": sys.argv[1]}
version = SimpleNamespace(name="m", version=3, run_id="r", source="s/model", tags=tags)
(OUT / VERSION).write_text(json.dumps(versions.describe(version)))
"""


def test_what_the_registry_writes_has_the_keys_of_the_examples(tmp_path: Path) -> None:
    path = os.pathsep.join([str(BASE), str(ROOT / "containers/registry")])
    environment = {**os.environ, "PYTHONPATH": path, "MICROSTAGE_OUT": str(tmp_path)}
    used = json.loads(EXAMPLES["version/version.json"])["used"]
    command = [sys.executable, "-c", WRITTEN_BY_REGISTRY, json.dumps(used)]
    subprocess.run(command, env=environment, check=True, capture_output=True)

    for name in ("version/version.json", "promotion/promotion.json", "rollback/rollback.json"):
        written = json.loads((tmp_path / Path(name).name).read_bytes())
        assert list(json.loads(EXAMPLES[name])) == list(written), name
    assert used == json.loads((tmp_path / "version.json").read_bytes())["used"]


def test_the_formats_of_models_are_those_that_predict_reads() -> None:
    source = (ROOT / "containers/predict/models.py").read_text("utf-8")
    loaders = re.search(r"(?ms)^LOADERS.*?^}", source)
    table = cells("A model: `model.txt`, `model.json`, `preprocess.json`")

    assert loaders
    assert re.findall(r'(?m)^    "(\w+)":', loaders[0]) == [marked(row[0])[0] for row in table[:3]]


# --- the table -------------------------------------------------------------------------------


def described() -> dict[str, list[str]]:
    """Return the kinds of work that the docs describe: rows, verb, what is read and written."""
    return {marked(work)[0]: rest for work, *rest in cells("Kinds of work")}


def rows() -> list[Row]:
    return list(load_pipeline(table=ROOT / "dags/stages.toml").rows.values())


def test_every_kind_of_work_that_the_checks_know_is_described() -> None:
    assert set(FORMATS) <= described().keys()
    assert set(FORMATS) == READS.keys() == WRITES.keys()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.stage)
def test_every_row_of_the_table_is_described_as_it_is(row: Row) -> None:
    assert row.work in described(), f"describe the kind of work {row.work!r} in docs/contract.md"
    stages, verb, reads, writes = described()[row.work]
    names = {
        f"{name}/<day>" if "{day}" in source else name: name in row.optional
        for name, source in row.reads.items()
    }

    assert row.stage in stages.split(", ")
    assert [row.verb] == marked(verb)
    assert names == {name: f"(`{name}`)" in reads for name in marked(reads)}
    assert list(row.files) == marked(writes)


def test_every_row_that_is_described_is_there() -> None:
    there = {row.stage for row in rows()}

    assert there == {name for stages, *_ in described().values() for name in stages.split(", ")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.stage)
def test_every_file_that_a_row_writes_is_described(row: Row) -> None:
    headed = {name for heading in re.findall(r"(?m)^### (.*)$", TEXT) for name in marked(heading)}

    undescribed = set(row.files) - headed - {Path(name).name for name in EXAMPLES}
    assert set() == undescribed


# --- several days in one run -----------------------------------------------------------------


def test_the_days_that_the_platform_lists_are_as_in_the_example(tmp_path: Path) -> None:
    listed, row = json.loads(EXAMPLES["days.json"]), rows()[-1]
    assert ("report", 2) == (row.verb, len(listed["days"]))
    pipeline = Pipeline("default", {row.stage: replace(row, reads={})})
    jobs = {day: (resolve(pipeline, row.stage, day), tmp_path) for day in listed["days"]}
    (tmp_path / "data").mkdir()
    provide(DataFolder.at(tmp_path / "data"), tmp_path / "batch", jobs)

    assert listed == json.loads((tmp_path / "batch/in/days.json").read_bytes())


def test_the_stage_of_the_docs_does_several_days_and_says_so_as_in_the_example(
    tmp_path: Path,
) -> None:
    commands = {"2013-01-05": ["generate", "--date", "2013-01-05"], "2013-01-06": ["generate"]}
    for folder in ("in", *(f"out/{day}" for day in commands)):
        (tmp_path / folder).mkdir(parents=True)
    listed = json.dumps({"version": 1, "days": commands})
    (tmp_path / "in/days.json").write_text(listed)
    done = run_example(tmp_path, "days")
    said = json.loads((tmp_path / "out/2013-01-06.json").read_bytes())

    assert 0 == done.returncode
    assert [] == list(FORMATS["generate-data"]({}, tmp_path / "out/2013-01-05"))
    assert list(json.loads(EXAMPLES["2013-01-06.json"])) == list(said)
    assert f"2013-01-06  {said['last_line']}" == done.stderr.splitlines()[-1]


def test_the_label_of_several_days_is_that_of_the_platform() -> None:
    value = next(row[1] for row in cells("Labels") if DAYS_LABEL in row[0])

    assert f"`{DAYS}`" in value
    assert {"/in/days.json", f"IMAGE {COMMAND}"} <= set(marked(section("Several days in one run")))


# --- exit codes, labels, walls ---------------------------------------------------------------


def test_the_exit_codes_are_those_of_the_platform_and_of_the_frame() -> None:
    found = {int(code): meaning for code, meaning, _ in cells("Exit codes")}
    frame = runpy.run_path(str(BASE / "stageframe/errors.py"))
    codes = {frame[name] for name in ("WRONG_USAGE", "BAD_DATA", "INPUT_MISSING", "TRY_AGAIN")}

    assert {0, *MEANING} == found.keys()
    assert codes == MEANING.keys()
    for code, meaning in MEANING.items():
        assert found[code].startswith(meaning)
    final = {code for code, _, then in cells("Exit codes") if "at once" in then}
    assert {"64", "65", "66"} == final


def test_the_labels_are_those_that_images_have() -> None:
    files = [
        *ROOT.glob("containers/*/Dockerfile"),
        ROOT / "containers/platform/finish/Dockerfile",
        ROOT / "docker-bake.hcl",
    ]
    text = "".join(file.read_text("utf-8") for file in files)
    used = set(re.findall(r"org\.(?:microstage|opencontainers\.image)\.\w+", text))
    named = {label for row in cells("Labels") for label in marked(row[0])}
    ours = {label for label in named if label.startswith("org.microstage.")}

    assert CONTRACT_LABEL in ours
    assert f"`{CONTRACT}`" in next(row[1] for row in cells("Labels") if CONTRACT_LABEL in row[0])
    assert {label for label in used if label.startswith("org.microstage.")} == ours


# --- the frame -------------------------------------------------------------------------------


def run_example(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (folder / "stage.py").write_text(EXAMPLES["stage.py"], "utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(BASE),
        "MICROSTAGE_IN": str(folder / "in"),
        "MICROSTAGE_OUT": str(out),
    }
    command = [sys.executable, str(folder / "stage.py"), *arguments]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def test_the_stage_of_the_docs_does_what_the_contract_asks(tmp_path: Path) -> None:
    done = run_example(tmp_path, "generate", "--date", "2013-01-06", "--rows", "500")
    summary: dict[str, Any] = json.loads((tmp_path / "out/summary.json").read_bytes())

    assert (0, "") == (done.returncode, done.stderr)
    assert 500 == summary["rows"]
    assert [] == list(FORMATS["generate-data"]({}, tmp_path / "out"))


def test_the_stage_of_the_docs_gives_the_same_bytes_again(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        run_example(tmp_path / name, "generate", "--date", "2013-01-06")
        files = sorted((tmp_path / name / "out").iterdir())
        contents.append([(file.name, file.read_bytes()) for file in files])

    assert contents[0] == contents[1]
    assert 3 == len(contents[0])


def test_the_stage_of_the_docs_refuses_wrong_usage_and_prints_help(tmp_path: Path) -> None:
    wrong = run_example(tmp_path, "generate", "--date", "2013-01-06", "--rows", "0")
    help_ = run_example(tmp_path, "--help")

    assert 64 == wrong.returncode
    assert "--rows" in wrong.stderr.splitlines()[-1]
    assert (0, True) == (help_.returncode, "generate" in help_.stdout)


def test_what_the_docs_say_of_the_frame_is_all_that_it_offers() -> None:
    source = (BASE / "stageframe/__init__.py").read_text("utf-8")
    public = re.search(r"(?ms)^__all__ = \[(.*?)\]", source)
    told = {word for text in marked(section("The frame")) for word in re.findall(r"\w+", text)}

    inner = {"command", "days", "errors", "files", "signals"}  # their names are the package's own
    modules = {path.stem for path in (BASE / "stageframe").glob("[!_]*.py")} - inner

    assert public
    assert set() == set(re.findall(r'"(\w+)"', public[1])) - told
    assert set() == modules - told
