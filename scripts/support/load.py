"""Ask a server of HTTP as fast as it answers, by connections that stay."""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import dataclass
from statistics import quantiles
from urllib.parse import urlsplit

from microstage.errors import StageError

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(frozen=True)
class Load:
    """How fast it answered."""

    a_second: float
    """Requests."""
    p50: float
    p99: float
    """Milliseconds."""


def load(url: str, body: bytes, clients: int, seconds: float) -> Load:
    """POST a body for so many seconds, by so many clients at once. Raises StageError (1)."""
    parts = urlsplit(url)
    # By hand: a library takes longer for it than the servers that are measured.
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    ended = time.perf_counter() + seconds
    took: list[float] = []
    faults: list[str] = []

    def ask() -> None:
        with socket.create_connection((parts.hostname, parts.port), 60) as connection:
            while time.perf_counter() < ended and not faults:
                began = time.perf_counter()
                connection.sendall(request)
                said = answer(connection)
                took.append(time.perf_counter() - began)
                if b" 200 " not in said[:20]:
                    faults.append(said[:500].decode(errors="replace"))

    began = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - began
    if faults or len(took) < 2:
        raise StageError(1, f"{url} answered {faults[0] if faults else 'too late'}")
    cuts = quantiles(took, n=100)
    return Load(len(took) / passed, cuts[49] * 1e3, cuts[98] * 1e3)


def answer(connection: socket.socket) -> bytes:
    """Return an answer, which says its length. Raises StageError (1)."""
    said = b""
    while True:
        block = connection.recv(2**18)
        if not block:
            raise StageError(1, f"A server broke off: {said[:300].decode(errors='replace')}")
        said += block
        head, end, rest = said.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if end and length and len(rest) >= int(length[1]):
            return said
