"""Images are as small as they can be: in MB, and beside what a run of them really opens."""

import json
import subprocess
from collections.abc import Mapping

import pytest
from harness import IMAGES, REPOSITORY, Engine, reference

pytestmark = pytest.mark.images

MB = {
    "generate": 70,
    "preprocess": 100,
    "train": 95,
    "predict": 195,
    "monitor": 106,
    "registry": 70,
    "ingest": 152,
}

# Of MLflow a client needs a third, which is spread over all its folders. The extension for
# PostgreSQL of ingest is opened where there is one.
RATIO = {"registry": 1.45, "ingest": 1.55}

# replay needs a third of Python's own library; its Python is the layer that all images share.
SMALL = [image for image in IMAGES if image != "replay"]


@pytest.fixture(scope="session")
def opened() -> Mapping[str, Mapping[str, int]]:
    command = [str(REPOSITORY / "scripts/opened_files"), "--json", *map(reference, SMALL)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("image", MB)
def test_an_image_is_no_larger_than_was_promised(engine: Engine, image: str) -> None:
    assert MB[image] * 1e6 >= engine.attributes(image)["Size"]


@pytest.mark.parametrize("image", SMALL)
def test_an_image_is_hardly_more_than_the_files_that_its_stages_open(
    engine: Engine, opened: Mapping[str, Mapping[str, int]], image: str
) -> None:
    floor = sum(opened[reference(image)].values())

    assert floor > 1e6
    assert RATIO.get(image, 1.3) * floor >= engine.attributes(image)["Size"]
