"""What the guard makes on the engine: the volume that is the data folder, and a dead link.

`docker system prune` and `docker volume prune` remove them while no stage runs.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from guard.compose import LINK_LOCAL
from guard.engine import Engine
from guard.refusals import RefusedError
from guard.settings import Settings

# On it there is nobody but containers that do not hear each other; by its addresses, which are in
# the containers' table of routes, the engine's machine would be asked otherwise. The range leaves
# out those that clouds use: 169.254.169.254, 169.254.170.2.
NETWORK: dict[str, Any] = {
    "Name": LINK_LOCAL,
    "Driver": "bridge",
    "Internal": True,
    "IPAM": {"Config": [{"Subnet": "169.254.0.0/16", "IPRange": "169.254.64.0/18"}]},
    "Options": {
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.inhibit_ipv4": "true",
    },
}


async def provided(engine: Engine, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a volume or a network as it is, made of this body where there is none of its name.

    Raises RefusedError.
    """
    path = f"/{kind}s/{body['Name']}"
    answer = await engine.call("GET", path)
    if answer.status == HTTPStatus.NOT_FOUND:
        made = await engine.call("POST", f"/{kind}s/create", body)
        answer = await engine.call("GET", path)  # another guard may have been faster
        if answer.failed:
            reason = made.json["message"]
            raise RefusedError(f"The {kind} {body['Name']} cannot be made: {reason}")
    found: dict[str, Any] = answer.json
    return found


async def provide_volume(engine: Engine, settings: Settings) -> None:
    """Make the volume that is the data folder: a name for it, in which nothing is kept.

    Raises RefusedError.
    """
    ours = {"type": "none", "o": "rbind", "device": settings.data}
    body = {"Name": settings.volume, "Driver": "local", "DriverOpts": ours}
    found = await provided(engine, "volume", body)
    theirs = found.get("Options") or {}
    theirs = {**theirs, "device": str(theirs.get("device", "")).rstrip("/")}
    if found.get("Driver") == "local" and theirs == ours:
        return
    raise RefusedError(
        f"The volume {settings.volume} is not the folder {settings.data}, which MICROSTAGE_DATA of "
        f".env names: docker compose down, docker volume rm {settings.volume}, docker compose up "
        "--wait."
    )


async def provide_network(engine: Engine) -> None:
    """Make the dead link that keeps stages from link-local addresses. Raises RefusedError."""
    found = await provided(engine, "network", NETWORK)
    same = all(found[key] == NETWORK[key] for key in ("Driver", "Internal", "Options"))
    if not same or found["IPAM"]["Config"][0]["Subnet"] != "169.254.0.0/16":
        raise RefusedError(
            f"The network {LINK_LOCAL} is not what it is to be: docker network rm {LINK_LOCAL}."
        )
