"""A new stage's folder builds, runs and keeps the contract before its first edit."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import REPOSITORY, Engine, reference
from trainers import features, inputs, targets

NAME = "made_by_a_test"
IMAGE = reference("train").replace("train", NAME)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a build needs, so that the folders here, which others read, stay as they are."""
    for name in ("containers", "dags", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=ignored)
    for name in ("build_images.sh", "docker-bake.hcl", "pyproject.toml", ".env.example"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


@pytest.fixture
def cleared(engine: Engine) -> Iterator[None]:
    yield
    engine.client.images.remove(IMAGE, force=True)


def run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's commands in a checkout, on the table of that checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "MICROSTAGE_STAGES"}
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.usefixtures("cleared")
def test_a_copy_of_the_trainer_trains(checkout: Path, engine: Engine) -> None:
    made = run(checkout, "scripts/new_stage", NAME, "--like", "train")
    built = run(checkout, "./build_images.sh", NAME)
    x = features(500)
    usage = engine.run(IMAGE, [])
    result = engine.run(IMAGE, ["fit", "--rounds", "5"], inputs=inputs(x, targets(x, 2), 2))

    assert (0, "") == (made.returncode, made.stderr)
    assert f"scripts/swap_stage train {IMAGE}" in made.stdout
    assert f"scripts/run_stage train --image {IMAGE} --watch" in made.stdout
    assert 0 == built.returncode, built.stderr
    assert usage.stdout.startswith(f"usage: {NAME} ")
    assert (0, 500) == (result.code, result.summary["rows"])
    assert 40 > len((checkout / "containers" / NAME / "stage.py").read_text().splitlines())


@pytest.mark.usefixtures("cleared")
def test_a_copy_keeps_the_contract(checkout: Path) -> None:
    made = run(checkout, "scripts/new_stage", "--like=split_lua", NAME)
    built = run(checkout, "./build_images.sh", NAME)
    checked = run(REPOSITORY, "scripts/check_stage", IMAGE, "--as", "split")

    assert (0, 0) == (made.returncode, built.returncode), made.stderr + built.stderr
    assert 0 == checked.returncode, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 64, "NAME"),
        (["My-Train"], 64, "'My-Train' is no name"),
        (["../mine"], 64, "'../mine' is no name"),
        (["train"], 64, "containers/train is there already"),
        (["airflow"], 64, "containers/platform/airflow is there already"),
        (["builder"], 64, "'builder' is taken"),
        (["mine", "--like"], 64, "--like"),
        (["mine", "--like", "../train"], 64, "'../train' is no stage"),
        (["mine", "--like", "dance"], 66, "containers/dance"),
        (["mine", "--dance"], 64, "--dance"),
        (["mine", "yours"], 64, "yours"),
    ],
)
def test_a_wrong_name_is_refused_with_one_sentence(
    checkout: Path, arguments: list[str], code: int, says: str
) -> None:
    before = sorted((checkout / "containers").iterdir())
    result = run(checkout, "scripts/new_stage", *arguments)
    usage, _, sentence = result.stderr.rstrip("\n").rpartition("\n")

    assert (code, "") == (result.returncode, result.stdout)
    assert usage == "" or usage.startswith("usage: ")
    assert says in sentence
    assert before == sorted((checkout / "containers").iterdir())


def test_the_image_of_a_pinned_row_is_copied(checkout: Path) -> None:
    table = checkout / "dags" / "stages.toml"
    pin = f"microstage/split_lua:1.0.0@sha256:{64 * 'a'}"
    split = table.read_text("utf-8").partition("[stages.split]")
    table.write_text(
        split[0] + split[1] + split[2].replace("microstage/preprocess:1.0.0", pin, 1), "utf-8"
    )
    result = run(checkout, "scripts/new_stage", "mine", "--like", "split")

    assert (0, "") == (result.returncode, result.stderr)
    assert (checkout / "containers" / "mine" / "stage.lua").is_file()


def test_a_row_that_is_like_another_has_its_image_copied(checkout: Path) -> None:
    result = run(checkout, "scripts/new_stage", "mine", "--like", "validate")

    assert (0, "") == (result.returncode, result.stderr)
    assert "containers/mine is a copy of predict, for validate and " in result.stdout
    # To swap a row is to swap all that are like it.
    assert ["predict"] == re.findall(r"scripts/swap_stage (\w+) ", result.stdout)
    assert (checkout / "containers" / "mine" / "predict.py").is_file()


def test_what_linters_and_python_leave_is_not_copied(checkout: Path) -> None:
    for name in ("__pycache__", ".cache"):
        (checkout / "containers" / "train" / name).mkdir(exist_ok=True)
    run(checkout, "scripts/new_stage", "mine")

    made = {path.name for path in (checkout / "containers" / "mine").iterdir()}
    there = {path.name for path in (REPOSITORY / "containers" / "train").iterdir()}
    assert there - {"__pycache__", ".cache"} == made
