"""Images for a team: into a registry, Debian's own here, and for another processor, emulated."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_registry import build_tools, serving
from images import Builder, digests, files, inspect
from stack import docker

# The processor that this machine has not: its name to Debian, to QEMU, and in ELF headers.
OTHER = {
    "amd64": ("arm64", "qemu-aarch64", 183),
    "arm64": ("amd64", "qemu-x86_64", 62),
}


@pytest.fixture(scope="module")
def tools(builder: Builder) -> str:
    return build_tools(builder.tag("tools"), builder.prefix)


@pytest.fixture(scope="module")
def registry(tools: str) -> Iterator[str]:
    with serving(tools) as address:
        yield address


def test_a_pushed_image_comes_back_as_the_very_same(builder: Builder, registry: str) -> None:
    builder("--push", registry, "split_lua")
    pushed = f"{registry}/{builder.tag('split_lua')}"
    image = inspect(builder.tag("split_lua"))["Id"]
    docker("rmi", "--force", pushed)
    docker("pull", "--quiet", pushed)

    assert image == inspect(pushed)["Id"]


def test_a_registry_that_does_not_answer_is_named(builder: Builder) -> None:
    done = builder("--push", "127.0.0.1:9", "split_lua", check=False)

    assert 1 == done.returncode
    assert "could not push 127.0.0.1:9/" in done.stderr.splitlines()[-1]


def test_images_of_two_processors_are_pushed_under_one_name(
    builder: Builder, registry: str
) -> None:
    builder("--platform", "linux/arm64,linux/amd64", "--push", registry, "split_lua")
    name = f"{registry}/{builder.tag('split_lua')}"
    index = json.loads(docker("buildx", "imagetools", "inspect", "--raw", name))

    assert ["arm64", "amd64"] == [m["platform"]["architecture"] for m in index["manifests"]]


def test_an_image_for_another_processor_does_the_same_work_bit_for_bit(
    builder: Builder, tools: str, tmp_path: Path
) -> None:
    native = docker("version", "--format={{.Server.Arch}}")
    other, emulator, machine = OTHER[native]
    builder("generate")
    builder("--platform", f"linux/{other}", "generate")
    container = docker("create", tools)
    docker("cp", f"{container}:/usr/bin/{emulator}", tmp_path / "emulator")
    docker("rm", container)

    def work(suffix: str, *python: str) -> dict[str, str]:
        out = tmp_path / f"out{suffix}"
        out.mkdir()
        out.chmod(0o777)
        docker(
            *("run", "--rm", "--network=none", f"--volume={out}:/out"),
            *(f"--volume={tmp_path}/emulator:/emulator:ro", f"--entrypoint={python[0]}"),
            *(f"--platform=linux/{other if suffix else native}", builder.tag("generate", suffix)),
            *(*python[1:], "/app/stage.py", "generate", "--date=2026-01-01", "--rows=50"),
        )
        return digests(out)

    here = work("", "/usr/bin/python3")

    assert {"data.csv", "target.csv", "summary.json"} == set(here)
    assert here == work(f"-{other}", "/emulator", "/usr/bin/python3")
    programs = {
        path: struct.unpack_from("<H", content, 18)[0]
        for path, content in files(builder.tag("generate", f"-{other}"))
        if content.startswith(b"\x7fELF")
    }
    assert {machine} == set(programs.values())
