"""Which packages are in images, and of which of them a vulnerability is known."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from support import REPOSITORY

from microstage.errors import NO_INPUT, StageError

PREFIX = os.environ.get("MICROSTAGE_PREFIX", "microstage")
LIST = "/usr/share/sbom/image.cdx.json"
CERTIFICATES = [
    os.environ.get("SSL_CERT_FILE", ""),
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
]
# Reads lines of "package version"; prints those that Debian has newer, the newest version and its
# suite. The apt of the image that all others are built from knows where Debian is.
NEWER = r"""
apt-get -qq -o Acquire::https::CAInfo=/ca -o APT::Update::Error-Mode=any update >&2 || exit 69
apt-cache policy | grep -q security || exit 69
while read -r name old; do
  read -r new suite < <(apt-cache madison "$name" |
    awk -F ' *[|] *' '{ n = split($3, at, " "); print $2, at[n - 2]; exit }')
  if dpkg --compare-versions "$new" gt "$old"; then echo "$name $old $new ${suite%/*}"; fi
done
"""


class Package(NamedTuple):
    """A package: its kind ("pypi" or "deb"), name and version."""

    kind: str
    name: str
    version: str


class UnreachableError(Exception):
    """An advisory database gave no answer; the text says which."""


def images() -> list[str]:
    """Return the names of all images that build_images.sh builds."""
    out = run([REPOSITORY / "build_images.sh", "--list"]).stdout
    return [line.split()[1] for line in out.decode().splitlines()]


def contents(image: str) -> Iterator[Package]:
    """Yield the packages on the list in `image`. Raises StageError (66) where there is none."""
    version = re.search(r'(?m)^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text())
    reference = image if {":", "/"} & set(image) else f"{PREFIX}/{image}:{version and version[1]}"
    # Nothing is run, so that an image is read that has nothing to run, or not on this processor.
    container = run(["docker", "create", "--pull=never", reference, "-"]).stdout.decode().strip()
    if not container:
        raise StageError(NO_INPUT, f"There is no image {reference} here; build or pull it.")
    copied = run(["docker", "cp", f"{container}:{LIST}", "-"]).stdout
    run(["docker", "rm", container])
    if not copied:
        raise StageError(NO_INPUT, f"{reference} carries no list of its contents, {LIST}.")
    with tarfile.open(fileobj=io.BytesIO(copied)) as tar:
        (entry,) = tar
        for part in json.load(tar.extractfile(entry) or io.BytesIO()).get("components", []):
            yield Package(part["purl"].split(":")[1].split("/")[0], part["name"], part["version"])


def python(packages: Sequence[Package], osv_url: str | None) -> list[tuple[Package, str]]:
    """Return what pip-audit finds; raises UnreachableError when it finds no package at all."""
    pins = {f"{package.name}=={package.version}": package for package in packages}
    service = ["--vulnerability-service=osv", f"--osv-url={osv_url}"] if osv_url else []
    tool = Path(run([REPOSITORY / "scripts/environment"]).stdout.decode().strip()) / "bin/pip-audit"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        print(*pins, sep="\n", file=file, flush=True)
        options = ["--format=json", "--no-deps", "--disable-pip", "-r", file.name, *service]
        out = run([tool, *options]).stdout
    answers = json.loads(out)["dependencies"] if out else []
    # A mirror of PyPI without its advisories says of each package that it does not exist.
    if not any("vulns" in answer for answer in answers):
        raise UnreachableError(
            f"no advisories for Python here: {osv_url or 'PyPI'} cannot be reached, or has none"
        )
    found = []
    for answer in answers:
        if "vulns" not in answer:
            print(f"not looked up: {answer['skip_reason']}", file=sys.stderr)
        for advisory in answer.get("vulns", []):
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            package = pins[f"{answer['name']}=={answer['version']}"]
            found.append((package, f"{advisory['id']}, fixed in {fixed}"))
    return found


def debian(packages: Sequence[Package]) -> list[tuple[Package, str]]:
    """Return what Debian has corrected; raises UnreachableError without its security suite."""
    pins = {f"{package.name} {package.version}": package for package in packages}
    proxies = [f"--env={name}" for name in os.environ if name.lower().endswith("_proxy")]
    bundle = next((path for path in CERTIFICATES if path and Path(path).is_file()), "/dev/null")
    options = [*proxies, f"--volume={bundle}:/ca:ro", f"{PREFIX}/debian:trixie"]
    done = subprocess.run(
        ["docker", "run", "--rm", "--interactive", "--pull=never", *options, "bash", "-c", NEWER],
        input="\n".join([*pins, ""]).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise UnreachableError(
            "no advisories for Debian here: its security suite cannot be read by apt in "
            f"{PREFIX}/debian:trixie"
        )
    newer = [line.split() for line in done.stdout.decode().splitlines()]
    # What a stable release of Debian gets are corrections of faults, most of them of security.
    return [(pins[f"{name} {old}"], f"{suite} has {new}") for name, old, new, suite in newer]


def run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[bytes]:
    """Run a command for what it prints; no output means that it failed."""
    return subprocess.run(command, capture_output=True, check=False)
