"""Which image the guard takes for a row's, where images are in containerd; a stand-in for it."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from guard.engine import Engine
from guard.refusals import RefusedError
from guard.stored import Stored

CONFIG = f"sha256:{'a' * 64}"
MANIFEST = json.dumps({"config": {"digest": CONFIG}}).encode()
ID = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
SAID = {"Id": ID, "RepoDigests": [f"a@{ID}"], "Config": {"Labels": {"one": "1"}}}


def archive() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as files:
        member = tarfile.TarInfo(f"blobs/sha256/{ID[7:]}")
        member.size = len(MANIFEST)
        files.addfile(member, io.BytesIO(MANIFEST))
    return written.getvalue()


def answer(body: bytes, status: str = "200 OK", more: int = 0) -> bytes:
    """An answer that says that it has more bytes than it has."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) + more}\r\n\r\n".encode() + body


ABSENT = answer(b'{"message":"No such image"}', "404 Not Found")
KNOWN = {"/images/a:1/json": answer(json.dumps(SAID).encode())}
WHOLE = {**KNOWN, f"/images/{ID}/get": answer(archive())}
Finding = Callable[[Stored], Awaitable[Any]]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microstage.images._configurations", {})


def ask(answers: dict[str, bytes], finding: Finding) -> tuple[Any, list[str]]:
    """Ask an engine that has these answers; return what came of it, and what it was asked."""
    asked: list[str] = []

    async def stand_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[1].decode().removeprefix("/v1.45"))
        writer.write(answers.get(asked[-1], ABSENT))
        await writer.drain()
        writer.close()

    async def run(socket: str) -> Any:
        async with await asyncio.start_unix_server(stand_in, socket):
            return await finding(Stored(Engine(socket)))

    with TemporaryDirectory() as folder:
        return asyncio.run(run(str(Path(folder, "s")))), asked


def test_it_is_made_of_what_was_looked_at_and_known_by_its_configuration() -> None:
    (found, said), _ = ask(WHOLE, lambda stored: stored.find("a:1"))

    assert (CONFIG, ID, {"one": "1"}) == (found.id, found.store_id, found.labels)
    assert SAID == said


def test_of_two_that_ask_at_once_the_second_waits_for_what_the_first_reads() -> None:
    _, asked = ask(WHOLE, lambda stored: asyncio.gather(stored.find("a:1"), stored.find("a:1")))

    assert 2 == asked.count("/images/a:1/json")
    assert 1 == asked.count(f"/images/{ID}/get")


def test_a_name_that_leads_to_another_image_than_is_pinned_leads_to_none() -> None:
    pin = f"a:1@sha256:{'b' * 64}"
    with pytest.raises(RefusedError, match=f"No such image: {pin}") as refused:
        ask(WHOLE, lambda stored: stored.find(pin))

    assert 404 == refused.value.status


@pytest.mark.parametrize(
    "read",
    [
        ABSENT,
        answer(b"", "500 Internal Server Error"),
        answer(archive()[:560], more=10_000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nblo",
        b"",
    ],
)
def test_an_archive_that_does_not_come_lets_nothing_through(read: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        ask({**KNOWN, f"/images/{ID}/get": read}, lambda stored: stored.find("a:1"))

    assert 502 == refused.value.status
