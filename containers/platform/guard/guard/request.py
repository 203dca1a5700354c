"""One request, read strictly: what could be read in two ways is refused.

h11 reads what is a request by the book, some of which others read differently (a header that comes
twice, a line that goes on in the next one, a body of unknown length): what follows from that has
been a way around many a filter, https://portswigger.net/web-security/request-smuggling.
"""

from __future__ import annotations

import json
import re
from asyncio import StreamReader
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import h11

from guard.refusals import MalformedError

MAX_HEAD = 16 * 1024
MAX_BODY = 1024 * 1024
MAX_DEPTH = 16  # of a JSON text: a call that makes a container has 5
END = b"\r\n\r\n"
# As requests are that docker-py and the docker command send. No control character, no other line
# end, no line that goes on; h11 looks at the rest.
LINE = re.compile(rb"[!-~](?:[\t -~]*[!-~])?")
UNKNOWN = (b"transfer-encoding", b"content-encoding", b"expect", b"trailer", b"te")


@dataclass(frozen=True)
class Request:
    """A whole request; its path as it was sent, undecoded."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    upgrade: bool = False  # asks for the connection itself, for a stream


async def read_request(reader: StreamReader) -> Request:
    """Return the one request of a connection.

    Raises MalformedError, and EOFError where none comes.
    """
    received = b""
    while END not in received:
        if len(received) > MAX_HEAD:
            raise MalformedError(f"The head of a request has {MAX_HEAD} bytes at most.")
        chunk = await reader.read(MAX_HEAD)
        if not chunk:
            raise EOFError
        received += chunk
    head, _, body = received.partition(END)
    parsed, length = parse_head(head + END)
    while len(body) < length:
        chunk = await reader.read(length - len(body))
        if not chunk:
            raise EOFError
        body += chunk
    if len(body) > length:
        raise MalformedError("Send one request a connection, and nothing after it.")
    return _request(parsed, body)


def parse_head(head: bytes) -> tuple[h11.Request, int]:
    """Return the request of a head, and how long its body is. Raises MalformedError."""
    if len(head) > MAX_HEAD:
        raise MalformedError(f"The head of a request has {MAX_HEAD} bytes at most.")
    lines = head.removesuffix(END).split(b"\r\n")
    if not all(LINE.fullmatch(line) for line in lines):
        raise MalformedError("A line of the head is not what a header may be.")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    try:
        connection.receive_data(head)
        parsed = connection.next_event()
    except h11.RemoteProtocolError:
        raise MalformedError("This is not a request of HTTP/1.1.") from None
    if not isinstance(parsed, h11.Request) or parsed.http_version != b"1.1":
        raise MalformedError("This is not a request of HTTP/1.1.")
    # By the lines themselves: of lengths that are alike, h11 makes one.
    sent = [
        (name.lower(), value.strip()) for name, _, value in (x.partition(b":") for x in lines[1:])
    ]
    headers = dict(sent)
    if len(headers) != len(sent):
        raise MalformedError("A header comes twice.")
    if found := [name.decode() for name in UNKNOWN if name in headers]:
        raise MalformedError(f"The header {found[0]} is not known here.")
    size = headers.get(b"content-length", b"0")
    if not re.fullmatch(rb"0|[1-9]\d{0,8}", size) or int(size) > MAX_BODY:
        raise MalformedError(
            f"The body of a request has {MAX_BODY} bytes at most, and says how many."
        )
    return parsed, int(size)


def _request(parsed: h11.Request, body: bytes) -> Request:
    path, mark, query = parsed.target.decode("ascii").partition("?")
    headers = dict(parsed.headers)
    upgrade = headers.get(b"upgrade", b"").lower() == b"tcp"
    if b"upgrade" in headers and not upgrade:
        raise MalformedError("The header upgrade names something else than tcp.")
    if mark and not query:
        raise MalformedError("The query is empty.")
    method = parsed.method.decode("ascii")
    return Request(method, path, read_query(query), body, upgrade)


def read_query(query: str) -> dict[str, str]:
    """Return what a query says: each key once, spelt as it is known. Raises MalformedError."""
    found: dict[str, str] = {}
    for part in query.split("&") if query else []:
        key, _, value = part.partition("=")
        if not re.fullmatch(r"[a-z_-]+", key) or key in found:
            raise MalformedError("The query has a key that is none, or twice.")
        if re.search(r"%(?![0-9A-Fa-f]{2})|;", value):
            raise MalformedError(f"The query's {key} is not to be understood.")
        try:
            found[key] = unquote_to_bytes(value.replace("+", " ")).decode("ascii")
        except UnicodeDecodeError:
            raise MalformedError(f"The query's {key} is not ASCII.") from None
    return found


def read_json(text: bytes) -> dict[str, Any]:
    """Return a JSON object that every reader reads alike. Raises MalformedError.

    In ASCII, no key twice, in no depth that others give up at, whole numbers alone. Names are
    compared as they are spelt: Go, which the engine is written in, would fold their case.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) != len({key for key, _ in pairs}):
            raise MalformedError("A key comes twice in one object of the JSON.")
        return dict(pairs)

    def whole(number: str) -> int:
        if not re.fullmatch(r"-?(0|[1-9]\d{0,17})", number):
            raise MalformedError("A number of the JSON is none that is sent here.")
        return int(number)

    def none(_: str) -> Any:
        raise MalformedError("A number of the JSON is none that is sent here.")

    if _depth(text) > MAX_DEPTH:
        raise MalformedError("The JSON is too deep.")
    try:
        found = json.loads(
            text.decode("ascii"),
            object_pairs_hook=once,
            parse_int=whole,
            parse_float=none,
            parse_constant=none,
        )
    except (ValueError, RecursionError):
        raise MalformedError("The body is not JSON in ASCII.") from None
    if not isinstance(found, dict):
        raise MalformedError("The body is not an object of JSON.")
    return found


def _depth(text: bytes) -> int:
    """Return how deep the brackets go: no less than the depth, and found without going into it."""
    depth = deepest = 0
    for byte in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", text):
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest
