"""Which engines the guard goes on with: none that leaves out a wall without saying so."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from guarded import Place, run_pinned

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


def test_one_that_keeps_its_images_in_containerd_has_what_is_pinned_still(
    monkeypatch: pytest.MonkeyPatch, filled: Callable[[], AbstractContextManager[Place]]
) -> None:
    monkeypatch.setenv("MICROSTAGE_TEST_ENGINE", "docker-containerd")
    with filled() as place:
        assert "" == place.refusal(place.start_guard())
        stores = place.engine.info()["DriverStatus"]
        assert ["driver-type", "io.containerd.snapshotter.v1"] in stores
        assert {} == run_pinned(place)
