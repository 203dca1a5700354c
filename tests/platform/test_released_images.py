"""A release: images of both processors under one name, signed, and taken instead of being built."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from image_registry import build_tools, serving
from images import VERSION, Builder, inspect
from stack import docker

NAMES = ("generate", "split_lua")
# What the forge's workflow knows of itself.
WORKFLOW = {
    "GITHUB_SERVER_URL": "https://forge.example.org",
    "GITHUB_REPOSITORY": "team/microstage",
    "GITHUB_WORKFLOW_REF": "team/microstage/.github/workflows/release.yml@refs/tags/v1",
    "GITHUB_REF": "refs/tags/v1",
    "GITHUB_SHA": "c" * 40,
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
}


@dataclass(frozen=True)
class Release:
    """A release in a registry of the test's own, by somebody who has built it."""

    builder: Builder
    registry: str
    lock: Path
    ids: dict[str, str]  # of the images, as they were built

    def remote(self, name: str) -> str:
        return f"{self.registry}/{self.builder.prefix}/{name}"

    def digest(self, name: str) -> str:
        [line] = [line for line in self.lock.read_text().splitlines() if line.startswith(name)]
        return line.partition("@")[2]

    def take(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        options = ("--from", self.registry, "--lock", str(self.lock))
        return self.builder(*options, *(arguments or NAMES), check=check)

    def forget(self) -> None:
        """Let nothing of it be on this machine."""
        listed = docker("images", "--format={{.Repository}}:{{.Tag}}").splitlines()
        own = [name for name in listed if f"{self.builder.prefix}/" in name]
        docker("rmi", "--force", *[name for name in own if any(f"/{n}:" in name for n in NAMES)])
        shutil.rmtree(self.builder.root / ".cache/built", ignore_errors=True)


@pytest.fixture(scope="module")
def tools(builder: Builder) -> str:
    return build_tools(builder.tag("tools"), builder.prefix)


@pytest.fixture(scope="module")
def release(
    builder: Builder, tools: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    lock = tmp_path_factory.mktemp("release") / "images.lock"
    native = docker("version", "--format={{.Server.Arch}}")
    other = {"amd64": "arm64", "arm64": "amd64"}[native]
    with serving(tools) as registry:
        builder("--push", f"{registry}/{native}", *NAMES)
        # As the other machine would: it is that one's own processor, so its images have no suffix.
        builder("--platform", f"linux/{other}", *NAMES)
        for name in NAMES:
            part = f"{registry}/{other}/{builder.tag(name)}"
            docker("tag", builder.tag(name, f"-{other}"), part)
            docker("push", "--quiet", part)
        parts = ("--part=amd64", "--part=arm64", f"--lock={lock}")
        done = builder.run("scripts/release_images", "publish", registry, *NAMES, *parts)
        assert 0 == done.returncode, done.stderr
        ids = {name: inspect(builder.tag(name))["Id"] for name in NAMES}
        yield Release(builder, registry, lock, ids)


def test_each_name_has_the_images_of_both_processors_and_no_other(release: Release) -> None:
    for name in NAMES:
        image = f"{release.remote(name)}@{release.digest(name)}"
        index = json.loads(docker("buildx", "imagetools", "inspect", "--raw", image))
        found = {each["platform"]["architecture"] for each in index["manifests"]}

        assert {"amd64", "arm64"} == found
        assert 2 == len(index["manifests"])


def test_what_is_taken_is_what_was_built_and_nothing_is_built_again(release: Release) -> None:
    release.forget()
    done = release.take()

    assert release.ids == {name: inspect(release.builder.tag(name))["Id"] for name in NAMES}
    assert "" == done.stderr
    again = release.builder(*NAMES)
    assert ["no", "no"] == changed(again.stdout)
    assert release.ids == {name: inspect(release.builder.tag(name))["Id"] for name in NAMES}


def test_what_is_changed_here_since_is_built_and_the_other_one_is_not(release: Release) -> None:
    release.forget()
    release.take()
    stage = release.builder.root / "containers/split_lua/Dockerfile"
    before = stage.read_text()
    try:
        stage.write_text(f'{before}\nLABEL org.example.changed="yes"\n')
        done = release.builder(*NAMES)
    finally:
        stage.write_text(before)

    assert ["no", "yes"] == changed(done.stdout)
    assert release.ids["generate"] == inspect(release.builder.tag("generate"))["Id"]


def changed(table: str) -> list[str]:
    """Return the last column of what ./build_images.sh prints, of the images by name."""
    lines = [line.split() for line in table.splitlines() if line.startswith(NAMES)]
    return [line[-1] for line in sorted(lines)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("generate:", "generate_:", "the release has none of that name, and here it is"),
        (f":{VERSION}@", ":0.9.0@", f"the release has version 0.9.0, and here it is {VERSION}"),
        ("@sha256:", "@sha256:0", "cannot be pulled"),
    ],
)
def test_what_does_not_fit_is_built_and_one_sentence_says_why(
    release: Release, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    release.forget()
    text = release.lock.read_text()
    line = next(line for line in text.splitlines(keepends=True) if line.startswith("generate:"))
    wrong = line.replace(old, new)
    lock = tmp_path / "images.lock"
    # A digest stays as long as it was.
    lock.write_text(text.replace(line, wrong[: len(line) - 1] + "\n" if "@" in old else wrong))
    done = release.take("--lock", str(lock), *NAMES)

    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("generate is built here: ")
    assert reason in sentence
    assert release.ids == {name: inspect(release.builder.tag(name))["Id"] for name in NAMES}


def test_an_image_of_another_name_or_processor_is_not_taken(
    release: Release, tmp_path: Path
) -> None:
    release.forget()
    image = f"{release.remote('generate')}@{release.digest('generate')}"
    index = json.loads(docker("buildx", "imagetools", "inspect", "--raw", image))
    native = docker("version", "--format={{.Server.Arch}}")
    [other] = [
        each["digest"] for each in index["manifests"] if each["platform"]["architecture"] != native
    ]
    lock = tmp_path / "images.lock"
    lock.write_text(f"generate:{VERSION}@{other}\n")
    done = release.take("--lock", str(lock), "generate")

    assert f"and here it is linux/{native}." in done.stderr
    assert release.ids["generate"] == inspect(release.builder.tag("generate"))["Id"]


def test_without_the_file_of_a_release_nothing_is_done(release: Release) -> None:
    done = release.builder("--from", release.registry, "generate", check=False)

    assert 66 == done.returncode
    assert "images.lock: it is attached to each release" in done.stderr.splitlines()[-1]


def test_a_release_is_signed_and_says_what_is_in_it_and_how_it_was_made(
    release: Release, tools: str, tmp_path: Path
) -> None:
    container = docker("create", tools)
    docker("cp", f"{container}:/usr/bin/cosign", tmp_path / "cosign")
    docker("rm", container)
    environment = {
        **os.environ,
        **WORKFLOW,
        "MICROSTAGE_PREFIX": release.builder.prefix,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "COSIGN_PASSWORD": "",
    }

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command,
            cwd=release.builder.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    run("cosign", "generate-key-pair", f"--output-key-prefix={tmp_path}/test")
    own = ("--allow-http-registry", f"--key={tmp_path}/test.key", "--tlog-upload=false")
    lock = f"--lock={release.lock}"
    run("scripts/release_images", "sign", release.registry, lock, "--", *own)

    image = f"{release.remote('split_lua')}@{release.digest('split_lua')}"
    index = json.loads(docker("buildx", "imagetools", "inspect", "--raw", image))
    verify = ("--allow-http-registry", f"--key={tmp_path}/test.pub", "--insecure-ignore-tlog")
    run("cosign", "verify", *verify, image)
    run("cosign", "verify-attestation", "--type=slsaprovenance1", *verify, image)
    for part in index["manifests"]:
        each = f"{release.remote('split_lua')}@{part['digest']}"
        run("cosign", "verify", *verify, each)
        run("cosign", "verify-attestation", "--type=cyclonedx", *verify, each)
    release.forget()
    assert "" == release.take().stderr
    assert release.ids == {name: inspect(release.builder.tag(name))["Id"] for name in NAMES}
