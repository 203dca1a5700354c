"""measure_peers compares like with like: the peers' program does the same work, as we set it."""

import ast
import re
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.peers import COMPARED, PROGRAM, line
from support.watched import Measured

TRAIN = REPOSITORY / "containers" / "train"


def literals(path: Path, name: str) -> dict[str, Any]:
    """The entries of a dict `name = {...}` that are plain values, by their keys."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        named = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if [name] == [getattr(target, "id", "") for target in named]:
            entries = node.value  # type: ignore[attr-defined]
            return {
                str(key.value): getattr(value, "value", None)
                for key, value in zip(entries.keys, entries.values, strict=True)
                if isinstance(key, ast.Constant)
            }
    raise AssertionError(f"{path} has no {name}")


def test_every_kind_of_work_that_is_compared_is_done_by_the_peers() -> None:
    assert set(COMPARED) == literals(PROGRAM, "STEPS").keys()


def test_the_peer_trains_with_the_settings_of_our_trainer() -> None:
    defaults = dict(re.findall(r'Parameter\("([a-z-]+)", \w+\(.*?\), ([\d.]+),', stage_source()))
    ours = literals(TRAIN / "fit.py", "settings") | {
        "seed": int(defaults["seed"]),
        "learning_rate": float(defaults["learning-rate"]),
        "num_leaves": int(defaults["leaves"]),
        "min_data_in_leaf": int(defaults["leaf-rows"]),
        "objective": "binary",
    }
    rounds = re.findall(r"num_boost_round=(\d+)", PROGRAM.read_text("utf-8"))

    assert ours == literals(PROGRAM, "settings")
    assert [defaults["rounds"]] == rounds


def stage_source() -> str:
    return (TRAIN / "stage.py").read_text("utf-8")


def test_a_line_has_medians_of_seconds_peaks_of_memory_and_ratios() -> None:
    ours = [
        Measured(seconds, seconds - 0.5, held, 0, 10)
        for seconds, held in ((3.0, 90_000_000), (9.0, 100_000_000), (4.0, 80_000_000))
    ]
    theirs = [(2.0, 200_000_000), (1.0, 50_000_000), (2.0, 60_000_000)]

    assert "| train | 4.0 | 3.5 | 2.0 | 2.00 | 100 | 200 | 0.50 |" == line("train", ours, theirs)
