"""A job: what becomes of a row on a given day."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microstage.errors import StageError
from microstage.jobs import (
    Job,
    days_between,
    resolve,
    spoken,
    target_of,
    window_days,
    writer_of,
)
from microstage.pipelines import Pipeline, load_pipeline
from microstage.table import Param

TABLE = """
[stages.train]
image   = "microstage/train:1.0.0"
verb    = "fit"
reads   = { raw = "raw/{day}", model = "{model}" }
writes  = { to = "models/{ds}", files = ["model.txt"] }
params  = { learning_rate = 0.1, verbose = true, quiet = false, date = "{ds}" }
limits  = { cpus = 2, memory = "2g", pids = 256, timeout = "1h" }

[stages.generate]
like    = "train"
reads   = {}
writes  = { to = "raw/{ds}" }

[stages.standby]
like    = "train"
reads   = {}
params  = { name = "{registered_model}", pipeline = "{pipeline}" }
writes  = { to = "production/standby" }
"""


@pytest.fixture
def pipeline(write: Callable[[str, str], Path]) -> Pipeline:
    write("stages.toml", TABLE)
    return load_pipeline()


@pytest.fixture
def flights(pipeline: Pipeline, write: Callable[[str, str], Path]) -> Pipeline:
    write("pipelines/flights.toml", '[pipeline]\nmodel = "Late flights"\n')
    return load_pipeline("flights")


@pytest.fixture
def job(pipeline: Pipeline) -> Job:
    return resolve(pipeline, "train", "2013-01-01", window=2, model="models/2012-12-30")


def test_every_day_of_the_window_is_a_mount_of_its_own(job: Job) -> None:
    assert {
        "raw/2012-12-31": "raw/2012-12-31",
        "raw/2013-01-01": "raw/2013-01-01",
        "model": "models/2012-12-30",
    } == job.sources
    assert "models/2013-01-01" == job.target


def test_parameters_become_flags(job: Job) -> None:
    flags = ["--learning-rate", "0.1", "--verbose", "--date", "2013-01-01"]

    assert ["fit", *flags] == job.command


def test_parameters_of_a_run_go_over_those_of_the_row(pipeline: Pipeline) -> None:
    params: dict[str, Param] = {"learning_rate": 0.5, "rounds": 3, "until": "{ds}"}
    job = resolve(pipeline, "train", "2013-01-01", model="m", params=params)

    assert 0.5 == job.params["learning_rate"]
    assert ["--rounds", "3", "--until", "2013-01-01"] == job.command[-4:]


def test_parameters_may_name_the_pipeline_and_its_model(
    pipeline: Pipeline, flights: Pipeline
) -> None:
    names = [resolve(each, "standby", "2013-01-01").params for each in (pipeline, flights)]

    assert {"name": "microstage", "pipeline": "default"} == names[0]
    assert {"name": "Late flights", "pipeline": "flights"} == names[1]


def test_a_row_that_needs_a_model_says_so(pipeline: Pipeline) -> None:
    with pytest.raises(StageError, match="The stage train needs a model"):
        resolve(pipeline, "train", "2013-01-01")


def test_an_unknown_placeholder_is_refused_with_its_row(write: Callable[[str, str], Path]) -> None:
    write("stages.toml", TABLE.replace("raw/{day}", "raw/{hour}"))

    with pytest.raises(StageError, match=r"stages\.toml, stage train: \{hour\} is not known"):
        resolve(load_pipeline(), "train", "2013-01-01", model="m")


def test_an_unknown_stage_is_refused_with_the_known_ones(
    pipeline: Pipeline, flights: Pipeline
) -> None:
    for each, file in ((pipeline, "stages.toml"), (flights, "pipelines/flights.toml")):
        with pytest.raises(StageError, match=f"^{file} has no stage 'trian'; there are train, "):
            resolve(each, "trian", "2013-01-01")


@pytest.mark.parametrize(
    "ds",
    [
        *("2013-1-6", "20130106", "2013-02-29", "yesterday", "None", "../x", "2013-01-06\n", ""),
        *(
            " 2013-01-06",
            "2013-01-06\0",
            "\uff12013-01-06",
            "2013-W01-1",
            None,
            20130106,
            "9" * 5000,
        ),
    ],
)
def test_what_is_not_a_day_is_refused(ds: Any) -> None:
    with pytest.raises(StageError, match="is not a day") as refused:
        window_days(ds)

    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 2500


def test_a_window_that_would_begin_before_the_year_1_is_refused() -> None:
    assert ["0001-01-01", "0001-01-02"] == window_days("0001-01-02", 2)
    with pytest.raises(StageError, match="The 3 days that end at 0001-01-02 would begin before"):
        window_days("0001-01-02", 3)


@pytest.mark.parametrize(
    "params", [{"a b": 1}, {"x": "a\0b"}, {"x": "\ud800"}, {"x": float("nan")}]
)
def test_a_parameter_of_a_run_is_one_that_a_command_line_can_have(
    pipeline: Pipeline, params: dict[str, Param]
) -> None:
    with pytest.raises(StageError, match=r"^The run of train: ") as refused:
        resolve(pipeline, "train", "2013-01-01", model="m", params=params)

    assert 64 == refused.value.code
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "window", [0, -1, "", "1.5", "all", "01", "1\u0663", "\u0663", None, True, 1.0]
)
def test_a_window_is_one_day_or_more(window: Any) -> None:
    with pytest.raises(StageError, match="1 or more"):
        window_days("2013-01-06", window)


def test_only_the_sources_that_say_so_may_be_absent(write: Callable[[str, str], Path]) -> None:
    write("stages.toml", TABLE.replace('verb    = "fit"', 'verb = "fit"\noptional = ["raw"]'))
    job = resolve(load_pipeline(), "train", "2013-01-01", window=2, model="models/2012-12-30")

    assert ["raw/2012-12-31", "raw/2013-01-01"] == [m for m in job.sources if job.is_optional(m)]


def test_where_a_row_publishes_a_day_is_found_without_running_it(pipeline: Pipeline) -> None:
    assert "models/2013-01-01" == target_of(pipeline, "train", "2013-01-01")
    with pytest.raises(StageError, match="is not a day"):
        target_of(pipeline, "train", "..")


@pytest.mark.parametrize(
    ("directory", "found"),
    [
        ("raw/2013-01-01", ("generate", "2013-01-01")),
        ("models/2013-01-01", ("train", "2013-01-01")),
        ("production/standby", ("standby", "")),
        ("models/latest", None),
        ("models/2013-01-01/more", None),
    ],
)
def test_the_row_that_writes_a_directory_is_known(
    pipeline: Pipeline, directory: str, found: tuple[str, str] | None
) -> None:
    writer = writer_of(pipeline, directory)

    assert found == (writer and (writer[0].stage, writer[1]))


def test_a_path_is_told_as_it_is_below_the_data_folder(
    pipeline: Pipeline, flights: Pipeline
) -> None:
    jobs = [resolve(each, "generate", "2013-01-01") for each in (pipeline, flights)]

    assert ["raw/2013-01-01"] * 2 == [job.target for job in jobs]
    assert ["raw/2013-01-01", "flights/raw/2013-01-01"] == [job.shown(job.target) for job in jobs]


def test_a_range_has_both_its_ends_and_every_day_between_them() -> None:
    assert ["2012-12-31", "2013-01-01", "2013-01-02"] == days_between("2012-12-31", "2013-01-02")
    assert ["2013-01-06"] == days_between("2013-01-06", "2013-01-06")
    assert 366 == len(days_between("2012-01-01", "2012-12-31"))


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("2013-01-07", "2013-01-06", "The first day, 2013-01-07, is after the last, 2013-01-06."),
        ("2012-01-01", "2013-01-01", "2012-01-01 to 2013-01-01 are 367 days; one run does 366 at"),
        ("2013-01-06", "2013-1-7", "'2013-1-7' is not a day; write it as 2013-01-06."),
        ("", "2013-01-06", "'' is not a day"),
    ],
)
def test_a_range_that_is_none_is_one_sentence(first: str, last: str, reason: str) -> None:
    with pytest.raises(StageError) as failed:
        days_between(first, last)

    assert reason in str(failed.value)
    assert 64 == failed.value.code


def test_days_in_a_row_are_spoken_of_by_their_ends() -> None:
    days = ["2013-03-01", "2013-01-06", "2013-02-28", "2013-01-08", "2013-02-27"]

    assert "2013-01-06, 2013-01-08, 2013-02-27 to 2013-03-01" == spoken(days)
    assert "" == spoken([])
