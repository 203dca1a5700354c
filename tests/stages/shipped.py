"""The table of stages as the tests have it: a test depends on nothing that a user has swapped."""

import re

from harness import REPOSITORY, reference

from microstage.pipelines import load_pipeline

# The pipeline that the demo runs.
FLIGHTS = """
[pipeline]
window = 13

[stages.generate]
image = "microstage/replay:1.0.0"
"""

# The image whose outputs the tests of other images begin from, by the kind of work.
TESTED = {
    "generate-data": "generate",
    "fit-columns": "preprocess",
    "split-rows": "preprocess",
    "transform-rows": "preprocess",
    "train-model": "train",
    "validate-model": "predict",
    "compare-models": "predict",
    "predict-rows": "predict",
    "report-quality": "monitor",
    "track-model": "registry",
}


def table_of_the_tests() -> str:
    """dags/stages.toml with the images of TESTED, whichever a user has put in their place."""
    shipped = REPOSITORY / "dags" / "stages.toml"
    text = shipped.read_text("utf-8")
    for row in load_pipeline(table=shipped).rows.values():
        if row.work in TESTED and not row.like:
            own = re.compile(rf"(?ms)^(\[stages\.{row.stage}\]$.*?^image\s*=\s*)\"[^\"]*\"")
            text = own.sub(rf'\1"{reference(TESTED[row.work])}"', text, count=1)
    return text
