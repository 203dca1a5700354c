"""What the images here are beyond the contract, which contract/ checks: small, and alike to use."""

import os
import re
import signal
import tarfile
import tempfile
import time
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import pytest
from docker.models.containers import Container
from harness import IMAGES, REPOSITORY, Engine, finished, reference
from pipeline import TABLE, Case, Pipeline, cases, job_of

from microstage.errors import TRY_AGAIN, USAGE

every_image = pytest.mark.parametrize("image", IMAGES)
every_case = pytest.mark.parametrize("case", cases(), ids="=".join)
# What is said of the others, their services' tests hold.
every_case_without_a_service = pytest.mark.parametrize("case", cases(served=False), ids="=".join)

# What is used anywhere: the name to import, and that of its package.
USED_ANYWHERE = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
    "airflow": "apache-airflow",
    "mlflow": "mlflow-skinny",
    **{name: name for name in ("numpy", "pandas", "scipy", "lightgbm", "treelite")},
    **{name: name for name in ("matplotlib", "docker", "pip", "setuptools", "ensurepip")},
}
TOOLS = {
    *("sh", "bash", "dash", "ash", "busybox", "perl", "gcc", "curl", "wget"),
    *("apt", "apt-get", "dpkg", "apk", "pip", "pip3", "uv"),
}


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return Pipeline()


def test_every_image_is_tested() -> None:
    assert set(IMAGES) <= {case.image for case in cases()}


@every_image
def test_only_its_own_packages_import(engine: Engine, image: str) -> None:
    program = f"""
import importlib
for name in {sorted(USED_ANYWHERE)}:
    try:
        importlib.import_module(name)
        print(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
"""
    lock = REPOSITORY / "containers" / image / "requirements.txt"
    if not lock.exists():
        assert [] == [path for path in programs(engine, image) if path.name.startswith("python")]
        return
    result = engine.run(image, ["-c", program], entrypoint=["python3"])

    assert (0, "") == (result.code, result.stderr)
    locked = set(re.findall(r"(?m)^([\w.-]+)==", lock.read_text("utf-8")))
    expected = {name for name, package in USED_ANYWHERE.items() if package in locked}
    assert expected == set(result.stdout.split())


@every_image
def test_there_is_no_shell_and_no_package_manager(engine: Engine, image: str) -> None:
    found = programs(engine, image)

    assert found
    assert [] == [path for path in found if path.name in TOOLS]


@cache
def programs(engine: Engine, image: str) -> list[PurePath]:
    """The files, and links, in the image that may be run; seen from outside."""
    container = engine.client.containers.create(reference(image))
    try:
        with tempfile.TemporaryFile() as file:
            content: Any = container.export()  # bytes, whatever its annotation says
            file.writelines(content)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                entries = tar.getmembers()
    finally:
        container.remove(v=True)
    return [PurePath(e.name) for e in entries if e.issym() or (e.isfile() and e.mode & 0o111)]


@every_image
def test_it_does_not_run_as_root_unless_told_to(engine: Engine, image: str) -> None:
    assert "65532:65532" == engine.attributes(image)["Config"]["User"]


@every_image
def test_labels_are_those_of_the_project(engine: Engine, image: str) -> None:
    labels = engine.attributes(image)["Config"]["Labels"]
    expected = {
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.title": image,
        "org.opencontainers.image.version": reference(image).partition("@")[0].rpartition(":")[2],
    }

    assert expected == {name: labels.get(name) for name in expected}


@every_image
def test_help_is_what_it_does_by_default(engine: Engine, image: str) -> None:
    asked, default = engine.run(image, ["--help"]), engine.run(image, [])

    assert (0, asked.stdout, "") == (default.code, default.stdout, asked.stderr)
    assert asked.stdout.startswith(f"usage: {image} ")


@every_case
def test_the_verb_explains_its_parameters(engine: Engine, case: Case) -> None:
    row = TABLE.row(case.stage)
    result = engine.run(case.image, [row.verb, "--help"])

    assert (0, "") == (result.code, result.stderr)
    assert all(f"--{name}" in result.stdout for name in row.params)


@every_image
def test_no_verb_is_wrong_usage(engine: Engine, image: str) -> None:
    entrypoint = engine.attributes(image)["Config"]["Entrypoint"]
    result = engine.run(image, [], entrypoint=entrypoint)  # named, it drops the default command

    assert (USAGE, "") == (result.code, result.stdout)
    assert "verb" in result.last_error


@every_case_without_a_service
def test_a_full_disk_is_said(engine: Engine, pipeline: Pipeline, case: Case) -> None:
    inputs: Any = pipeline.inputs(case.stage)
    command = job_of(case.stage).command
    result = engine.run(case.image, command, inputs=inputs, out_size="4k")

    assert (TRY_AGAIN, 1) == (result.code, len(result.stderr.splitlines()))
    assert "full" in result.last_error


@every_image
def test_sigterm_ends_it_as_pid_1_too(
    engine: Engine, pipeline: Pipeline, tmp_path: Path, image: str
) -> None:
    stages = [case.stage for case in cases(served=False) if case.image == image]
    if not stages:
        pytest.skip(f"{image} needs its service: tests/stages/{image} holds it")
    row = TABLE.row(stages[0])
    fifo = tmp_path / row.files[0]  # it waits for a reader of what it writes
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    tmp_path.chmod(0o777)

    inputs: Any = pipeline.inputs(row.stage)
    command = job_of(row.stage).command
    with engine.start(image, command, inputs=inputs, out=tmp_path, init=False) as container:
        wait_until_it_would_hear(container)
        container.kill("SIGTERM")
        sent = time.monotonic()
        code = finished(container, timeout=20)
        seconds = time.monotonic() - sent

    assert 143 == code
    assert seconds < 2


def wait_until_it_would_hear(container: Container) -> None:
    """Until process 1 handles SIGTERM, or has started another as an init does.

    Before, the kernel drops the signal:
    https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
    Process 1 is the engine's own at first, which handles all signals.
    """
    deadline = time.monotonic() + 60
    while True:
        found = container.top(ps_args="-o pid,caught,comm")["Processes"]
        is_engines = any(name.startswith("runc") for *_, name in found)
        if not is_engines and (len(found) > 1 or int(found[0][1], 16) >> (signal.SIGTERM - 1) & 1):
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
