"""Which engines the guard goes on with: none that leaves out a wall without saying so."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import docker
import pytest
from guarded import BASE, SWAPPED, Place, keep, run_of, run_pinned

from microstage.engines.container import find_image
from microstage.errors import StageError

OTHER = f"sha256:{64 * '0'}"

REFUSED = {
    "docker-rootless": "This Docker Engine gives users other ids than this machine does",
    "podman": "This engine is Podman, which mounts the whole data folder",
    "podman-rootless": "This engine is Podman, which mounts the whole data folder",
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_engine_that_leaves_out_a_wall_is_refused(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    filled: Callable[[], AbstractContextManager[Place]],
) -> None:
    monkeypatch.setenv("MICROSTAGE_TEST_ENGINE", name)
    with filled() as place:
        guard = place.start_guard()
        told = place.refusal(guard)

        assert REFUSED[name] in told
        assert 78 == place.engine.inspect_container(guard)["State"]["ExitCode"]


def test_one_that_keeps_its_images_in_containerd_has_each_by_the_id_that_it_has_elsewhere(
    monkeypatch: pytest.MonkeyPatch, filled: Callable[[], AbstractContextManager[Place]]
) -> None:
    monkeypatch.setenv("MICROSTAGE_TEST_ENGINE", "docker-containerd")
    here = docker.from_env(version="auto").api
    with filled() as place:
        assert "" == place.refusal(place.start_guard())
        stores = place.engine.info()["DriverStatus"]
        assert ["driver-type", "io.containerd.snapshotter.v1"] in stores
        assert find_image(here, BASE).id == find_image(place.engine, BASE).id
        assert {} == run_pinned(place)

        second = find_image(place.engine, SWAPPED)
        assert second.id != second.store_id

        # With no name that keeps it; and as it was pinned by what its engine calls it.
        for pin in (second.id, second.store_id):
            assert ({}, second.id) == run_of(place, f"{SWAPPED}@{pin}")

        keep(place, second, OTHER)
        with pytest.raises(StageError, match="is not on this machine"):
            run_of(place, f"{SWAPPED}@{OTHER}")
        with pytest.raises(StageError, match=r"containers/create: .*No such image"):
            run_of(place, f"{SWAPPED}@{OTHER}", image=second)
