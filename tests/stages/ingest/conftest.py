"""The services that the stage reads from, started once."""

from collections.abc import Iterator

import pytest
from harness import Engine
from ingest.services import Services, started


@pytest.fixture(scope="session")
def services(engine: Engine) -> Iterator[Services]:
    with started(engine) as both:
        yield both
