"""A running stack for the end-to-end tests: one for each worker, a clone with a name of its own."""

import os
import shutil
from collections.abc import Iterator

import pytest
from images import Builder
from slow_pipeline import Slow
from stack import ROOT, Stack, clone_to, docker, wait_until

# Files whose tests of the stack are long: these wait for what is dead or slow on purpose.
FAULTS = (
    "test_at_once",
    "test_doctor",
    "test_faults",
    "test_maintain",
    "test_migrations",
    "test_services_away",
    "test_the_lost_machine",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the stack, takes it apart, or builds images: parts of scripts/test."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.path.stem in FAULTS and {"stack", "databases"} & fixtures:
            item.add_marker("faults")
        for fixture, mark in (("stack", "stack"), ("builder", "images"), ("upgraded", "upgrade")):
            if fixture in fixtures:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("clone")
    clone_to(root)
    clone = Stack(root)
    clone.settle("test")
    before = clone.changes()
    try:
        yield Stack(root, clone.run("scripts/demo").stdout, before)
    except BaseException:
        print(clone.run("docker", "compose", "logs", "--tail=60", check=False).stdout)
        raise
    finally:
        clone.take_down()


@pytest.fixture(scope="session")
def slow(stack: Stack) -> Iterator[Slow]:
    pipeline = Slow(stack, "slow")
    pipeline.image = f"microstage-test/slow:{stack.project}"
    pipeline.build(pipeline.image)
    pipeline.takes(1)
    wait_until(lambda: pipeline.is_known("backfill"))
    yield pipeline
    pipeline.file.unlink()
    docker("rmi", "--force", pipeline.image)


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    root, prefix = tmp_path_factory.mktemp("builds"), f"microstage-test-{os.getpid()}"
    clone_to(root)
    # A test of the revision makes a history of its own.
    shutil.rmtree(root / ".git", ignore_errors=True)
    # Tests' tools are those that are there already.
    (root / ".venv").symlink_to(ROOT / ".venv")
    docker("tag", "microstage/debian:trixie", f"{prefix}/debian:trixie")
    try:
        yield Builder(root, prefix)
    finally:
        images = docker("images", "--format={{.Repository}}:{{.Tag}}").splitlines()
        docker("rmi", "--force", *[name for name in images if f"{prefix}/" in name])
