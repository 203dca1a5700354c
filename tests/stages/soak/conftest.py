"""The soak: how many cases, by which seed, and the real inputs that they are drawn from."""

from collections.abc import Callable
from functools import cache

import pytest
from pipeline import Case, Pipeline
from soak.subjects import Subject


@pytest.fixture(scope="session")
def pipeline_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Subject], Pipeline]:
    """The data folder of the checks, and a copy of it with the model of another trainer."""
    usual = Pipeline()

    @cache
    def of(trainer: str) -> Pipeline:
        if not trainer:
            return usual
        return usual.copy(tmp_path_factory.mktemp("soak") / trainer, Case(trainer, "train"))

    return lambda subject: of(subject.trainer)


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--seed"))


@pytest.fixture(scope="session")
def first(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--first"))


@pytest.fixture(scope="session")
def number(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--soak"))
