"""Data on a share of NFS, which has no way to exchange two directories at once: a real one."""

import re

import pytest
from nfs import inside, need_packages

pytestmark = pytest.mark.workers


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    need_packages()


@pytest.mark.parametrize("version", ["4.2", "4.0"])
def test_a_day_that_is_replaced_is_there_all_the_while(version: str) -> None:
    said = inside("nfs_inside.py", version=version, options="no_root_squash")
    print(said)

    assert re.search(r"seen \{'whole': [1-9]\d+\}", said)
    assert "versions 51" in said, "what was replaced is there for an hour"
    assert "last ['50'] left []" in said


@pytest.mark.parametrize("version", ["4.2", "4.0"])
def test_what_another_host_has_published_is_read_though_this_one_has_looked_before(
    version: str,
) -> None:
    patient = inside("nfs_other_host.py", "10", version=version, options="no_root_squash")
    hasty = inside("nfs_other_host.py", "0", version=version, options="no_root_squash")

    assert "before 0 after 1" == patient.splitlines()[-1]
    assert "before 0 after 0" == hasty.splitlines()[-1], "what it guards against is real"


def test_an_engine_whose_root_is_nobody_there_reaches_what_it_mounts() -> None:
    said = inside("nfs_squash.py", "1000", version="4.2", options="root_squash", owner=1000)

    assert "True True rows" == said.splitlines()[-1]
