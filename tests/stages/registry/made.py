"""A version in production that stages have made, and what these say of a new day."""

import csv
import io
from pathlib import Path

import numpy as np
from harness import Input, RunStage
from registry.server import Mlflow, published

DAYS, DAY = ["2013-01-08", "2013-01-09", "2013-01-10"], "2013-01-11"
NAMES = ["size (m²)", "rooms", "carrier", "code", "never", "flag"]
TRAINERS = ["train", "train_xgboost", "train_sklearn"]
KINDS = [(trainer, "two") for trainer in TRAINERS] + [("train", "three"), ("train", "numbers")]


def raw(seed: int, kind: str, rows: int = 400) -> dict[str, str | bytes]:
    """A day of a table that has numbers with gaps, texts, and numbers that are but names."""
    random = np.random.default_rng(seed)
    data, target = io.StringIO(newline=""), ["target"]
    writer = csv.writer(data, lineterminator="\n")
    writer.writerow(NAMES)
    for i in range(rows):
        size, rooms = round(random.normal() * 100, 3), int(random.integers(1, 9))
        carrier = str(random.choice(["UA", "b,6", "é", "no", " AA"]))
        code, flag = int(random.integers(0, 4)), bool(random.integers(0, 2))
        gap = random.random() < 0.1
        new = seed > 3 and i % 50 == 0
        writer.writerow(
            [
                "" if gap else size,
                rooms,
                "" if i % 31 == 0 else "new" if new else carrier,
                code,
                "",
                flag,
            ]
        )
        score = size / 100 + (code == 2) - (carrier == "UA") + random.normal()
        number = repr(score) if kind == "numbers" else ""
        target.append(number or ("late" if score > 1 else "early" if score < -1 else "on time"))
    if kind == "two":
        target = ["target", *("1" if text == "late" else "0" for text in target[1:])]
    return {"data.csv": data.getvalue(), "target.csv": "\n".join(target) + "\n"}


def files(folder: Path) -> dict[str, str | bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Made:
    """A version that this trainer has learned, of "two" or "three" classes or of "numbers"."""

    def __init__(self, mlflow: Mlflow, run_stage: RunStage, trainer: str, kind: str) -> None:
        self.mlflow, self.kind, self.trainer = mlflow, kind, trainer
        task = {"task": "regression"} if kind == "numbers" else {}
        found: dict[str, Input] = {f"raw/{day}": raw(i, kind) for i, day in enumerate(DAYS)}

        def run(name: str, image: str, verb: str, *reads: str, **params: object) -> Path:
            inputs = {read: found[read] for read in reads}
            result = run_stage(image, verb, inputs=inputs, **params)
            assert 0 == result.code
            outputs = files(result.out)
            found[name] = published(name, outputs, {})
            return result.out

        days = [f"raw/{day}" for day in DAYS]
        run("processed", "preprocess", "fit", *days, categorical="code", **task)
        run("split", "preprocess", "split", "processed")
        run("model", trainer, "fit", "processed", "split")
        run("validation", "predict", "validate", "model", "split")
        self.found = found
        new = raw(7, kind)
        self.rows = str(new["data.csv"])
        found[f"raw/{DAY}"] = new
        run("features", "preprocess", "transform", f"raw/{DAY}", "model")
        out = run("predictions", "predict", "predict", "features", "model")
        self.predictions = (out / "predictions.csv").read_text("utf-8")
        self.promote()

    def promote(self) -> None:
        """Record it, and let it be in production."""
        read = ("processed", "split", "model", "validation")
        version = self.mlflow.ok("track", {name: self.found[name] for name in read})
        self.log = version.stdout
        self.mlflow.ok("promote", {"version": version.out})


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))
