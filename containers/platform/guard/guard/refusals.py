"""What a client is told when it does not get what it asks for."""

from __future__ import annotations

from http import HTTPStatus


class RefusedError(Exception):
    """One sentence for the client, and the status that it comes with.

    It never repeats what the client sent, nor what the engine or a file says that is not the
    client's to know.
    """

    def __init__(self, sentence: str, status: int = HTTPStatus.FORBIDDEN) -> None:
        super().__init__(sentence)
        self.status = int(status)


class MalformedError(RefusedError):
    """A request that is not to be understood in one way alone."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, HTTPStatus.BAD_REQUEST)
