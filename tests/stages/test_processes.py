"""Large tables are worked on by several processes, and are what one process would make of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from harness import Engine, Input, Result, arguments

ROWS = 200_000  # of 20 columns: some more than it takes, of each table
DAY = "2013-01-01"
FILES = {
    "fit": ["train_data.csv", "preprocess.json"],
    "split": ["train.csv", "val.csv"],
    "train": ["model.txt", "model.json"],
    "transform": ["data.csv"],
    "predict": ["predictions.csv"],
    "validate": ["metrics.json", "roc.csv"],
}


@pytest.fixture(scope="module")
def raw(engine: Engine) -> Path:
    """A large day of data."""
    day = run(engine, "generate", "generate", {}, 2, rows=ROWS, date=DAY)
    return day.out


def run(
    engine: Engine,
    image: str,
    verb: str,
    inputs: Mapping[str, Input],
    processes: int,
    **params: object,
) -> Result:
    return engine.run(
        image,
        arguments(verb, params),
        inputs=inputs,
        environment={"OMP_NUM_THREADS": str(processes)},
    )


def test_every_step_writes_the_same_bytes_by_one_process_and_by_two(
    engine: Engine, raw: Path
) -> None:
    made: dict[str, Path] = {}
    for step, image, verb, reads, params in (
        ("fit", "preprocess", "fit", {}, {}),
        ("split", "preprocess", "split", {"processed": "fit"}, {}),
        ("train", "train", "fit", {"processed": "fit", "split": "split"}, {"rounds": 5}),
        ("transform", "preprocess", "transform", {"model": "train"}, {}),
        ("predict", "predict", "predict", {"features": "transform", "model": "train"}, {}),
        ("validate", "predict", "validate", {"split": "split", "model": "train"}, {}),
    ):
        inputs: dict[str, Input] = {name: made[source] for name, source in reads.items()}
        if verb in ("fit", "transform") and image == "preprocess":
            inputs[f"raw/{DAY}"] = raw
        one, two = (run(engine, image, verb, inputs, n, **params) for n in (1, 2))

        assert (0, 0) == (one.code, two.code), step
        for file in FILES[step]:
            assert (one.out / file).read_bytes() == (two.out / file).read_bytes(), file
        assert one.summary == two.summary
        made[step] = two.out


@pytest.mark.parametrize("processes", [1, 2])
def test_a_fault_far_down_is_told_with_its_row(
    engine: Engine, raw: Path, tmp_path: Path, processes: int
) -> None:
    lines = (raw / "data.csv").read_bytes().splitlines(keepends=True)
    lines[ROWS // 2] = lines[ROWS // 2].rpartition(b",")[0] + b"\n"
    (tmp_path / "data.csv").write_bytes(b"".join(lines))
    (tmp_path / "target.csv").write_bytes((raw / "target.csv").read_bytes())
    tmp_path.chmod(0o755)
    result = run(engine, "preprocess", "fit", {f"raw/{DAY}": tmp_path}, processes)

    assert 65 == result.code
    assert f"data.csv, row {ROWS // 2} has 19 fields, not 20: complete it" in result.last_error


def test_a_process_that_the_kernel_kills_for_its_memory_is_tried_again(
    engine: Engine, raw: Path
) -> None:
    result = engine.run(
        "preprocess",
        ["fit"],
        inputs={f"raw/{DAY}": raw},
        environment={"OMP_NUM_THREADS": "2"},
        mem_limit="70m",
        memswap_limit="70m",
    )

    assert result.code in (75, 137)
    assert result.out_of_memory or "memory ran out: give the stage more" in result.last_error
