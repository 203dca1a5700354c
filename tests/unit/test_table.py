"""A row of the table: what it may say, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from microstage.errors import StageError
from microstage.pipelines import load_pipeline
from microstage.table import Limits, Row

ROW = """
[stages.train]
image   = "microstage/train:1.0.0"
verb    = "fit"
reads   = { raw = "raw/{day}", model = "{model}" }
writes  = { to = "models/{ds}", files = ["model.txt"] }
params  = { learning_rate = 0.1, verbose = true, quiet = false, date = "{ds}" }
limits  = { cpus = 2, memory = "2g", pids = 256, timeout = "1h" }
"""
NETWORK = """
[networks.tracking]
env = ["SERVICE_URL"]
"""
Load = Callable[[str], dict[str, Row]]


@pytest.fixture
def load(write: Callable[[str, str], Path]) -> Load:
    """Return the rows of a table with this text."""

    def rows(text: str) -> dict[str, Row]:
        write("stages.toml", text)
        return load_pipeline().rows

    return rows


def test_a_row_is_read_with_its_limits_in_bytes_and_seconds(load: Load) -> None:
    row = load(ROW)["train"]

    assert ("train", "microstage/train:1.0.0", "fit") == (row.stage, row.image, row.verb)
    assert ("models/{ds}", ("model.txt",)) == (row.to, row.files)
    assert Limits(cpus=2.0, memory=2 * 2**30, pids=256, timeout=3600) == row.limits


def test_a_row_is_read_anew_each_time(load: Load) -> None:
    before = load(ROW)["train"].image
    after = load(ROW.replace("train:1.0.0", "train:2.0.0"))["train"].image

    assert ["microstage/train:1.0.0", "microstage/train:2.0.0"] == [before, after]


def test_a_row_knows_the_kind_of_its_work_and_where_it_is(load: Load) -> None:
    row = load(f'{ROW}work = "train-model"\n')["train"]

    assert ("train-model", "stages.toml, stage train") == (row.work, row.where)


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
        ('"2g"', '"2g", memory_max = "4 GB"', "memory_max must look like"),
        ('"2g"', '"2g", memory_max = "1g"', "memory_max is less than memory"),
        ('"1h"', '"0s"', "timeout must look like"),
        ("cpus = 2", "cpus = 0", "greater than 0"),
        ("cpus = 2", "cpus = true", "cpus must be a number"),
        ("pids = 256, ", "", "lacks pids"),
        ("[stages.train]", '[stages."a/b"]', "'a/b' is not a name for a stage"),
        ('"{model}"', "7", "reads must be name"),
        ('"microstage/train:1.0.0"', '"../train"', r"'\.\./train' is no image"),
        ('"microstage/train:1.0.0"', '"a train"', "'a train' is no image"),
        ('"fit"', '"--help"', "'--help' is no verb"),
        ('"fit"', '"fit\\u0000"', r"'fit\\x00' is no verb"),
        ('"raw/{day}"', '"../raw/{day}"', "'../raw/{day}' is no path below the data folder"),
        ('"models/{ds}"', '"/models/{ds}"', "'/models/{ds}' is no path below the data folder"),
        ('"models/{ds}"', '"models/{ds}/../x"', "is no path below the data folder"),
        ('"models/{ds}"', '".staging/{ds}"', "is no path below the data folder"),
        ('"models/{ds}"', '"models\\n/{ds}"', "is no path below the data folder"),
        ('["model.txt"]', '["a\\nb"]', "must be paths inside /out"),
        ('["model.txt"]', '["x/manifest.json"]', "must be paths inside /out"),
        ("verbose = true", '"a b" = 1', "'a b' is no name for a parameter"),
        ("verbose = true", '"--x" = 1', "'--x' is no name for a parameter"),
        ("verbose = true", 'x = "a\\u0000b"', "parameter x holds what is no text"),
        ("verbose = true", "x = nan", "parameter x must be a text or a number"),
        ("verbose = true", "x = inf", "parameter x must be a text or a number"),
        ("verbose = true", f"x = 0x{'f' * 5000}", "parameter x must be a text or a number"),
        ("cpus = 2", "cpus = inf", "cpus must be greater than 0, 4096 at most"),
        ("cpus = 2", f"cpus = 1{'0' * 400}", "cpus must be greater than 0, 4096 at most"),
        ("pids = 256", "pids = 10000000000", "pids must be greater than 0, 4194304 at most"),
        ('"2g"', f'"{"9" * 5000}g"', "memory must look like"),
        ('"2g"', '"0g"', "memory must be between 6m and 1048576g"),
        ('"1h"', f'"{"9" * 5000}h"', "timeout must look like"),
    ],
)
def test_a_mistake_in_a_row_is_one_sentence_that_names_the_file(
    load: Load, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(StageError, match=sentence) as refused:
        load(ROW.replace(old, new, 1))

    assert 64 == refused.value.code
    assert str(refused.value).startswith("stages.toml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "network", "env"),
    [
        ("", "", ()),
        ("network = true", "bridge", ()),
        ("network = false", "", ()),
        ('network = "tracking"', "tracking", ("SERVICE_URL",)),
    ],
)
def test_a_network_is_none_the_engines_or_one_of_the_table(
    load: Load, line: str, network: str, env: tuple[str, ...]
) -> None:
    row = load(f"{NETWORK}{ROW}{line}\n")["train"]

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
def test_a_wrong_network_or_option_is_named(load: Load, text: str, sentence: str) -> None:
    with pytest.raises(StageError, match=sentence):
        load(text)


def test_a_row_may_have_a_queue_and_gpus(load: Load) -> None:
    row = load(f'{ROW}queue = "gpu"\ngpus = 2\n')["train"]

    assert ("gpu", 2) == (row.queue, row.gpus)
    assert ("", 0) == ((plain := load(ROW)["train"]).queue, plain.gpus)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f'{ROW}queue = "a,b"', "'a,b' is no name of a queue"),
        (f'{ROW}queue = "-a"', "'-a' is no name of a queue"),
        (f"{ROW}queue = 1", "queue must be a text"),
        (f"{ROW}gpus = -1", "gpus must be from 0 to 64"),
        (f"{ROW}gpus = true", "gpus must be a number"),
        (f'{NETWORK}{ROW}network = "tracking"\nqueue = "gpu"', "its network tracking is on the"),
    ],
)
def test_a_queue_and_gpus_that_no_host_has_are_refused(
    load: Load, text: str, sentence: str
) -> None:
    with pytest.raises(StageError, match=sentence):
        load(text)
