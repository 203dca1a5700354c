"""An image is known by the digest of its configuration, whatever an engine keeps it in."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import pytest

from microstage.errors import StageError
from microstage.images import (
    BLOBS,
    Chunks,
    Image,
    configuration_of,
    described,
    look_up,
    name_of_pin,
    named,
)

CONFIG, ANOTHER, OTHERS = (f"sha256:{letter * 64}" for letter in "abc")
LAYER = b"\0" * (3 << 20)


def manifest_of(config: str) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": {"digest": config}, "layers": []}).encode()


def index_of(*manifests: bytes) -> bytes:
    return json.dumps({"manifests": [{"digest": digest(each)} for each in manifests]}).encode()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob(content: bytes) -> tuple[str, bytes]:
    return BLOBS + digest(content)[7:], content


def runs(config: str) -> tuple[str, bytes]:
    return "manifest.json", json.dumps([{"Config": BLOBS + config[7:]}]).encode()


def tar(*files: tuple[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


MANIFEST = manifest_of(CONFIG)
INDEX = index_of(MANIFEST, manifest_of(ANOTHER))
ID, INDEX_ID = digest(MANIFEST), digest(INDEX)
LATER = manifest_of(OTHERS)


def test_a_manifest_names_the_configuration_and_nothing_behind_it_is_read() -> None:
    def pieces() -> Iterator[bytes]:
        whole = tar(blob(LAYER), blob(MANIFEST), blob(LAYER * 4))
        for start in range(0, len(whole), 100_000):
            read.append(start + 100_000)
            yield whole[start : start + 100_000]

    read: list[int] = []

    assert CONFIG == configuration_of(Chunks(pieces()), ID)
    assert len(LAYER) < read[-1] < 2 * len(LAYER)


@pytest.mark.parametrize("engines_own", [CONFIG, ANOTHER])
@pytest.mark.parametrize("order", [1, -1])
def test_of_several_platforms_it_is_the_one_that_the_engine_itself_runs(
    engines_own: str, order: int
) -> None:
    blobs = [blob(each) for each in (INDEX, MANIFEST, manifest_of(ANOTHER), LAYER)][::order]

    assert engines_own == configuration_of(io.BytesIO(tar(*blobs, runs(engines_own))), INDEX_ID)


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        tar(blob(LAYER), blob(MANIFEST))[: len(LAYER)],
        tar(blob(LAYER), blob(INDEX)),
        tar(blob(manifest_of(ANOTHER))),
        tar(("manifest.json", b"[]")),
        tar(("manifest.json", b"[1, 2]")),
        tar(("manifest.json", b"{")),
        tar(runs("sha256:../x")),
        b"no tar" * 1000,
    ],
)
def test_an_archive_that_does_not_say_it_is_told_and_tried_again(archive: bytes) -> None:
    with pytest.raises(StageError, match=rf"what the image {ID[7:19]} is made of") as told:
        configuration_of(io.BytesIO(archive), ID)

    assert 75 == told.value.code


class Store:
    """An engine: what it says of images by their names, and what it writes them to."""

    def __init__(self, said: Mapping[str, Mapping[str, Any]]) -> None:
        self._said = said
        self.read: list[str] = []

    def inspect(self, name: str) -> Any:
        return self._said.get(name)

    @contextmanager
    def archive(self, store_id: str) -> Iterator[IO[bytes]]:
        self.read.append(store_id)
        yield io.BytesIO(tar(blob(MANIFEST), blob(LATER)))

    def find(self, image: str) -> Image | None:
        return look_up(image, self.inspect, self.archive)


def classic(config: str, *names: str) -> dict[str, Any]:
    return {"Id": config, "RepoTags": names, "RepoDigests": [f"{n}@{ID}" for n in names[1:]]}


def containerd(store_id: str, *names: str) -> dict[str, Any]:
    return {"Id": store_id, "RepoTags": names, "RepoDigests": [f"{n}@{store_id}" for n in names]}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microstage.images._configurations", {})


def test_it_is_one_image_on_both_kinds_of_engine() -> None:
    one = Store({"a:1": classic(CONFIG, "a:1")})
    two = Store({"a:1": containerd(ID, "a:1")})
    here, there = one.find("a:1"), two.find("a:1")

    assert here
    assert there
    assert (CONFIG, CONFIG) == (here.id, here.store_id)
    assert (CONFIG, ID) == (there.id, there.store_id)
    assert two.find("a:1") == there
    assert ([], [ID]) == (one.read, two.read)  # for nothing, and once


def test_an_index_is_read_again_when_its_engine_has_another_platform_of_it() -> None:
    of_index = {INDEX_ID: [tar(blob(INDEX), runs(config)) for config in (ANOTHER, CONFIG)]}

    @contextmanager
    def archive(store_id: str) -> Iterator[IO[bytes]]:
        yield io.BytesIO(of_index[store_id].pop(0))

    said = [{**containerd(INDEX_ID, "a"), "Architecture": arch} for arch in ("arm64", "amd64")]

    assert [ANOTHER, ANOTHER, CONFIG, CONFIG] == [
        described(each, archive).id for each in (said[0], said[0], said[1], said[1])
    ]


def test_an_engine_that_describes_what_it_keeps_has_an_image_without_a_name_in_containerd() -> None:
    store = Store({})
    found = described({"Id": ID, "RepoDigests": [], "Descriptor": {"digest": ID}}, store.archive)

    assert CONFIG == found.id


Said = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("said", "store_id"),
    [
        ({CONFIG: classic(CONFIG)}, CONFIG),
        ({name_of_pin(CONFIG): containerd(ID, "microstage/pinned")}, ID),
        ({"a:1": containerd(ID, "a")}, ID),
        ({"a:1": containerd(digest(LATER), "a"), name_of_pin(CONFIG): containerd(ID, "x")}, ID),
        ({"a:1": containerd(digest(LATER), "a")}, ""),
        ({"a:1": classic(OTHERS, "a:1")}, ""),
        ({name_of_pin(CONFIG): containerd(digest(LATER), "microstage/pinned")}, ""),
        ({}, ""),
    ],
)
def test_what_is_pinned_is_that_image_and_no_other_of_its_names(said: Said, store_id: str) -> None:
    found = Store(said).find(f"a:1@{CONFIG}")

    assert store_id == (found.store_id if found else "")
    assert CONFIG == (found.id if found else CONFIG)


@pytest.mark.parametrize("make", [classic, containerd])
def test_one_that_is_pinned_by_its_manifest_is_found_where_the_engine_knows_that(
    make: Callable[..., dict[str, Any]],
) -> None:
    pin = f"a:1@{ID}"
    said = make(CONFIG, "a:1", "a") if make is classic else make(ID, "a:1")
    found = Store({pin: said}).find(pin)

    assert CONFIG == (found.id if found else "")


def test_a_name_may_have_a_pin_and_a_digest_alone_is_one() -> None:
    assert ("a:1", "") == named("a:1")
    assert ("r:5000/a:1", CONFIG) == named(f"r:5000/a:1@{CONFIG}")
    assert ("", CONFIG) == named(CONFIG)
