"""Checks that the guard can keep what it promises here, and serves until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys

from guard.calls import Calls
from guard.engine import Engine
from guard.promises import check_engine
from guard.provided import provide_network, provide_volume
from guard.refusals import RefusedError
from guard.serve import Server, say
from guard.settings import Settings
from guard.tables import Tables


async def run(settings: Settings) -> None:
    """Check, and serve."""
    engine = Engine(settings.engine)
    server = Server(engine, Calls(settings, engine, Tables(say)))
    await check_engine(engine)
    await provide_volume(engine, settings)
    await provide_network(engine)
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    assert me  # noqa: S101 - this is a task
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, me.cancel)
    say(f"The guard listens at {settings.socket}, and lets {settings.most} containers be.")
    await server.serve(settings.socket)


def main() -> int:
    """Return the exit code: 0 when it was told to end, 78 (EX_CONFIG) when it may not start."""
    try:
        asyncio.run(run(Settings.from_environment()))
    except (KeyError, ValueError) as error:
        say(f"The guard lacks a setting, or it is none: {error}.")
        return 78
    except RefusedError as error:
        say(f"The guard cannot go on: {error}")
        return 78
    except asyncio.CancelledError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
