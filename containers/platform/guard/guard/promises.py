"""What an engine has to be for the guard to keep what it promises.

Another one takes the same calls, and leaves out a wall without a word.
"""

from __future__ import annotations

from guard.engine import Engine
from guard.refusals import RefusedError
from guard.routes import API
from microstage.walls import lacking


async def check_engine(engine: Engine) -> None:
    """Raise RefusedError, which says what to do, unless the engine keeps the walls up."""
    version = await engine.call("GET", "/version")
    if version.failed:
        raise RefusedError(
            f"This Docker Engine does not speak API {API}, which mounts directories of a volume; "
            "take Docker Engine 26 or newer."
        )
    info = await engine.call("GET", "/info")
    if info.failed:
        raise RefusedError("The Docker Engine does not say what it can do; see its log.")
    for what, mend in lacking(version.json, info.json):
        raise RefusedError(f"{what[0].upper()}{what[1:]}; {mend}.")
