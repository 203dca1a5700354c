"""The pipeline of dags/stages.toml on one small day, so that every stage has real inputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import IMAGES, STAGES, Engine, Input, Result, arguments

DAY = "2013-01-01"

# Parameters beside those of the table, by image: as small as still makes sense.
SMALL: dict[str, dict[str, object]] = {"generate": {"rows": 400}, "train": {"rounds": 20}}

# Images that the table does not name now, and the row that each can fill.
STAND_INS = {"generate": "generate", "replay": "generate"}


def image_of(stage: str) -> str:
    """`train`, where the row says `microstage/train:1.0.0`."""
    return str(STAGES[stage]["image"]).rpartition(":")[0].rpartition("/")[2]


def cases() -> list[tuple[str, str]]:
    """Image and stage: all rows that run without a network, then the stand-ins."""
    rows = [(image_of(stage), stage) for stage, row in STAGES.items() if not row.get("network")]
    named = {image_of(stage) for stage in STAGES}
    return rows + [(image, STAND_INS[image]) for image in IMAGES if image not in named]


every_stage = pytest.mark.parametrize(
    ("image", "stage"), cases(), ids=[f"{image}-{stage}" for image, stage in cases()]
)


class Chain:
    """Runs stages on what the stages before them have really written, each once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._results: dict[tuple[str, str], Result] = {}

    def command(self, image: str, stage: str, **more: object) -> list[str]:
        row = STAGES[stage]
        params = row.get("params", {}) | SMALL.get(image, {}) | more
        return arguments(row["verb"], {k: str(v).format(ds=DAY) for k, v in params.items()})

    def inputs(self, stage: str) -> dict[str, Path]:
        """What the row reads: the paths under /in, and what was written for them."""
        found = {}
        for name, path in STAGES[stage]["reads"].items():
            at = path.replace("{day}", "{ds}").replace("{model}", "models/{ds}")
            writer = next(s for s, row in STAGES.items() if row["writes"]["to"] == at)
            key = f"{name}/{DAY}" if "{day}" in path else name
            found[key] = self.result(image_of(writer), writer).out
        return found

    def result(self, image: str, stage: str) -> Result:
        """What the image makes of the stage's inputs."""
        key = (image, stage)
        if key not in self._results:
            self._results[key] = self.run(image, stage)
        assert (0, "") == (self._results[key].code, self._results[key].last_error)
        return self._results[key]

    def run(
        self, image: str, stage: str, inputs: Mapping[str, Input] | None = None, **options: Any
    ) -> Result:
        """A run of its own, with other inputs or options of `Engine.run`."""
        return self._engine.run(
            image,
            self.command(image, stage),
            inputs=self.inputs(stage) if inputs is None else inputs,
            **options,
        )
