"""Which image one is: the digest of its configuration, however an engine keeps it.

To an engine that keeps images in containerd, an image's id is the digest of its manifest, or of an
index of manifests; to any other one that of its configuration, which every registry and archive
keeps, too: https://github.com/docker/cli/issues/5526. What is recorded and pinned is the latter.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

from microstage.errors import TRY_AGAIN, StageError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
BLOBS = "blobs/sha256/"  # in an archive: https://specs.opencontainers.org/image-spec/image-layout
MOST = 4 * 2**20  # bytes of a manifest, as registries have it
AT_ONCE = 2**20  # bytes that are read of an archive
# What an engine's id and the rest of PICKED stand for: never anything else, so it is read once.
# Of an index it is one of several, and another one once that is pulled, too.
PICKED = ("Id", "Os", "Architecture", "Variant", "RootFS", "Config")
_configurations: dict[str, str] = {}


class Readable(Protocol):
    """What an image is written to, a tar: as much of it as is asked for, or another piece."""

    def read(self, size: int, /) -> bytes: ...


Archive = Callable[[str], AbstractContextManager[Readable]]  # of an engine's id of an image


@dataclass(frozen=True)
class Image:
    """An image of an engine."""

    id: str
    """The digest of its configuration, by which it is known everywhere."""
    store_id: str
    """By which its engine makes containers of it."""
    digests: frozenset[str]
    """All that it may be pinned by: that, and those of its manifests that its engine knows."""
    labels: Mapping[str, str]


def name_of_pin(image_id: str) -> str:
    """Return the name that keeps a pinned image, whatever the name that it had is given to."""
    return f"microstage/pinned:{image_id.removeprefix('sha256:')[:12]}"


def named(image: str) -> tuple[str, str]:
    """Return the name of an image in a table, and the digest that it is pinned by; "" for none."""
    name, _, pin = image.rpartition("@")
    return (name, pin) if name or DIGEST.fullmatch(pin) else (image, "")


def places(image: str) -> Iterator[str]:
    """Yield what an engine may know an image by; one that is pinned, by names that may mislead.

    Where images are in containerd, the digest of a configuration leads to none.
    """
    yield image
    name, pin = named(image)
    if pin:
        yield from (each for each in (pin, name_of_pin(pin), name) if each not in ("", image))


def look_up(
    image: str,
    inspect: Callable[[str], dict[str, Any] | None],
    archive: Archive,
) -> Image | None:
    """Return the image of this name, or that is pinned; None where it is not.

    inspect: what the engine says of one; archive: what it writes one to. Raises StageError (75)
    for an archive that breaks off.
    """
    for place in places(image):
        if found := inspect(place):
            known = described(found, archive)
            if is_meant(image, known):
                return known
    return None


def is_meant(image: str, found: Image) -> bool:
    """Tell whether what was found for an image of a table is that: a pin is of one alone."""
    _, pin = named(image)
    return not pin or pin in found.digests


def described(found: Mapping[str, Any], archive: Archive) -> Image:
    """Return the image that an engine describes. Raises StageError (75) as look_up does."""
    store_id = str(found["Id"])
    labels = (found.get("Config") or {}).get("Labels") or {}
    manifests = {each.rpartition("@")[2] for each in found.get("RepoDigests") or []}
    if store_id not in manifests and not found.get("Descriptor"):
        return Image(store_id, store_id, frozenset({store_id, *manifests}), labels)
    # In containerd: each name leads to what is its id, and what describes that may be told, too.
    picked = json.dumps([found.get(key) for key in PICKED], sort_keys=True)
    if picked not in _configurations:
        with archive(store_id) as file:
            _configurations[picked] = configuration_of(file, store_id)
    image_id = _configurations[picked]
    return Image(image_id, store_id, frozenset({image_id, store_id}), labels)


def configuration_of(archive: Readable, store_id: str) -> str:
    """Return the digest of an image's configuration; read no further than to where that is said.

    By its manifest, or behind all blobs, where of an index there is what the engine itself runs.
    Raises StageError (75).
    """
    manifest, at_the_end = f"{BLOBS}{store_id.removeprefix('sha256:')}", "manifest.json"
    try:
        stream = cast("IO[bytes]", archive)  # of which a stream of tar takes this alone
        with tarfile.open(fileobj=stream, mode="r|", bufsize=AT_ONCE) as files:
            for member in files:
                says = member.name in (manifest, at_the_end) and member.size <= MOST
                if not says or not (content := files.extractfile(member)):
                    continue
                said = json.load(content)
                if member.name == at_the_end:
                    [entry] = said
                    return _digest(f"sha256:{entry['Config'].removeprefix(BLOBS)}")
                if "config" in said:
                    return _digest(said["config"]["digest"])
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError):
        pass  # told below, as one that ends before it has said it
    raise StageError(
        TRY_AGAIN,
        f"The Docker Engine does not say what the image {store_id[7:19]} is made of; if it does "
        "not next time either, build or pull that image again.",
    )


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise ValueError(text)
    return text


class Chunks:
    """Bytes that come in pieces of any size, as `configuration_of` reads them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _: int, /) -> bytes:
        """Return the next piece, b"" after the last one."""
        return next(self._chunks, b"")
