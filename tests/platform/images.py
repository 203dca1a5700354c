"""Building images as a user does, in a clone, under names of the test's own."""

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stack import ROOT, docker

VERSION = "1.0.0"
SBOM = "usr/share/sbom/image.cdx.json"
LOCK = "usr/share/sbom/debian.lock"


@dataclass(frozen=True)
class Builder:
    """A clone of the project that builds under its own prefix."""

    root: Path
    prefix: str

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ./build_images.sh with these arguments."""
        done = self.run("./build_images.sh", *arguments)
        if check and done.returncode:
            pytest.fail(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MICROSTAGE_PREFIX": self.prefix}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )

    def tag(self, name: str, suffix: str = "") -> str:
        return f"{self.prefix}/{name}:{VERSION}{suffix}"


def wait_for_answer(container: str, ask: Callable[[], object], seconds: float) -> None:
    """Wait until a container's server answers; its log is shown where it does not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()
            return
        except OSError:
            assert time.monotonic() < deadline, docker("logs", container)
            time.sleep(0.1)


def inspect(reference: str) -> dict[str, Any]:
    image: dict[str, Any] = json.loads(docker("image", "inspect", reference))[0]
    return image


def files(reference: str) -> Iterator[tuple[str, bytes]]:
    """Every regular file in an image, by its path without the first slash."""
    container = docker("create", "--pull=never", reference, "-")
    try:
        with tempfile.TemporaryFile() as file:
            subprocess.run(["docker", "export", container], stdout=file, check=True)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                for entry in tar:
                    if entry.isfile() and (content := tar.extractfile(entry)):
                        yield entry.name, content.read()
    finally:
        docker("rm", container)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def all_images() -> list[str]:
    out = subprocess.run(
        [ROOT / "build_images.sh", "--list"], capture_output=True, check=True, text=True
    )
    return [line.split()[1] for line in out.stdout.splitlines()]
