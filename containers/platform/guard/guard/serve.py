"""The socket: one request a connection, and for attach the stream behind it."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio import Future, StreamReader, StreamWriter
from contextlib import aclosing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from h11 import RemoteProtocolError

from guard.calls import Calls
from guard.engine import CHUNK, Engine
from guard.refusals import MalformedError, RefusedError
from guard.request import Request, read_request
from guard.routes import API, route_of

SECONDS = 10  # that a client may take to send its request
SWEEP_SECONDS = 30
AWAY_TRIES, AWAY_SECONDS = 3, 5
CONNECTIONS = 512  # at once; a stage has two
UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)

LOG = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
    b"Connection: close\r\n\r\n"
)


def say(line: str) -> None:
    """Write one line to the log."""
    print(line, file=sys.stderr, flush=True)


class Server:
    """Answers the calls of clients."""

    def __init__(self, engine: Engine, calls: Calls) -> None:
        self._engine = engine
        self._calls = calls
        self._connections = 0

    async def serve(self, path: str) -> None:
        """Listen at a path, for the group, until it is cancelled.

        A socket has its name before anybody listens at it, so it gets this one afterwards: whoever
        finds it is answered.
        """
        own = Path(f"{path}.new")
        own.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._client, own, backlog=128)
        own.chmod(0o660)
        own.replace(path)
        async with server:
            await self._sweep()

    async def _sweep(self) -> None:
        """Remove what nobody waits for any more, now and again.

        Raises RefusedError when the engine has been away for long: one that comes back under
        containers that it left running has a socket of the same name, which is not ours.
        """
        away, pause = 0, min(SWEEP_SECONDS, self._calls.owned.unattended / 6 or SWEEP_SECONDS)
        while away < AWAY_TRIES:
            try:
                for container in await self._calls.owned.sweep():
                    say(f"Removed container {container[:12]}, which nobody waits for any more.")
                away = 0
            except RefusedError:
                away += 1
            await asyncio.sleep(AWAY_SECONDS if away else pause)
        raise RefusedError(f"The Docker Engine was away {away} times, {AWAY_SECONDS} s apart.")

    async def _client(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS:
                await self._answer(reader, writer)
        except (OSError, EOFError):
            pass  # the client has gone
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        asked = "a request"
        try:
            request = await _read(reader)
            asked = f"{request.method} {request.path[:200]}"
            name, named = route_of(request)
            if name == "attach":
                await self._stream(named, reader, writer)
                return
            if name == "logs":
                await self._log(request, named, reader, writer)
                return
            working = asyncio.ensure_future(self._calls[name](request, named))
            if name == "wait":
                with self._calls.owned.heard(named):
                    if not await _outlasts(reader, working):
                        return
            status, content = await working
        except RefusedError as error:
            say(f"{error.status} for {asked}: {error}")
            status, content = error.status, {"message": str(error)}
        except (ConnectionError, EOFError):
            raise
        except Exception as error:  # a fault of ours lets nothing through, and says nothing
            say(f"500 for {asked}: {error!r}")
            status, content = HTTPStatus.INTERNAL_SERVER_ERROR, {"message": "The guard failed."}
        writer.write(_response(status, content))
        await writer.drain()

    async def _stream(self, container: str, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass a container's outputs on; what the client sends goes nowhere."""
        await self._calls.owned.check(container)
        answer, outputs, ours = await self._engine.attach(container)
        writer.write(UPGRADED + answer.body)
        tasks = [
            asyncio.ensure_future(_copy(outputs, writer)),
            asyncio.ensure_future(_drop(reader)),
        ]
        try:
            with self._calls.owned.heard(container):
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ours.close()

    async def _log(
        self, request: Request, container: str, reader: StreamReader, writer: StreamWriter
    ) -> None:
        """Pass on what a container has said, and goes on to say, while the client is there."""
        await self._calls.owned.check(container)

        async def copy() -> None:
            async with aclosing(self._engine.logs(container, request.query)) as chunks:
                await anext(chunks)
                writer.write(LOG)
                with suppress(OSError, EOFError, RemoteProtocolError):
                    async for chunk in chunks:
                        writer.write(chunk)
                        await writer.drain()

        working = asyncio.ensure_future(copy())
        with self._calls.owned.heard(container):
            if await _outlasts(reader, working):
                await working


async def _read(reader: StreamReader) -> Request:
    try:
        async with asyncio.timeout(SECONDS):
            return await read_request(reader)
    except TimeoutError:
        raise MalformedError(f"A request comes within {SECONDS} seconds.") from None


async def _outlasts(reader: StreamReader, working: Future[Any]) -> bool:
    """Tell whether the client is there when the work is done; end the work otherwise."""
    listening = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        return working.done()
    finally:
        for task in (working, listening):
            if not task.done():
                task.cancel()


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()


async def _drop(reader: StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(CHUNK):
            pass


def _response(status: int, content: Any) -> bytes:
    if content is None:
        kind, body = "text/plain", b""
    elif isinstance(content, str):
        kind, body = "text/plain; charset=utf-8", content.encode()
    else:
        kind, body = "application/json", json.dumps(content).encode() + b"\n"
    lines = [
        f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}",
        f"Api-Version: {API}",
        "Ostype: linux",
        "Connection: close",
    ]
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
