"""Which Docker Engine a script works with: the one that the docker command on this machine means.

Inside Airflow it is a matter of the operator's connection.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from microstage.errors import USAGE, StageError

DEFAULT = "default"  # the context of the local socket, which has no files


@dataclass(frozen=True)
class Endpoint:
    """An engine: what docker-py's clients are made with, and how a person knows it."""

    arguments: dict[str, Any] = field(default_factory=dict)  # base_url, tls
    name: str = "its local socket"


def endpoint() -> Endpoint:
    """Return the engine of DOCKER_HOST, or else of the docker context, or of the local socket.

    Raises StageError (64) for a context or TLS files that are not there or not whole, and for an
    engine behind ssh.
    """
    host = os.environ.get("DOCKER_HOST")
    if not host and (context := _context()) == DEFAULT:
        return Endpoint()
    try:
        found = Endpoint({**kwargs_from_env()}, host) if host else _endpoint_of(context)
    except TLSParameterError as error:
        raise StageError(
            USAGE,
            f"The TLS files for {host or f'the docker context {context}'} are not whole; see that "
            f"ca.pem, cert.pem and key.pem are where it says ({error}).",
        ) from None
    if found.name.startswith("ssh://"):
        raise StageError(
            USAGE,
            f"The Docker Engine at {found.name} is behind ssh, where the docker command alone can "
            "reach it; forward its socket (ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and "
            "set DOCKER_HOST to unix:///tmp/docker.sock.",
        )
    return found


def _folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())


def _context() -> str:
    """Return the name of the context in use, as the docker command finds it."""
    if name := os.environ.get("DOCKER_CONTEXT"):
        return name
    try:
        settings = json.loads((_folder() / "config.json").read_bytes())
    except (OSError, ValueError):
        return DEFAULT  # the docker command goes on without them, too
    name = settings.get("currentContext") if isinstance(settings, dict) else None
    return str(name or DEFAULT)


def _endpoint_of(context: str) -> Endpoint:
    """Return the engine of a context. Raises StageError (64) where its files do not say it.

    Not by docker-py (7.2): it takes the default one for a context that is not there, and looks
    beside a config.json that need not be.
    """
    folder, name = _folder() / "contexts", hashlib.sha256(context.encode()).hexdigest()
    try:
        meta = json.loads((folder / "meta" / name / "meta.json").read_bytes())
        engine = meta["Endpoints"]["docker"]
        host, verify = str(engine["Host"]), not engine.get("SkipTLSVerify", False)
        files = {path.stem: str(path) for path in (folder / "tls" / name / "docker").glob("*.pem")}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise StageError(
            USAGE,
            f"The docker context {context} is not to be read in {folder}; see docker context ls, "
            "and choose another with docker context use, or set DOCKER_HOST.",
        ) from None
    arguments: dict[str, Any] = {"base_url": host}
    if host.startswith(("tcp://", "https://")) and (files or not verify):
        own = (files["cert"], files["key"]) if {"cert", "key"} <= files.keys() else None
        arguments["tls"] = TLSConfig(client_cert=own, ca_cert=files.get("ca"), verify=verify)
    return Endpoint(arguments, host)
