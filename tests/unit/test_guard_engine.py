"""What the guard says of an engine that is not there, too old, or breaks off; a stand-in for it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from guard.__main__ import check_version, provide_volume
from guard.engine import Engine
from guard.refusals import RefusedError
from guard.settings import Settings

SETTINGS = Settings("/host/data", "7:7", 10, install="microstage", secrets={})
OLD = b'{"message":"client version 1.45 is too new. Maximum supported API version is 1.43"}'
Asking = Callable[[Engine], Awaitable[Any]]


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def ask(text: bytes | None, asking: Asking) -> Any:
    """Ask an engine that answers every call with this text; with None it is not there."""

    async def stand_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(text or b"")
        await writer.drain()
        writer.close()

    async def run(socket: str) -> Any:
        server = await asyncio.start_unix_server(stand_in, socket) if text is not None else None
        try:
            return await asking(Engine(socket))
        finally:
            if server:
                server.close()

    with TemporaryDirectory() as folder:
        return asyncio.run(run(str(Path(folder, "s"))))


def volume(engine: Engine) -> Awaitable[Any]:
    return provide_volume(engine, SETTINGS)


@pytest.mark.parametrize(
    ("text", "asking", "reason"),
    [
        (answer(OLD, "400 Bad Request"), check_version, r"does not speak API 1\.45, .* Engine 26"),
        (None, check_version, "does not answer; see that it runs"),
        (b"", check_version, "did not answer to its end"),
        (answer(b"{}")[:-1], check_version, "did not answer to its end"),
        (b"SSH-2.0\r\n\r\n", check_version, "did not answer to its end"),
        (answer(b'{"message":"no room"}', "404 Not Found"), volume, "cannot be made: no room"),
        (answer(b'{"Driver":"local","Options":null}'), volume, "is not the folder /host/data"),
        (
            answer(b'{"Driver":"local","Options":{"type":"none","o":"rbind","device":"/other"}}'),
            volume,
            "is not the folder /host/data, which MICROSTAGE_DATA of .env names",
        ),
        (
            answer(
                b'{"Driver":"local","Options":{"type":"none","o":"bind","device":"/host/data"}}'
            ),
            volume,
            "is not the folder",
        ),
    ],
)
def test_a_guard_does_not_start_where_it_cannot_keep_its_promise(
    text: bytes | None, asking: Asking, reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        ask(text, asking)


def test_a_volume_is_the_data_folder_with_a_slash_behind_it_too() -> None:
    found = b'{"Driver":"local","Options":{"type":"none","o":"rbind","device":"/host/data/"}}'

    assert ask(answer(found), volume) is None
