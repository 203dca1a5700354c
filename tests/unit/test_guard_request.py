"""The guard reads a request in one way, or not at all; the live engine's tests send many more."""

import asyncio
import json

import pytest
from guard.refusals import RefusedError
from guard.request import MAX_BODY, MAX_HEAD, Request, read_json, read_query, read_request
from guard.routes import route_of

CREATE = "/v1.45/containers/create"
ID = "a" * 64


def read(*chunks: bytes) -> Request:
    """Read a request that comes in these chunks."""

    async def fed() -> Request:
        reader = asyncio.StreamReader()
        for chunk in chunks:
            reader.feed_data(chunk)
        reader.feed_eof()
        return await read_request(reader)

    return asyncio.run(fed())


def test_a_request_is_read_whole_however_it_comes() -> None:
    text = (
        f"POST {CREATE}?a=1&b=x%20y+z HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody".encode()
    )
    whole = read(text)

    assert Request("POST", CREATE, {"a": "1", "b": "x y z"}, b"body") == whole
    assert whole == read(*(text[n : n + 1] for n in range(len(text))))


def test_what_docker_py_sends_to_attach_asks_for_a_stream() -> None:
    head = f"POST /v1.45/containers/{ID}/attach?logs=0&stdout=1&stderr=1&stream=1 HTTP/1.1\r\n"
    head += "Host: localhost\r\nAccept-Encoding: gzip, deflate\r\nConnection: Upgrade\r\n"
    request = read((head + "Upgrade: tcp\r\nContent-Length: 0\r\n\r\n").encode())

    assert ("attach", ID) == route_of(request)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("Content-Length: 1\r\nContent-Length: 1", "twice"),
        ("Content-Length: 1\r\ncontent-length: 1", "twice"),
        ("Content-Length: 1, 1", "not a request|says how many"),
        ("Content-Length: +1", "not a request|says how many"),
        (f"Content-Length: {MAX_BODY + 1}", "says how many"),
        ("Transfer-Encoding: chunked", "transfer-encoding is not known"),
        ("Expect: 100-continue", "expect is not known"),
        ("X: a\r\n b", "what a header may be"),
        ("X: a\nY: b", "what a header may be"),
        (f"X: {'a' * MAX_HEAD}", "bytes at most"),
        ("Content-Length: 1\r\nUpgrade: h2c", "something else than tcp"),
    ],
)
def test_a_head_that_others_may_read_differently_is_refused(head: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as refused:
        read(f"POST {CREATE} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n1".encode())

    assert 400 == refused.value.status


def test_what_comes_behind_a_request_is_refused() -> None:
    with pytest.raises(RefusedError, match="one request a connection"):
        read(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("query", ["a=1&a=2", "A=1", "a=%zz", "a=1;b=2", "%61=1", "a=%ff", "&"])
def test_a_query_that_others_may_read_differently_is_refused(query: str) -> None:
    with pytest.raises(RefusedError, match="query"):
        read_query(query)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": 1.0}',
        b'{"a": 1e3}',
        b'{"a": NaN}',
        b'{"a": 99999999999999999999}',
        '{"a": "ä"}'.encode(),
        b"[1]",
        b"",
        b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}",
        b"[" * 10**6,
        b'{"a": 1} {}',
    ],
)
def test_json_that_others_may_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(RefusedError):
        read_json(text)


def test_brackets_in_a_text_are_no_depth() -> None:
    found = {"a": "[" * 50 + '\\"' + "{" * 50}

    assert found == read_json(json.dumps(found).encode())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1.45/info"),
        ("GET", "/v1.44/containers/json"),
        ("GET", "/v1.45/containers/json/"),
        ("GET", "/v1.45/containers/%6ason"),
        ("POST", f"/v1.45/containers/{ID}/exec"),
        ("POST", f"/v1.45/containers/{ID[:12]}/start"),
        ("POST", f"/v1.45/containers/{ID.upper()}/start"),
        ("HEAD", "/_ping"),
        ("GET", CREATE),
    ],
)
def test_a_call_that_no_stage_needs_is_none(method: str, path: str) -> None:
    with pytest.raises(RefusedError, match="none that a stage needs"):
        route_of(Request(method, path, {}, b""))
