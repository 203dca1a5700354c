"""The table of stages as the tests have it: a test depends on nothing that a user has changed."""

import re
from pathlib import Path

from harness import REPOSITORY, reference

from microstage.pipelines import load_pipeline

# The times of the default pipeline, and what is as long as it says.
SECTION = """[pipeline]
window = 1
history = 28
model = "microstage"

[pipeline.schedule]
generate_data = "@daily"
train_model = "@weekly"
predict = "@daily"
monitor = "@daily"
maintain = "@weekly"

"""

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

IMAGE = re.compile(r'(?m)^(image\s*=\s*)"[^"]*"(.*\n)')
TABLES = re.compile(r"(?ms)^\[(?P<kind>pipeline|stages)\.?(?P<name>\w*)\]$.*?(?=^\[|\Z)")


def table_of_the_tests() -> str:
    """dags/stages.toml with SECTION and the images of TESTED, whatever a user has for them."""
    shipped = REPOSITORY / "dags" / "stages.toml"
    rows = load_pipeline(table=shipped).rows

    def as_shipped(table: re.Match[str]) -> str:
        text, name = table.group(), table["name"]
        if table["kind"] == "pipeline":
            return "" if name else SECTION
        if re.search(r"(?m)^like\s*=", text):
            return IMAGE.sub("", text)
        image = reference(TESTED.get(rows[name].work, rows[name].image))
        return IMAGE.sub(rf'\1"{image}"\2', text)

    return TABLES.sub(as_shipped, shipped.read_text("utf-8"))


def write_pipelines(folder: Path) -> Path:
    """Put the default pipeline and flights into a folder like dags/; return the default's file."""
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "pipelines" / "flights.toml").write_text(FLIGHTS, "utf-8")
    (folder / "stages.toml").write_text(table_of_the_tests(), "utf-8")
    return folder / "stages.toml"
