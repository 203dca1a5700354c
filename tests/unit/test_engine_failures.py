"""What a person is told when the engine does not do what a task asks for."""

import pytest
from docker.errors import NotFound

from microstage.engines.attended import engine_failure


@pytest.mark.parametrize(
    ("explanation", "told"),
    [
        ("No such container: 5f0c", "The stage's container was removed while it ran."),
        ("There is no such container, or it has ended.", "The stage's container was removed"),
        ("network dead-link not found", "The Docker Engine refused: network dead-link not found."),
        ("get data: no such volume", "The Docker Engine refused: get data: no such volume."),
    ],
)
def test_what_is_not_there_is_named_the_container_or_what_it_needs(
    explanation: str, told: str
) -> None:
    error = NotFound("404", explanation=explanation)

    assert told in str(engine_failure(error, "unix:///var/run/docker.sock"))
