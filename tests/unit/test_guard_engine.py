"""What the guard says of an engine that is not there, too old, or breaks off; a stand-in for it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from guard.engine import Engine
from guard.promises import check_engine
from guard.provided import provide_volume
from guard.refusals import RefusedError
from guard.settings import Settings

SETTINGS = Settings("/host/data", "7:7", 10, install="microstage", secrets={})
OLD = b'{"message":"client version 1.45 is too new. Maximum supported API version is 1.43"}'
GOOD = {
    "Components": [{"Name": "Engine"}, {"Name": "containerd"}],
    "MemoryLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "DriverStatus": [["Backing Filesystem", "extfs"]],
}
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
        (answer(OLD, "400 Bad Request"), check_engine, r"does not speak API 1\.45, .* Engine 26"),
        (answer(b"{}"), check_engine, "cannot limit memory, processes, cpus; mount the cgroup"),
        (None, check_engine, "does not answer; see that it runs"),
        (b"", check_engine, "did not answer to its end"),
        (answer(b"{}")[:-1], check_engine, "did not answer to its end"),
        (b"SSH-2.0\r\n\r\n", check_engine, "did not answer to its end"),
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


def test_an_engine_is_taken_that_keeps_the_walls_up() -> None:
    assert ask(answer(json.dumps(GOOD).encode()), check_engine) is None


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("Components", [{"Name": "Podman Engine"}], "^This engine is Podman, .*; take Docker"),
        ("MemoryLimit", False, r"^This Docker Engine cannot limit memory; mount .* anew\.$"),
        ("PidsLimit", False, "cannot limit processes; mount the cgroup controllers"),
        ("CpuCfsQuota", False, "cannot limit cpus; "),
        ("SecurityOptions", ["name=rootless"], "gives users other ids .*; take one that runs as"),
        ("SecurityOptions", ["name=userns"], "gives users other ids"),
    ],
)
def test_an_engine_that_leaves_out_a_wall_is_not(key: str, value: object, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        ask(answer(json.dumps({**GOOD, key: value}).encode()), check_engine)
