"""Runs stage images in hardened containers; `--image NAME` narrows the tests to one image.

The tests have a table of their own, whatever a user has put into dags/stages.toml.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import IMAGES, Engine, Input, Result, RunStage, arguments
from shipped import write_pipelines
from warm import PACKAGES, WarmEngine

from support.examples import with_examples

HERE = Path(__file__).parent
FEW = 10  # cases of the soak where nobody asks for more

# Here and not in a hook: what is imported next reads the table. scripts/check_stage, which checks
# an image among those that a user has, names their pipeline.
if "MICROSTAGE_CHECK_PIPELINE" not in os.environ:
    FOLDER = Path(tempfile.mkdtemp(prefix="microstage-tests-"))
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
    table = write_pipelines(FOLDER)
    table.write_text(with_examples(table.read_text("utf-8")), "utf-8")
    os.environ["MICROSTAGE_STAGES"] = str(table)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--image", choices=IMAGES, help="run only the tests of this stage image")
    parser.addoption(
        "--case",
        action="append",
        default=[],
        metavar="IMAGE=STAGE",
        help="check this image in the place of this stage, instead of all images (contract/ alone)",
    )
    parser.addoption("--soak", default=FEW, type=int, help="cases of each stage in soak/")
    parser.addoption("--first", default=0, type=int, help="number of the first of these cases")
    parser.addoption("--seed", default="1", help="what they are drawn by")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("--image")
    if not chosen:
        return
    kept = [item for item in items if _image(item) == chosen]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _image(item: pytest.Item) -> str:
    """The image that is checked, or the folder tests/stages/<image>/ that the test is in."""
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        given: dict[str, Any] = item.callspec.params
        if "case" in given:
            return str(given["case"].image)
        if "subject" in given:
            return str(given["subject"].case.image)
        if "image" in given:
            return str(given["image"])
    return item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    scratch = tmp_path_factory.mktemp("runs")
    yield Engine(scratch)
    # pytest keeps what three sessions wrote, and a run may write a gigabyte.
    shutil.rmtree(scratch)


@pytest.fixture(scope="session")
def warm(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmEngine]:
    with ExitStack() as stack:
        yield WarmEngine(engine, tmp_path_factory.mktemp("warm"), stack)


@pytest.fixture(scope="session")
def run_stage(engine: Engine, warm: WarmEngine) -> RunStage:
    """Call it as `run_stage("preprocess", "fit", inputs={"raw/2013-01-01": {...}}, seed=1)`.

    The keys of `inputs` are paths under /in, the values a directory of the host or
    {file name: content}. The parameter `max_categories=5` becomes `--max-categories 5`.
    """

    def run(
        image: str,
        verb: str,
        *,
        inputs: Mapping[str, Input] | None = None,
        **params: object,
    ) -> Result:
        where = warm if image in PACKAGES else engine
        return where.run(image, arguments(verb, params), inputs=inputs)

    return run
