"""What no caller may do: each is refused, makes nothing, changes nothing, and is told nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from guarded import SECRET, Place, create, request, send
from hostile_bodies import CHANGES, Change
from hostile_requests import CALLS, RAW

from microstage.clearing import remove

Body = Callable[..., dict[str, Any]]


def shape(place: Place) -> Any:
    """Return all that a call could have changed on the engine."""
    client = place.engine
    containers = {
        each["Id"]: (each["State"], each["Names"], each["Image"])
        for each in client.containers(all=True)
    }
    images = {each["Id"]: sorted(each["RepoTags"] or []) for each in client.images()}
    volumes = sorted(each["Name"] for each in client.volumes()["Volumes"])
    networks = sorted(each["Name"] for each in client.networks())
    return containers, images, volumes, networks


@pytest.fixture
def nothing_happens(place: Place, bystander: str) -> Iterator[None]:
    """The engine is afterwards as it was before."""
    before = shape(place)
    yield

    assert before == shape(place)


def refused(place: Place, text: bytes) -> None:
    status, answer = send(place, text)

    assert 400 <= status < 500
    for told in (SECRET, str(place.root), "/var/lib/docker", "Traceback"):
        assert told.encode() not in answer
    assert "message" in json.loads(answer.partition(b"\r\n\r\n")[2])


def test_the_body_that_all_of_these_change_is_good(place: Place, body: Body) -> None:
    status, answer = send(place, create(body()))

    assert 201 == status
    remove(place.client(), json.loads(answer.partition(b"\r\n\r\n")[2])["Id"])


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_body_that_asks_for_another_container(place: Place, body: Body, change: Change) -> None:
    sent = body()
    text = change(sent)

    refused(place, create(text.encode() if isinstance(text, str) else text or sent))


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_call_that_no_stage_needs(place: Place, bystander: str, method: str, path: str) -> None:
    refused(place, request(method, path.replace("BYSTANDER", bystander)))


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("text", RAW.values(), ids=list(RAW))
def test_a_request_that_can_be_read_in_two_ways(
    place: Place, body: Body, bystander: str, text: str
) -> None:
    sent = json.dumps(body())
    text = text.replace("BYSTANDER", bystander).replace("HEXLENGTH", f"{len(sent):x}")
    text = text.replace("LENGTH", str(len(sent))).replace("GOOD", sent)

    refused(place, text.encode("latin-1"))
