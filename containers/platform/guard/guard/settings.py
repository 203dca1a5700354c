"""What the guard is told by its environment, and by files of secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from guard.refusals import RefusedError
from microstage.walls import install

SECRETS = Path("/run/secrets")


class Secrets(Mapping[str, str]):
    """Variables of stages: each is a file of its name, or else of the environment."""

    def __init__(self, folder: Path = SECRETS) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8").rstrip("\n")
        except FileNotFoundError:
            return os.environ[name]
        except PermissionError:
            raise RefusedError(
                f"The guard may not read the secret {name}, which is for uid {os.geteuid()}."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(())  # nobody is told which there are

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Secrets()"


@dataclass(frozen=True)
class Settings:
    """What the guard is told."""

    data: str  # the data folder on the engine's machine
    owner: str  # uid:gid, as which every stage runs
    most: int  # containers at once
    unattended: int = 0  # seconds after which one that nobody listens to is removed; 0: never
    install: str = field(default_factory=install)
    engine: str = "/var/run/docker.sock"
    socket: str = "/run/guard/docker.sock"
    secrets: Mapping[str, str] = field(default_factory=Secrets)

    @property
    def volume(self) -> str:
        """The volume that is the data folder: of another folder it is another one."""
        return f"{self.install}_data_{sha256(self.data.encode()).hexdigest()[:8]}"

    @classmethod
    def from_environment(cls) -> Settings:
        """Return what the environment says. Raises KeyError and ValueError."""
        owner = f"{int(os.environ['MICROSTAGE_UID'])}:{int(os.environ['MICROSTAGE_GID'])}"
        # A task runs a container or, with many days, as many as there are cores; and may be about
        # to remove one that an earlier try left.
        tasks = int(os.environ.get("AIRFLOW_PARALLELISM") or 6)
        most = tasks * ((os.cpu_count() or 1) + 2)
        alone = int(os.environ.get("MICROSTAGE_UNATTENDED") or 0)
        return cls(os.environ["MICROSTAGE_HOST_DATA"].rstrip("/"), owner, most, alone)
