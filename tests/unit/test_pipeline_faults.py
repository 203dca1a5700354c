"""Pipelines: whatever is wrong with a file, one sentence names it, and the others do not notice."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from microstage.errors import StageError
from microstage.pipelines import Pipeline, load_pipeline

TABLE = """
[stages.train]
image   = "microstage/train:1.0.0"
verb    = "fit"
reads   = { processed = "processed/{ds}" }
writes  = { to = "models/{ds}", files = ["model.txt"] }
params  = { seed = 17 }
limits  = { cpus = 2, memory = "4g", pids = 256, timeout = "2h" }

[stages.validate]
like    = "train"
reads   = { features = "features/{ds}" }
writes  = { to = "predictions/{ds}", files = ["metrics.json"] }
"""
Write = Callable[[str, str], Path]
Load = Callable[[str], Pipeline]


@pytest.fixture
def flights(write: Write) -> Load:
    """Return the pipeline flights, whose file has this text."""
    write("stages.toml", TABLE)

    def load(text: str) -> Pipeline:
        write("pipelines/flights.toml", text)
        return load_pipeline("flights")

    return load


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[stages.train", "is not valid TOML"),
        ("[stage.train]\nverb = 'fit'", r"must hold \[pipeline\], "),
        ("stages = 3", "must hold"),
        ("pipeline = 3", "pipeline must be a table"),
        ("[pipeline]\nwindows = 3", "pipeline has an unknown key 'windows'; known are name, "),
        ("[pipeline]\nwindow = 0", "pipeline: window must be a number of days, 1 or more"),
        ("[pipeline]\nhistory = '28'", "pipeline: history must be a number"),
        ("[pipeline]\nmodel = 'a/b'", "pipeline: model must be a name for MLflow"),
        ("[pipeline]\nmodel = '..'", "pipeline: model must be a name for MLflow"),
        ("[pipeline]\nmodel = ' '", "pipeline: model must be a name for MLflow"),
        (f"pipeline = {'[' * 50_000}", "is not valid TOML"),
        (f"[pipeline]\nwindow = {'9' * 5000}", "is not valid TOML"),
        (f"{'a' * 100_000} = 1", "must hold"),
        ("[stages.train]\n'a\u2028b' = 1", r"stage train has an unknown key 'a\\u2028b'"),
        ("[pipeline]\nname = 'trains'", "pipeline: the file's name is its own"),
        ("[pipeline]\nschedule = '@daily'", "pipeline: schedule must be a table"),
        ("[pipeline.schedule]\npredict = '@fortnightly'", "the schedule of predict is '@fortnigh"),
        ("[pipeline.schedule]\npredict = '0 6 * *'", "the schedule of predict is '0 6"),
        ("[pipeline.schedule]\npredict = ''", "the schedule of predict is ''"),
        ("[pipeline.schedule]\npredict = 3", "the schedule of predict is 3"),
        ("[networks.shop]\nurl = 'x'", "network shop lacks env"),
        ("[stages.train]\nspeed = 1", "stage train has an unknown key 'speed'"),
        ("[stages.train]\nlimits = { memory = 4 }", "stage train, limits: memory must be a text"),
        ("[stages.train]\nparams = 4", "stage train: params must be a table"),
        ("[stages.select]\nverb = 'x'", "stage select lacks image"),
        ("[stages.validate]\nlike = 'nobody'", "stage validate: like names 'nobody'"),
        ("stages.train = 3", "stage train must be a table"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence_that_names_it(
    flights: Load, text: str, sentence: str
) -> None:
    with pytest.raises(StageError, match=sentence) as refused:
        flights(text)

    assert 64 == refused.value.code
    assert str(refused.value).startswith("pipelines/flights.toml")
    assert "\n" not in str(refused.value)
    assert load_pipeline().rows  # the others do not notice


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must hold"),
        ("[stages.train", "is not valid TOML"),
        (f"{TABLE}[pipeline]\nname = 'other'", "its name is 'default'"),
    ],
)
def test_a_mistake_in_the_table_is_one_of_every_pipeline(
    flights: Load, write: Write, text: str, sentence: str
) -> None:
    write("stages.toml", text)

    with pytest.raises(StageError, match=rf"^stages\.toml.* {sentence}"):
        load_pipeline()
    with pytest.raises(StageError, match=rf"^stages\.toml.* {sentence}"):
        flights("")


@pytest.mark.usefixtures("flights")
def test_a_file_that_is_not_there_or_not_text_is_one_sentence(write: Write) -> None:
    with pytest.raises(StageError, match=r"There is no pipelines/nobody\.toml in "):
        load_pipeline("nobody")
    odd = write("pipelines/odd.toml", "")
    odd.write_bytes(b"\xff")
    with pytest.raises(StageError, match=r"^pipelines/odd\.toml cannot be read: "):
        load_pipeline("odd")
    odd.unlink()
    for make in (os.mkdir, os.mkfifo):
        make(odd)
        with pytest.raises(StageError, match=r"^pipelines/odd\.toml is no file"):
            load_pipeline("odd")
        if odd.is_dir():
            odd.rmdir()


@pytest.mark.parametrize("name", ["Flights", "1st", "new-york", "_x", "a.b", "a" * 41, "réseau"])
@pytest.mark.usefixtures("flights")
def test_a_name_is_small_letters_digits_and_underscores(write: Write, name: str) -> None:
    write(f"pipelines/{name}.toml", "")

    with pytest.raises(StageError, match=f"{name!r} is no name for a pipeline"):
        load_pipeline(name)


@pytest.mark.parametrize("name", ["models", "processed", "predictions", "features"])
@pytest.mark.usefixtures("flights")
def test_a_name_is_none_of_a_directory_of_the_default_pipeline(write: Write, name: str) -> None:
    write(f"pipelines/{name}.toml", "")

    with pytest.raises(StageError, match=f"the data folder has a directory {name} of the default"):
        load_pipeline(name)
