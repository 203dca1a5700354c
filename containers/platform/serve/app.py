"""Answers HTTP as MLflow's server of models does; an application of ASGI, and no framework.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from faults import CODES, AnswerError
from served import Served
from tables import Columns, read_table

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ALL_AT_ONCE = 16  # times the largest body that is taken: of all that are being answered
FEW = 500  # rows that are predicted sooner than a thread is handed them


class App:
    """One model, in the version that is served now."""

    def __init__(self, name: str, largest: int) -> None:
        """`largest`: how many bytes a body may have."""
        self.served: Served | None = None
        self.why = f"The model {name} is being loaded: try again in a few seconds"
        self._largest, self._taken = largest, 0
        self._waiting: list[tuple[Columns, asyncio.Future[bytes | AnswerError]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers: list[tuple[bytes, bytes]] = []
        try:
            status, body = 200, await self._answer(scope, receive)
        except AnswerError as error:
            status, body = error.status, error_body(error)
            if status == 413:  # the rest of it is not read
                headers = [(b"connection", b"close")]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        path, method = scope["path"], scope["method"]
        allowed = {"/invocations": "POST"}.get(path, "GET")
        if path not in ("/invocations", "/ping", "/health", "/version"):
            raise AnswerError(404, "There are /invocations, /ping, /health and /version")
        if method != allowed and (method, allowed) != ("HEAD", "GET"):
            raise AnswerError(405, f"{path} is asked by {allowed}")
        if path == "/version":
            told = self.served.told if self.served else {}
            return orjson.dumps({**told, "warning": self.why or None})
        if self.served is None:
            raise AnswerError(503, self.why)
        return await self._predicted(scope, receive) if path == "/invocations" else b"\n"

    async def _predicted(self, scope: Scope, receive: Receive) -> bytes:
        """Read the rows, and wait for their predictions."""
        headers = dict(scope["headers"])
        self._require_room(int(headers.get(b"content-length", 0)))
        body, more, taken = [], True, 0
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise AnswerError(400, "The client has gone before the body was there")
                body.append(block := message.get("body", b""))
                more = message.get("more_body", False)
                taken += len(block)
                self._taken += len(block)
                self._require_room(taken)
            media_type = headers.get(b"content-type", b"").decode("latin-1")
            table = read_table(media_type, b"".join(body))
            answer = await self._ask(table)
        finally:
            self._taken -= taken
        if isinstance(answer, AnswerError):
            raise answer
        return answer

    def _require_room(self, size: int) -> None:
        if size > self._largest:
            raise AnswerError(
                413, f"The body has more than {self._largest} bytes: send fewer rows at once"
            )
        if self._taken > self._largest * ALL_AT_ONCE:
            raise AnswerError(503, "Too much is asked for at once: try again in a few seconds")

    def _ask(self, table: Columns) -> "asyncio.Future[bytes | AnswerError]":
        """Return what will be the answer.

        What has come while others were answered is predicted at once.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            # Three rounds of the loop later: what has arrived by now takes two to get here.
            loop.call_soon(loop.call_soon, loop.call_soon, self._predict_waiting)
        future: asyncio.Future[bytes | AnswerError] = loop.create_future()
        self._waiting.append((table, future))
        return future

    def _predict_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        served = self.served
        if served is None:  # withdrawn meanwhile
            told(waiting, [AnswerError(503, self.why)] * len(waiting))
            return
        few = [one for one in waiting if rows_of(one[0]) <= FEW]
        for one in waiting:
            if rows_of(one[0]) > FEW:
                asyncio.get_running_loop().create_task(in_a_thread(served, one))
        if few:
            told(few, served.answers([table for table, _ in few]))


async def in_a_thread(
    served: Served, one: "tuple[Columns, asyncio.Future[bytes | AnswerError]]"
) -> None:
    """Predict many rows while others are answered."""
    told([one], await asyncio.to_thread(served.answers, [one[0]]))


def told(waiting: Any, answers: Any) -> None:
    """Hand out answers to those who still wait."""
    for (_, future), answer in zip(waiting, answers, strict=True):
        if not future.done():
            future.set_result(answer)


def rows_of(table: Columns) -> int:
    """Return how many rows a table has."""
    return len(next(iter(table.values()), ()))


def error_body(error: AnswerError) -> bytes:
    """Return an error as MLflow's server has it."""
    return orjson.dumps({"error_code": CODES[error.status], "message": str(error)})
