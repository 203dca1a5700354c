"""The Docker Engine, as the guard speaks to it: a connection a call, over its socket."""

from __future__ import annotations

import asyncio
import json
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode

import h11

from guard.refusals import RefusedError
from guard.routes import API

MAX_ANSWER = 32 * 1024 * 1024
SECONDS = 120  # that any call but a wait may take
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What the engine says."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def failed(self) -> bool:
        return self.status >= HTTPStatus.BAD_REQUEST


class Engine:
    """The Docker Engine behind a socket."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        seconds: float | None = SECONDS,
        **query: str,
    ) -> Answer:
        """Return the engine's answer. Raises RefusedError.

        seconds: that it may take; without them, for ever.
        """
        reader, writer = await self._connect()
        try:
            with _to_its_end():
                async with asyncio.timeout(seconds):
                    return await self._call(reader, writer, _request(method, path, body, query))
        finally:
            writer.close()

    async def attach(self, container: str) -> tuple[Answer, StreamReader, StreamWriter]:
        """Return the stream of a container's outputs, with what came of it with the answer.

        The caller closes the writer. Raises RefusedError.
        """
        reader, writer = await self._connect()
        try:
            path = f"/containers/{container}/attach"
            asked = {"logs": "0", "stream": "1", "stdout": "1", "stderr": "1"}
            connection = h11.Connection(h11.CLIENT)
            with _to_its_end():
                for event in _request("POST", path, None, asked, upgrade=True):
                    writer.write(connection.send(event) or b"")
                async with asyncio.timeout(SECONDS):
                    event = await _next(connection, reader)
            if not isinstance(event, h11.InformationalResponse):
                raise RefusedError(
                    "There is no such container, or it has ended.", HTTPStatus.NOT_FOUND
                )
            return Answer(event.status_code, connection.trailing_data[0]), reader, writer
        except BaseException:
            writer.close()
            raise

    async def logs(self, container: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield a container's log, first of all nothing, when it is there. Raises RefusedError."""
        reader, writer = await self._connect()
        try:
            connection = h11.Connection(h11.CLIENT)
            for event in _request("GET", f"/containers/{container}/logs", None, dict(query)):
                writer.write(connection.send(event) or b"")
            with _to_its_end():
                async with asyncio.timeout(SECONDS):
                    event = await _next(connection, reader)
            if event.status_code != HTTPStatus.OK:
                raise RefusedError("There is no log of such a container.", HTTPStatus.NOT_FOUND)
            yield b""
            while isinstance(event := await _next(connection, reader), h11.Data):
                yield bytes(event.data)
        finally:
            writer.close()

    @contextmanager
    def archive(self, image: str) -> Iterator[HTTPResponse]:
        """Give an image of this id as a tar, to a thread: it waits for it. Raises RefusedError."""
        connection = _Waiting(self._socket)
        try:
            with _to_its_end():
                connection.request("GET", f"/v{API}/images/{image}/get")
                answer = connection.getresponse()
                if answer.status != HTTPStatus.OK:
                    raise EOFError
                yield answer
        finally:
            connection.close()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self._socket)
        except OSError:
            raise RefusedError(
                "The Docker Engine does not answer; see that it runs.", HTTPStatus.BAD_GATEWAY
            ) from None

    async def _call(
        self, reader: StreamReader, writer: StreamWriter, events: list[h11.Event]
    ) -> Answer:
        connection = h11.Connection(h11.CLIENT)
        for event in events:
            writer.write(connection.send(event) or b"")
        await writer.drain()
        status, body, size = 0, [], 0
        while True:
            event = await _next(connection, reader)
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
                size += len(event.data)
                if size > MAX_ANSWER:
                    raise EOFError
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, b"".join(body))
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError


class _Waiting(HTTPConnection):
    """A connection to a socket of this machine, for whoever may wait."""

    def __init__(self, path: str) -> None:
        super().__init__("guard", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextmanager
def _to_its_end() -> Iterator[None]:
    """Raise RefusedError for an answer that breaks off, or does not come."""
    try:
        yield
    except (OSError, EOFError, TimeoutError, h11.RemoteProtocolError, HTTPException):
        raise RefusedError(
            "The Docker Engine did not answer to its end.", HTTPStatus.BAD_GATEWAY
        ) from None


def _request(
    method: str, path: str, body: Any, query: dict[str, str], *, upgrade: bool = False
) -> list[h11.Event]:
    target = f"/v{API}{quote(path, safe='/:@')}"
    if query:
        target += f"?{urlencode(query)}"
    content = b"" if body is None else json.dumps(body).encode("ascii")
    headers = [("Host", "guard"), ("Content-Length", str(len(content)))]
    headers += [("Content-Type", "application/json")] if content else []
    headers += [("Connection", "Upgrade"), ("Upgrade", "tcp")] if upgrade else []
    head = h11.Request(method=method, target=target, headers=headers)
    return [head, *([h11.Data(data=content)] if content else []), h11.EndOfMessage()]


async def _next(connection: h11.Connection, reader: StreamReader) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(CHUNK))
    return event
