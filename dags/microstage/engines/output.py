"""What a container says: both of its outputs, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import docker

MAX_LINE = 4000
LAST_LINES = 20  # of stderr, of which the last one may be blank
Output = tuple[bytes | None, bytes | None]  # of stdout and of stderr


def lines(stream: Iterator[Output], write: Callable[[str], None]) -> str:
    """Pass both outputs on; return the last line of stderr that is not blank."""
    pending = {"stdout": b"", "stderr": b""}
    last = ""

    def line(name: str, raw: bytes) -> None:
        nonlocal last
        text = raw.decode("utf-8", "replace").rstrip()
        if text:
            write(text)
            last = text if name == "stderr" else last

    for stdout, stderr in stream:
        for name, chunk in (("stdout", stdout), ("stderr", stderr)):
            *whole, pending[name] = (pending[name] + (chunk or b"")).split(b"\n")
            for raw in whole:
                line(name, raw)
            if len(pending[name]) > MAX_LINE:  # an endless line must not fill our memory
                line(name, pending[name])
                pending[name] = b""
    for name, raw in pending.items():
        line(name, raw)
    return last


def logged(client: docker.APIClient, container: str, since: float) -> Iterator[Output]:
    """Return what a container has said since a time, or ever (0), and goes on to say."""
    stream = client.logs(container, stream=True, follow=True, since=since or None)
    return ((chunk, None) for chunk in stream)


def last_line(client: docker.APIClient, container: str) -> str:
    """Return the last line of stderr that is not blank, of what the engine has kept."""
    said = client.logs(container, stdout=False, stderr=True, tail=LAST_LINES)
    return lines(iter([(None, said)]), lambda _: None)
