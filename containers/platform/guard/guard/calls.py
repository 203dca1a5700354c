"""What is done for each call but attach, which is a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from guard import answers
from guard.answers import checked
from guard.compose import compose, named
from guard.engine import Answer, Engine
from guard.owned import Owned
from guard.provided import provide_network, provide_volume
from guard.refusals import MalformedError, RefusedError
from guard.request import Request, read_json
from guard.routes import TRUE
from guard.settings import Settings
from guard.stored import Stored
from guard.tables import Tables

FILTER = re.compile(r"microstage\.[a-z]{1,16}(=[ -~]{0,512})?")
Reply = tuple[int, Any]  # a status, and what becomes the JSON; text is sent as it is, None is none


class Calls:
    """The calls by their names in guard.routes: each takes the request and what its path names."""

    def __init__(self, settings: Settings, engine: Engine, tables: Tables) -> None:
        self._settings = settings
        self._engine = engine
        self._tables = tables
        self._stored = Stored(engine)
        self.owned = Owned(engine, settings.install, settings.most, settings.unattended)

    def __getitem__(self, name: str) -> Callable[[Request, str], Awaitable[Reply]]:
        found: Callable[[Request, str], Awaitable[Reply]] = getattr(self, f"_{name}")
        return found

    async def _ping(self, _: Request, __: str) -> Reply:
        checked(await self._engine.call("GET", "/_ping"))
        return HTTPStatus.OK, "OK"

    async def _version(self, _: Request, __: str) -> Reply:
        answer = checked(await self._engine.call("GET", "/version"))
        return HTTPStatus.OK, answers.version(answer.json)

    async def _list(self, request: Request, _: str) -> Reply:
        wanted = _filter(request, "label")
        if not all(FILTER.fullmatch(label) for label in wanted):
            raise RefusedError("Containers are asked for by labels of stages.")
        found = await self.owned.list(*wanted)
        if request.query.get("all") not in TRUE:
            found = [each for each in found if each.get("State") == "running"]
        return HTTPStatus.OK, [answers.listed(each) for each in found]

    async def _networks(self, request: Request, _: str) -> Reply:
        known = self._tables.networks()
        known = known & set(_filter(request, "name") or known)
        if not known:
            return HTTPStatus.OK, []
        filters = json.dumps({"name": sorted(known)})
        found = checked(await self._engine.call("GET", "/networks", filters=filters)).json
        return HTTPStatus.OK, [answers.network(each) for each in found if each["Name"] in known]

    async def _image(self, _: Request, path: str) -> Reply:
        names = {quote(name, safe="/:"): name for name in self._tables.images()}
        name = names.get(path, path)
        if name not in names.values():
            raise RefusedError("This image is in no row of a table.")
        return HTTPStatus.OK, answers.image(*await self._stored.find(name))

    async def _create(self, request: Request, _: str) -> Reply:
        sent = read_json(request.body)
        pipeline, row = self._tables.row(*named(sent))
        image = (await self._stored.find(row.image))[0]
        body = compose(self._settings, pipeline, row, self._tables.names(), image, sent)
        await provide_volume(self._engine, self._settings)
        if "NetworkingConfig" in body:
            await provide_network(self._engine)
        async with self.owned.room():
            made = checked(await self._engine.call("POST", "/containers/create", body)).json
            self.owned.made(made["Id"])
        return HTTPStatus.CREATED, {"Id": made["Id"], "Warnings": []}

    async def _of_container(self, method: str, container: str, *more: str, **query: Any) -> Answer:
        await self.owned.check(container)
        path = "/".join(("/containers", container, *more))
        return checked(await self._engine.call(method, path, **query))

    async def _inspect(self, _: Request, container: str) -> Reply:
        answer = await self._of_container("GET", container, "json")
        return HTTPStatus.OK, answers.container(answer.json)

    async def _stats(self, _: Request, container: str) -> Reply:
        query = {"stream": "0", "one-shot": "1"}
        answer = await self._of_container("GET", container, "stats", **query)
        return HTTPStatus.OK, answers.stats(answer.json)

    async def _start(self, _: Request, container: str) -> Reply:
        return (await self._of_container("POST", container, "start")).status, None

    async def _stop(self, request: Request, container: str) -> Reply:
        answer = await self._of_container("POST", container, "stop", t=request.query.get("t", "2"))
        return answer.status, None

    async def _wait(self, request: Request, container: str) -> Reply:
        condition = request.query.get("condition", "not-running")
        answer = await self._of_container(
            "POST", container, "wait", seconds=None, condition=condition
        )
        return HTTPStatus.OK, {"StatusCode": answer.json["StatusCode"]}

    async def _remove(self, request: Request, container: str) -> Reply:
        force = "1" if request.query.get("force") in TRUE else "0"
        answer = await self._of_container("DELETE", container, v="1", force=force)
        self.owned.forget(container)
        return answer.status, None


def _filter(request: Request, key: str) -> list[str]:
    """Return what a query filters by, of the one kind that is known. Raises MalformedError."""
    if "filters" not in request.query:
        return []
    found = read_json(request.query["filters"].encode("ascii"))
    words = found.pop(key, [])
    if found or type(words) is not list or not all(type(word) is str for word in words):
        raise MalformedError(f"The filter is by {key}, a list of texts.")
    return list(words)
