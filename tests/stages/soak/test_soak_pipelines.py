"""Whatever is in the table or in the file of a pipeline, it is a pipeline, or one sentence."""

import tomllib
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from harness import fail
from shipped import write_pipelines
from soak.harm_pipelines import harmed

from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.jobs import resolve
from microstage.pipelines import Pipeline, load_pipeline

LONGEST = 2500  # letters of a sentence


def use(pipeline: Pipeline, data: DataFolder) -> None:
    """Do what a task does with each row before it starts a container, sentences apart."""
    for row in pipeline.rows:
        try:
            job = resolve(pipeline, row, "2013-01-06", window=3, model="models/2013-01-06")
            paths = [data.path(path) for path in (*job.sources.values(), job.target)]
            assert all(path.is_relative_to(data.root) for path in paths)
            assert all("\0" not in word for word in job.command)
        except StageError as error:
            check_sentence(error)


def check_sentence(error: StageError) -> None:
    line = str(error)
    assert error.code == 64, line
    assert line.isprintable(), line
    assert len(line) <= LONGEST, line


@pytest.mark.parametrize("file", ["stages.toml", "pipelines/flights.toml"])
def test_a_file_of_pipelines_is_read_or_refused_with_a_sentence(
    tmp_path: Path, file: str, seed: str, first: int, number: int
) -> None:
    write_pipelines(tmp_path)
    (tmp_path / "data").mkdir()
    data = DataFolder.at(tmp_path / "data")
    whole = tomllib.loads((tmp_path / "stages.toml").read_text("utf-8"))
    ended, faults = Counter[str](), list[str]()
    for n in range(first, first + number):
        content, told = harmed(whole, Random(f"{seed} {file} {n}"))  # noqa: S311 - no secret
        (tmp_path / file).write_bytes(content)
        for name in ("default", "flights"):
            try:
                use(load_pipeline(name, tmp_path / "stages.toml"), data)
                ended["read"] += 1
            except StageError as error:
                check_sentence(error)
                ended["refused"] += 1
            except Exception as error:
                faults.append(f"case {n}: {type(error).__name__}: {error}\n      {told}")
    print(f"{file}: {number} cases of seed {seed}: {dict(ended)}")
    if faults:
        fail("\n".join([f"{file}, seed {seed}, {len(faults)} faults:", *faults[:25]]))
