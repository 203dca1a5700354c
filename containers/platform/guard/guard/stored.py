"""The images of the engine: which one a row's is."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from guard.answers import checked
from guard.engine import Engine
from guard.refusals import RefusedError
from microstage.errors import StageError
from microstage.images import Image, described, is_meant, places


class Stored:
    """The images, found as microstage.engines.container finds them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = asyncio.Lock()

    async def find(self, image: str) -> tuple[Image, dict[str, Any]]:
        """Return an image of the table, and what the engine says of it. Raises RefusedError."""
        for place in places(image):
            answer = await self._engine.call("GET", f"/images/{place}/json")
            if answer.status == HTTPStatus.NOT_FOUND:
                continue
            said: dict[str, Any] = checked(answer).json
            found = await self._described(said)
            if is_meant(image, found):
                return found, said
        raise RefusedError(f"No such image: {image}", HTTPStatus.NOT_FOUND)

    async def _described(self, said: dict[str, Any]) -> Image:
        async with self._reading:  # one archive at a time, and none twice
            try:
                return await asyncio.to_thread(described, said, self._engine.archive)
            except StageError as error:
                raise RefusedError(str(error), HTTPStatus.BAD_GATEWAY) from None
