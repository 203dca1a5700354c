"""Pipelines: a table, and files beside it that say only what is different."""

from collections.abc import Callable
from pathlib import Path

import pytest

from microstage.pipelines import (
    DEFAULT,
    Pipeline,
    load_pipeline,
    pipeline_names,
    pipeline_path,
    shown,
    table_path,
)
from microstage.table import Limits

TABLE = """
[pipeline]
window   = 1
history  = 28
model    = "microstage"
schedule = { train_model = "@weekly", predict = "@daily" }

[networks.tracking]
env = ["SERVICE_URL"]

[stages.train]
image   = "microstage/train:1.0.0"
verb    = "fit"
reads   = { processed = "processed/{ds}" }
writes  = { to = "models/{ds}", files = ["model.txt"] }
params  = { seed = 17, rounds = 200 }
limits  = { cpus = 2, memory = "4g", pids = 256, timeout = "2h" }

[stages.predict]
image   = "microstage/predict:1.0.0"
verb    = "predict"
reads   = { features = "features/{ds}" }
writes  = { to = "predictions/{ds}", files = ["predictions.csv"] }
params  = { name = "x" }
limits  = { cpus = 2, memory = "2g", pids = 256, timeout = "30m" }

[stages.validate]
like    = "predict"
verb    = "validate"
writes  = { to = "models/{ds}/validation", files = ["metrics.json"] }
"""
Write = Callable[[str, str], Path]
Load = Callable[[str], Pipeline]


@pytest.fixture(autouse=True)
def table(write: Write) -> Path:
    return write("stages.toml", TABLE)


@pytest.fixture
def flights(write: Write) -> Load:
    """Return the pipeline flights, whose file has this text."""

    def load(text: str) -> Pipeline:
        write("pipelines/flights.toml", text)
        return load_pipeline("flights")

    return load


# --- the default one, and its names


def test_the_table_is_a_pipeline_without_a_prefix() -> None:
    default = load_pipeline()

    assert (DEFAULT, "stages.toml", "") == (default.name, default.file, default.folder)
    assert "train_model" == default.prefixed("train_model")
    assert "raw/2013-01-06" == shown(DEFAULT, "raw/2013-01-06")
    assert (1, 28, "microstage") == (default.window, default.history, default.model)
    assert {"train_model": "@weekly", "predict": "@daily"} == default.schedules


def test_a_table_need_not_have_a_section_of_its_pipeline(write: Write) -> None:
    write("stages.toml", TABLE[TABLE.index("[networks") :])
    default = load_pipeline()

    assert (1, 28, "microstage", {}) == (
        default.window,
        default.history,
        default.model,
        default.schedules,
    )


def test_a_file_beside_the_table_is_a_pipeline_whose_names_begin_with_its_own(
    flights: Load,
) -> None:
    pipeline = flights("")

    assert ["default", "flights"] == pipeline_names()
    assert ("pipelines/flights.toml", "flights") == (pipeline.file, pipeline.folder)
    assert "flights.train_model" == pipeline.prefixed("train_model")
    assert "flights/raw/2013-01-06" == shown("flights", "raw/2013-01-06")
    assert "flights" == pipeline.model


def test_files_that_an_editor_leaves_are_no_pipelines(write: Write) -> None:
    for file in (".#flights.toml", "flights.toml~", "flights.txt"):
        write(f"pipelines/{file}", "")

    assert ["default"] == pipeline_names()


def test_the_table_may_be_elsewhere(tmp_path: Path) -> None:
    assert tmp_path / "dags/stages.toml" == table_path()
    assert tmp_path / "dags/pipelines/x.toml" == pipeline_path("x")


# --- what a file says instead


def test_what_a_file_does_not_say_is_as_in_the_table(flights: Load) -> None:
    default, pipeline = load_pipeline(), flights("")

    assert default.rows == pipeline.rows
    assert default.schedules == pipeline.schedules
    assert (default.window, default.history) == (pipeline.window, pipeline.history)


def test_parameters_and_limits_go_over_the_tables_key_by_key(flights: Load) -> None:
    train = flights('[stages.train]\nparams = { rounds = 400 }\nlimits = { memory = "8g" }').rows[
        "train"
    ]

    assert {"seed": 17, "rounds": 400} == train.params
    assert Limits(cpus=2, memory=8 * 2**30, pids=256, timeout=7200) == train.limits


def test_parameters_go_over_those_that_a_row_has_from_another(flights: Load) -> None:
    rows = flights(
        "[stages.validate]\nparams = { curve = true }\n[stages.predict.params]\nname = 'y'"
    ).rows

    assert {"name": "y", "curve": True} == rows["validate"].params


def test_everything_else_is_replaced_as_a_whole(flights: Load) -> None:
    text = '[stages.train]\nreads = { raw = "raw/{ds}" }\nwrites = { to = "m", files = ["x"] }'
    train = flights(text).rows["train"]

    assert ({"raw": "raw/{ds}"}, "m", ("x",)) == (train.reads, train.to, train.files)
    assert "microstage/train:1.0.0" == train.image


def test_another_image_is_that_of_the_rows_that_are_like_it_too(flights: Load) -> None:
    pipeline = flights('[stages.predict]\nimage = "mine:1"')

    assert ["mine:1"] * 2 == [pipeline.rows[name].image for name in ("predict", "validate")]
    assert "microstage/predict:1.0.0" == load_pipeline().rows["validate"].image
    assert ["predict", "validate"] == pipeline.followers("predict")


def test_a_row_with_an_image_of_its_own_is_nobodys_follower(flights: Load) -> None:
    pipeline = flights('[stages.validate]\nimage = "mine:1"')

    assert (["predict"], ["validate"]) == tuple(map(pipeline.followers, ["predict", "validate"]))
    assert "" == pipeline.rows["validate"].like


def test_a_row_may_be_added(flights: Load) -> None:
    row = flights('[stages.select]\nlike = "train"\nwrites = { to = "selected/{ds}" }').rows

    assert {*load_pipeline().rows, "select"} == set(row)
    assert "pipelines/flights.toml, stage select" == row["select"].where
    assert {"seed": 17, "rounds": 200} == row["select"].params


def test_a_sentence_names_the_file_where_a_row_is_to_be_changed(flights: Load) -> None:
    rows = flights("[stages.train.params]\nrounds = 400").rows

    assert "pipelines/flights.toml, stage train" == rows["train"].where
    assert "stages.toml, stage predict" == rows["predict"].where


def test_a_network_may_be_added(flights: Load) -> None:
    pipeline = flights(
        '[networks.shop]\nenv = ["SHOP_URL"]\n[stages.train]\nnetwork = "shop"\n'
        '[stages.predict]\nnetwork = "tracking"'
    )

    assert ("shop", ("SHOP_URL",)) == (pipeline.rows["train"].network, pipeline.rows["train"].env)
    assert ("SERVICE_URL",) == pipeline.rows["predict"].env


def test_the_section_of_a_pipeline_goes_over_the_tables_and_its_schedule_dag_by_dag(
    flights: Load,
) -> None:
    pipeline = flights(
        '[pipeline]\nwindow = 13\nmodel = "Late flights"\n'
        'schedule = { train_model = "0 6 * * 1", monitor = "@hourly" }'
    )

    assert (13, 28, "Late flights") == (pipeline.window, pipeline.history, pipeline.model)
    assert {"train_model": "0 6 * * 1", "predict": "@daily", "monitor": "@hourly"} == (
        pipeline.schedules
    )


def test_a_dag_whose_schedule_is_none_is_started_by_hand_alone(flights: Load) -> None:
    assert {"predict": "@daily"} == flights('[pipeline.schedule]\ntrain_model = "none"').schedules
