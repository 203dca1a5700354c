"""What an editor says to a debugger: a few messages of the Debug Adapter Protocol.

https://microsoft.github.io/debug-adapter-protocol/specification
"""

import json
import socket
from collections import deque
from pathlib import Path
from typing import Any, Self

Message = dict[str, Any]


class DebugClient:
    """An editor that attaches, with the sources of /app in a folder of its own."""

    def __init__(self, port: int, folder: Path) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._stream = self._socket.makefile("rb")
        self._sent = 0
        self._events: deque[Message] = deque()
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def attach(self, file: str, line: int) -> None:
        """Attach, and have it stop at a line of a file."""
        self.ask("initialize", adapterID="debugpy", pathFormat="path")
        mapping = {"localRoot": str(self._folder), "remoteRoot": "/app"}
        attached = self._send("attach", {"pathMappings": [mapping], "justMyCode": False})
        self.event("initialized")
        source = {"path": str(self._folder / file)}
        self.ask("setBreakpoints", source=source, breakpoints=[{"line": line}])
        self.ask("configurationDone")
        self._answer(attached)

    def ask(self, command: str, **arguments: Any) -> Message:
        """Return what it answers a request."""
        return self._answer(self._send(command, arguments))

    def event(self, name: str) -> Message:
        """Return the next event of a name."""
        while True:
            message = self._events.popleft() if self._events else self._read()
            if message["type"] == "event" and message["event"] == name:
                body: Message = message.get("body") or {}
                return body

    def _send(self, command: str, arguments: Message) -> int:
        self._sent += 1
        message = {"seq": self._sent, "type": "request", "command": command}
        text = json.dumps({**message, "arguments": arguments}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(text), text))
        return self._sent

    def _answer(self, number: int) -> Message:
        while True:
            message = self._read()
            if message["type"] == "response" and message["request_seq"] == number:
                assert message["success"], message
                body: Message = message.get("body") or {}
                return body
            self._events.append(message)

    def _read(self) -> Message:
        size = 0
        while line := self._stream.readline().strip():
            size = int(line.partition(b":")[2]) if line.startswith(b"Content-Length") else size
        assert size, "it has hung up"
        message: Message = json.loads(self._stream.read(size))
        return message
