"""A release: its images in a registry, their digests in a file, and what is signed of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support import REPOSITORY
from support.registry import join, look, platforms, pull, run

from microstage.errors import NO_INPUT, TRY_AGAIN, StageError

LOCK = REPOSITORY / "images.lock"
LINE = re.compile(r"([a-z0-9_]+):(\S+)@(sha256:[0-9a-f]{64})")
SBOM = "/usr/share/sbom/image.cdx.json"  # which each image has in it
TITLE = "org.opencontainers.image.title"
REVISION = "org.opencontainers.image.revision"
HEAD = "# The images of this release, of both processors each, by digest: docs/release.md\n"
# https://slsa.dev/spec/v1.1/provenance, as the forge's own workflows tell it
BUILD_TYPE = "https://actions.github.io/buildtypes/workflow/v1"


def prefix() -> str:
    """Return the first part of the images' names, as ./build_images.sh has it."""
    return os.environ.get("MICROSTAGE_PREFIX") or "microstage"


def version() -> str:
    """Return the tag of all images."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def remote(registry: str, name: str) -> str:
    """Return what an image is called in a registry, without its tag."""
    return f"{registry.rstrip('/')}/{prefix()}/{name}"


def read_lock(path: Path) -> dict[str, tuple[str, str]]:
    """Return name -> version, digest. Raises StageError (66) without the file, or for another."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise StageError(
            NO_INPUT,
            f"There is no {path}: it is attached to each release, and says which images are its.",
        ) from None
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [LINE.fullmatch(line) for line in lines]
    for line, match in zip(lines, found, strict=True):
        if not match:
            raise StageError(
                NO_INPUT, f"{path} has the line {line!r}, which is no NAME:VERSION@DIGEST."
            )
    return {match[1]: (match[2], match[3]) for match in found if match}


def write_lock(path: Path, digests: Mapping[str, str]) -> None:
    """Write the digests of a release; `digests`: by the images' names."""
    lines = [f"{name}:{version()}@{digest}\n" for name, digest in sorted(digests.items())]
    path.write_text(HEAD + "".join(lines), encoding="utf-8")


# --- taking one


def take(registry: str, digests: Mapping[str, tuple[str, str]], name: str, commit: str) -> Taken:
    """Pull an image of a release, if it is one of what is here.

    `digests`: as of `read_lock`; `commit`: the last one that changed what the image is made from,
    "" where nobody knows. Raises StageError (75) with the reason if there is none that fits.
    """
    of, digest = digests.get(name, ("", ""))
    if of != version():
        has = f"has version {of}" if of else "has none of that name"
        raise StageError(TRY_AGAIN, f"the release {has}, and here it is {version()}.")
    image = f"{remote(registry, name)}@{digest}"
    pull(image, "see that the registry is there, and docker login")
    found = look(image)
    labels = found["Config"].get("Labels") or {}
    wanted = run(
        "version", "--format={{.Server.Os}}/{{.Server.Arch}}", failed="", advice=""
    ).strip()
    facts = {
        "is an image of": (labels.get(TITLE), name),
        "is for": (f"{found['Os']}/{found['Architecture']}", wanted),
        "is of the commit": (labels.get(REVISION), commit or labels.get(REVISION)),
    }
    for what, (its, ours) in facts.items():
        if its != ours:
            raise StageError(TRY_AGAIN, f"{image} {what} {its or 'none'}, and here it is {ours}.")
    return Taken(str(found["Id"]), int(found["Size"]), image)


class Taken(NamedTuple):
    """An image of a release that is on this machine now."""

    image_id: str
    size: int  # bytes
    image: str  # what it is called here


# --- making one


def publish(registry: str, names: Iterable[str], parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Put what was pushed to REGISTRY/PART, for each processor, under one name; yield name, digest.

    Raises StageError (75) where a part is missing.
    """
    for name in names:
        tags = [f"{remote(f'{registry}/{part}', name)}:{version()}" for part in parts]
        yield name, join(f"{remote(registry, name)}:{version()}", tags)


def sign(registry: str, lock: Path, options: Sequence[str], made_by: Mapping[str, str]) -> None:
    """Sign each image of a release, with its list of contents and how it was made.

    What is said of an image lies beside it in the registry, and is no part of it: the digest and
    the id stay. `options`: of cosign; `made_by`: the environment that the forge's workflow has.
    Raises StageError (75) where cosign fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        made, listed = Path(folder, "provenance.json"), Path(folder, "sbom.json")
        made.write_text(json.dumps(provenance(made_by)), encoding="utf-8")
        for name, (_, digest) in read_lock(lock).items():
            image = f"{remote(registry, name)}@{digest}"
            cosign("sign", "--recursive", *options, image)
            cosign("attest", "--type=slsaprovenance1", f"--predicate={made}", *options, image)
            for own in platforms(image).values():
                part = f"{remote(registry, name)}@{own}"
                copy_out(part, SBOM, listed)
                cosign("attest", "--type=cyclonedx", f"--predicate={listed}", *options, part)


def cosign(*arguments: str) -> None:
    """Run cosign. Raises StageError (75) where it fails."""
    command = ["cosign", *arguments]
    try:
        done = subprocess.run([*command, "--yes"], check=False)
    except FileNotFoundError:
        raise StageError(TRY_AGAIN, "There is no cosign on this machine; install it.") from None
    if done.returncode:
        raise StageError(TRY_AGAIN, f"{' '.join(command)} failed, see above; try it again.")


def copy_out(image: str, file: str, to: Path) -> None:
    """Copy a file out of an image of any processor. Raises StageError (75)."""
    pull(image, "docker login, and see that it was pushed")
    failed, advice = f"{image} has no {file} in it", "build it by ./build_images.sh"
    container = run("create", "--pull=never", image, "-", failed=failed, advice=advice).strip()
    try:
        run("cp", f"{container}:{file}", str(to), failed=failed, advice=advice)
    finally:
        for command in (("rm", container), ("rmi", image)):
            subprocess.run(["docker", *command], capture_output=True, check=False)


def provenance(made_by: Mapping[str, str]) -> dict[str, Any]:
    """Return how the images were made, as a predicate of SLSA 1; see `sign` for `made_by`.

    Raises StageError (66) outside of a workflow that says so.
    """
    try:
        server, repository = made_by["GITHUB_SERVER_URL"], made_by["GITHUB_REPOSITORY"]
        url = f"{server}/{repository}"
        workflow, ref = made_by["GITHUB_WORKFLOW_REF"], made_by["GITHUB_REF"]
        path = workflow.removeprefix(f"{repository}/").partition("@")[0]
        attempt = f"{made_by['GITHUB_RUN_ID']}/attempts/{made_by['GITHUB_RUN_ATTEMPT']}"
        source = {"uri": f"git+{url}@{ref}", "digest": {"gitCommit": made_by["GITHUB_SHA"]}}
    except KeyError as missing:
        raise StageError(
            NO_INPUT,
            f"The environment has no {missing.args[0]}: a release is signed by a workflow.",
        ) from None
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"workflow": {"ref": ref, "repository": url, "path": path}},
            "resolvedDependencies": [source],
        },
        "runDetails": {
            "builder": {"id": f"{server}/{workflow}"},
            "metadata": {"invocationId": f"{url}/actions/runs/{attempt}"},
        },
    }
