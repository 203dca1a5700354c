"""What a worker host needs before it can take tasks: its share, the control host, and images."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

from support import REPOSITORY
from support.host_images import writing
from support.images import find
from support.registry import pull as registry_pull
from support.services import images_of
from support.swaps import keep, present

from microstage.errors import NO_INPUT, TRY_AGAIN, USAGE, StageError
from microstage.pipelines import load_pipeline, pipeline_names
from microstage.table import Row

COMPOSE = "worker.yml"
MOST_OFF = 5  # seconds that clocks may differ
SECONDS = 10


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise StageError unless these are a worker host's."""
    if settings.get("COMPOSE_FILE") != COMPOSE:
        raise StageError(
            NO_INPUT,
            f"{REPOSITORY / '.env'} is not that of a worker host: scripts/make_env --workers "
            "ADDRESS on the control host writes worker.env, which is to be .env here.",
        )


def check_share(data: Path, dags: Path, uid: int, gid: int) -> None:
    """Raise StageError unless the data folder and dags/ are those that all hosts have."""
    if not (dags / "stages.toml").is_file():
        raise StageError(
            NO_INPUT,
            f"There is no stages.toml in {dags}: mount the control host's dags/ there, or say in "
            ".env where it is (MICROSTAGE_DAGS).",
        )
    if not data.is_dir():
        raise StageError(
            NO_INPUT,
            f"There is no {data}: mount the data folder of the control host there, or say in .env "
            "where it is (MICROSTAGE_DATA).",
        )
    if data.stat().st_uid != uid:
        raise StageError(
            NO_INPUT,
            f"{data} belongs to uid {data.stat().st_uid} here, and to {uid} on the control host: "
            "ids must be the same on all hosts (for NFS 4 its id mapping, off).",
        )
    with writing(data, uid, gid), tempfile.NamedTemporaryFile(dir=data, prefix=".clock-") as file:
        off = Path(file.name).stat().st_mtime - time.time()
    check_clock(off, f"the server of {data}")


def check_clock(off: float, whose: str) -> None:
    """Raise StageError if a clock is too far from this host's; off: seconds that it is ahead."""
    if abs(off) > MOST_OFF:
        raise StageError(
            TRY_AGAIN,
            f"The clock of {whose} is {off:+.0f} s off this host's: let both follow a time server.",
        )


def check_control(server: str, certificate: str) -> None:
    """Raise StageError unless the control host answers, with this certificate, about now."""
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(b64decode(certificate)))
    try:
        with urllib.request.urlopen(  # noqa: S310 - as .env has it
            f"{server}/execution/health", timeout=SECONDS, context=context
        ) as answer:
            date = parsedate_to_datetime(answer.headers["Date"])
    except OSError as error:
        raise StageError(
            TRY_AGAIN,
            f"The control host does not answer at {server} ({getattr(error, 'reason', error)}): "
            "see that it runs, and that this host may reach that port.",
        ) from None
    check_clock(date.timestamp() - time.time(), server)


def services() -> list[str]:
    """Return the images of worker.yml's services."""
    return sorted(set(images_of(REPOSITORY / COMPOSE)))


def rows(dags: Path, queues: list[str]) -> Iterator[Row]:
    """Yield the rows of every pipeline that workers of these queues run. Raises StageError."""
    table = dags / "stages.toml"
    for name in pipeline_names(table):
        yield from (row for row in load_pipeline(name, table).rows.values() if row.queue in queues)


def pull(registry: str, image: str) -> str:
    """Pull an image of the table, and give it the name that it has there; return its id.

    One that is pinned and here is not pulled. Raises StageError, as where a pinned one is another
    one in the registry.
    """
    name, _, pin = image.partition("@")
    if pin and (there := find(image)):
        keep(image)
        return there.id
    remote = f"{registry.rstrip('/')}/{name}"
    registry_pull(remote, f"on the control host: ./build_images.sh --push {registry}")
    found = present(remote)
    if pin and pin not in found.digests:
        raise StageError(
            USAGE,
            f"The table wants {name} as {pin[:19]}, and the registry has {found.id[:19]}: push "
            "that one from the control host.",
        )
    subprocess.run(["docker", "tag", remote, name], check=True)
    if pin:
        keep(image)
    return found.id
