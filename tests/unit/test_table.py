"""The table of stages: what a row may say, and what becomes of it on a given day."""

from pathlib import Path

import pytest

from microstage.errors import StageError
from microstage.jobs import Job, resolve, window_days
from microstage.pipelines import load_pipeline

ROW = """
[stages.train]
image   = "microstage/train:1.0.0"
verb    = "fit"
reads   = { raw = "raw/{day}", model = "{model}" }
writes  = { to = "models/{ds}", files = ["model.txt"] }
params  = { learning_rate = 0.1, verbose = true, quiet = false, date = "{ds}" }
limits  = { cpus = 2, memory = "2g", pids = 256, timeout = "1h" }
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stages.toml"
    path.write_text(ROW)
    monkeypatch.setenv("MICROSTAGE_STAGES", str(path))
    return path


@pytest.fixture
def job(table: Path) -> Job:
    return resolve(load_pipeline(), "train", "2013-01-01", window=2, model="models/2012-12-30")


def test_the_table_of_this_repository_is_valid() -> None:
    assert {
        "generate",
        "preprocess",
        "split",
        "train",
        "validate",
        "transform",
        "predict",
    } <= set(load_pipeline().rows)


def test_limits_are_read_in_bytes_and_seconds(table: Path) -> None:
    limits = load_pipeline().row("train").limits

    assert (2.0, 2 * 2**30, 256, 3600) == (
        limits.cpus,
        limits.memory,
        limits.pids,
        limits.timeout,
    )


def test_a_row_is_read_anew_each_time(table: Path) -> None:
    before = load_pipeline().row("train").image
    table.write_text(ROW.replace("train:1.0.0", "train:2.0.0"))
    after = load_pipeline().row("train").image

    assert ["microstage/train:1.0.0", "microstage/train:2.0.0"] == [before, after]


def test_every_day_of_the_window_is_a_mount_of_its_own(job: Job) -> None:
    assert {
        "raw/2012-12-31": "raw/2012-12-31",
        "raw/2013-01-01": "raw/2013-01-01",
        "model": "models/2012-12-30",
    } == job.sources


def test_parameters_become_flags(job: Job) -> None:
    flags = ["--learning-rate", "0.1", "--verbose", "--date", "2013-01-01"]

    assert ["fit", *flags] == job.command


def test_parameters_of_a_run_go_over_those_of_the_row(table: Path) -> None:
    job = resolve(
        load_pipeline(),
        "train",
        "2013-01-01",
        model="m",
        params={"learning_rate": 0.5, "rounds": 3},
    )

    assert 0.5 == job.params["learning_rate"]
    assert ["--rounds", "3"] == job.command[-2:]


def test_a_row_that_needs_a_model_says_so(table: Path) -> None:
    with pytest.raises(StageError, match="needs a model"):
        resolve(load_pipeline(), "train", "2013-01-01")


@pytest.mark.parametrize("ds", ["2013-1-6", "20130106", "2013-02-29", "yesterday", "None", "../x"])
def test_what_is_not_a_day_is_refused(ds: str) -> None:
    with pytest.raises(StageError, match="is not a day"):
        window_days(ds)


@pytest.mark.parametrize("window", [0, -1, "", "1.5", "all", "01"])
def test_a_window_is_one_day_or_more(window: int | str) -> None:
    with pytest.raises(StageError, match="1 or more"):
        window_days("2013-01-06", window)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("image ", "imagee ", "lacks image"),
        ('"fit"\n', '"fit"\nentrypoint = "x"\n', "unknown key 'entrypoint'"),
        ('"fit"', "3", "verb must be a text"),
        ('"fit"', '""', "verb is empty"),
        ('["model.txt"]', '"model.txt"', "files must be a list"),
        ('["model.txt"]', '["../model.txt"]', "must be paths inside /out"),
        ('["model.txt"]', '["manifest.json"]', "must be paths inside /out"),
        ("learning_rate = 0.1", "learning_rate = [1]", "learning_rate must be a text or a number"),
        ('"2g"', '"2 GB"', "memory must look like"),
        ('"1h"', '"0s"', "timeout must look like"),
        ("cpus = 2", "cpus = 0", "greater than 0"),
        ("cpus = 2", "cpus = true", "cpus must be a number"),
        ("pids = 256, ", "", "lacks pids"),
        ("[stages.train]", "[stage.train]", "must hold"),
        ("[stages.train]", "[stages.train", "not valid TOML"),
        ('"{model}"', "7", "reads must be name"),
    ],
)
def test_a_mistake_in_the_table_is_one_sentence(
    table: Path, old: str, new: str, sentence: str
) -> None:
    table.write_text(ROW.replace(old, new, 1))

    with pytest.raises(StageError, match=sentence) as refused:
        load_pipeline()

    assert 64 == refused.value.code
    assert "stages.toml" in str(refused.value)
    assert "\n" not in str(refused.value).strip()


def test_an_unknown_placeholder_is_refused(table: Path) -> None:
    table.write_text(ROW.replace("raw/{day}", "raw/{hour}"))

    with pytest.raises(StageError, match=r"\{hour\} is not known"):
        resolve(load_pipeline(), "train", "2013-01-01", model="m")


def test_an_unknown_stage_is_refused_with_the_known_ones(table: Path) -> None:
    with pytest.raises(StageError, match="no stage 'trian'; there are train"):
        load_pipeline().row("trian")


NETWORK = """
[networks.tracking]
env = ["MLFLOW_TRACKING_URI"]
"""


@pytest.mark.parametrize(
    ("line", "network", "env"),
    [
        ("", "", ()),
        ("network = true", "bridge", ()),
        ("network = false", "", ()),
        ('network = "tracking"', "tracking", ("MLFLOW_TRACKING_URI",)),
    ],
)
def test_a_network_is_none_the_engines_or_one_of_the_table(
    table: Path, line: str, network: str, env: tuple[str, ...]
) -> None:
    table.write_text(f"{NETWORK}{ROW}{line}\n")
    row = load_pipeline().row("train")

    assert (network, env) == (row.network, row.env)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f'{ROW}network = "trakcing"', r"there is no \[networks\.trakcing\]"),
        (f"{ROW}network = 1", "network must be true or the name of a network"),
        (f'{ROW}network = ""', "network is empty"),
        (f'{ROW}optional = ["row"]', "optional names 'row', which reads does not"),
        (f'{ROW}optional = "raw"', "optional must be a list"),
        (f'{ROW}always = "yes"', "always must be true or false"),
        (f'[networks.tracking]\nenv = ["x-y"]\n{ROW}', "must name variables, not 'x-y'"),
        (f"[networks.tracking]\n{ROW}", "network tracking lacks env"),
        (f"networks = 1\n{ROW}", "networks must be a table"),
    ],
)
def test_a_wrong_network_or_option_is_named(table: Path, text: str, sentence: str) -> None:
    table.write_text(text)

    with pytest.raises(StageError, match=sentence):
        load_pipeline()


def test_only_the_sources_that_say_so_may_be_absent(table: Path) -> None:
    table.write_text(f'{ROW}optional = ["raw"]\n')
    job = resolve(load_pipeline(), "train", "2013-01-01", window=2, model="models/2012-12-30")

    assert ["raw/2012-12-31", "raw/2013-01-01"] == [m for m in job.sources if job.is_optional(m)]
