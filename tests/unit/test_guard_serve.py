"""How the guard begins to listen."""

import asyncio
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from guard.engine import Engine
from guard.refusals import RefusedError
from guard.serve import Server


def test_whoever_finds_the_socket_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    listen = socket.socket.listen
    found: list[bool] = []

    async def sweep_without_engine() -> list[str]:
        found.append(socket_path.is_socket())
        raise RefusedError("The Docker Engine does not answer.")

    def record_and_listen(self: socket.socket, *backlog: int) -> None:
        found.append(socket_path.exists())
        listen(self, *backlog)

    monkeypatch.setattr(socket.socket, "listen", record_and_listen)
    monkeypatch.setattr("guard.serve.AWAY_TRIES", 1)
    monkeypatch.setattr("guard.serve.AWAY_SECONDS", 0)
    calls: Any = SimpleNamespace(owned=SimpleNamespace(sweep=sweep_without_engine, unattended=0))
    with TemporaryDirectory() as folder:
        socket_path = Path(folder, "docker.sock")
        with pytest.raises(RefusedError, match="away"):
            asyncio.run(Server(Engine("unused"), calls).serve(str(socket_path)))

    assert [False, True] == found
