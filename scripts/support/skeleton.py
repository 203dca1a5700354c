"""The file of a new pipeline, which is valid before its first edit."""

from __future__ import annotations

import tomllib
from pathlib import Path

from microstage.errors import USAGE, StageError
from microstage.pipelines import (
    check_name,
    load_pipeline,
    pipeline_names,
    pipeline_path,
    table_path,
)

SKELETON = """\
# The pipeline {name}: what is not said here is as in ../stages.toml, which explains each key.
# `params` and `limits` of a row are taken over key by key, all else as a whole.

[pipeline]
{settings}
# schedule = {{ generate_data = "none", train_model = "0 6 * * 1" }} # "none": by hand alone

# Rows that are different. To take data from outside, switch generate_data off, or leave it off.
#
# [stages.generate]
# image = "microstage/my_source:1.0.0"
#
# [stages.train]
# params = {{ rounds = 400 }}
# limits = {{ memory = "8g" }}
"""


def make(name: str, window: int | None = None, model: str | None = None) -> Path:
    """Write a pipeline's file and return it. Raises StageError (64) for what cannot be taken."""
    check_name(name, tomllib.loads(table_path().read_text(encoding="utf-8")).get("stages", {}))
    path = pipeline_path(name)
    if name in pipeline_names():
        raise StageError(USAGE, f"There is a pipeline {name} already: {path}.")
    lines = [
        f"window = {window}"
        if window is not None
        else "# window = 7 # days that a model learns from",
        f'model = "{model}"' if model else f'# model = "{name}" # name of the model in MLflow',
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(SKELETON.format(name=name, settings="\n".join(lines)), encoding="utf-8")
    try:
        load_pipeline(name)
    except StageError:
        path.unlink()
        raise
    return path
