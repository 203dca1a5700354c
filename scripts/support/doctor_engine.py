"""The doctor's checks of the engine, and of what is on it: images, services, containers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

from support.findings import Finding, Installation, UnseenError, ask, docker, of_project
from support.images import find
from support.services import images_of

from microstage.errors import StageError
from microstage.images import name_of_pin, named
from microstage.pipelines import load_pipeline, pipeline_names
from microstage.walls import CONTRACT, CONTRACT_LABEL, lacking

API, COMPOSE = (
    "1.45",
    "2.20.2",
)  # directories of volumes; checks that are frequent at the start only
INSTALL, DEADLINE = "microstage.install", "microstage.deadline"
SERVICE = "com.docker.compose.service"


def engine(_: Installation) -> Iterator[Finding]:
    """Find whether an engine answers this user."""
    try:
        done = ask("docker", "version", "--format={{.Server.Version}}")
    except UnseenError as error:
        yield Finding(str(error), "as root: scripts/install_engine")
        return
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        if "permission denied" in said:
            mend = "as root: usermod --append --groups docker USER, then log in again"
        else:
            mend = "as root: scripts/install_engine; or see DOCKER_HOST and docker context ls"
        yield Finding(f"no Docker Engine answers: {said}", mend)


def versions(_: Installation) -> Iterator[Finding]:
    """Find what is too old for what docker-compose.yml and the guard ask for."""
    server = json.loads(docker("version", "--format={{json .Server}}"))
    if older(server["ApiVersion"], API):
        what = f"Docker Engine {server['Version']} speaks API {server['ApiVersion']}, not {API}"
        yield Finding(what, "install Docker Engine 26 or newer, which the guard takes")
    for plugin, least in (("compose", COMPOSE), ("buildx", "")):
        done = ask("docker", plugin, "version")
        found = re.search(r"\d+\.\d+\.\d+", done.stdout)
        if done.returncode or not found:
            yield Finding(f"docker has no {plugin}", f"install the package docker-{plugin}")
        elif older(found[0], least):
            what = f"docker compose is {found[0]}; docker-compose.yml takes {least}"
            yield Finding(what, f"install a newer docker-{plugin}")


def walls(_: Installation) -> Iterator[Finding]:
    """Find what the engine leaves out of what stages are promised."""
    version = json.loads(docker("version", "--format={{json .Server}}"))
    info = json.loads(docker("info", "--format={{json .}}"))
    yield from (Finding(what, mend) for what, mend in lacking(version, info))


def older(version: str, least: str) -> bool:
    """Tell whether a version is below another."""
    one, other = ([int(part) for part in re.findall(r"\d+", text)] for text in (version, least))
    return one < other


def images(installation: Installation) -> Iterator[Finding]:
    """Find rows of the table and services whose image is not on the engine."""
    rows: dict[str, str] = {}
    for pipeline in pipeline_names():
        try:
            for row in load_pipeline(pipeline).rows.values():
                rows.setdefault(row.image, row.where)
        except StageError as error:
            yield Finding(str(error).rstrip("."), "mend the file; tasks go by its last whole state")
    files = installation.settings.get("COMPOSE_FILE", "docker-compose.yml").split(":")
    of_services = {image: file for file in files for image in images_of(installation.root / file)}
    wanted = {**of_services, **rows}
    there = inspected(wanted)
    for image, where in wanted.items():
        if image in there:
            labels = there[image]["Config"].get("Labels") or {}
        elif named(image)[1] and (found := find(image)):  # in containerd
            labels = found.labels
            yield from not_kept(image, where)
        else:
            yield absent(image, where)
            continue
        if image in rows and (spoken := labels.get(CONTRACT_LABEL)) != CONTRACT:
            what = f"{where}: {image} has {CONTRACT_LABEL}={spoken}, not {CONTRACT}"
            yield Finding(what, "build it anew, or swap another one in: scripts/swap_stage")


def not_kept(image: str, where: str) -> Iterator[Finding]:
    """Find that a pinned image has no name but the one that may be another image's any day."""
    name, pin = named(image)
    if not find(name_of_pin(pin)):
        what = f"{where}: {name} is gone as soon as it is built anew, and is pinned as {short(pin)}"
        yield Finding(what, f"docker tag {name} {name_of_pin(pin)}")


def absent(image: str, where: str) -> Finding:
    """Return the finding of an image that is not there, or not with the id that is pinned."""
    name, _, pin = image.partition("@")
    build = f"./build_images.sh {name.removeprefix('microstage/').partition(':')[0]}"
    if not pin:
        return Finding(f"{where}: there is no image {image}", build)
    now = find(name)
    return Finding(
        f"{where}: {name} is {short(now.id) if now else 'not there'}, and the pinned {short(pin)} "
        "is gone",
        "scripts/swap_stage STAGE --rollback, or docker load what was kept of it",
    )


def short(image_id: str) -> str:
    """Return as much of an id as people compare."""
    return image_id.removeprefix("sha256:")[:12]


def inspected(images: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what the engine says of those images that it has: by name, or by the pinned id."""
    by = {image.partition("@")[2] or image: image for image in images}
    done = ask("docker", "image", "inspect", *by)
    if done.returncode and "No such image" not in done.stderr:
        raise UnseenError("the engine does not answer")
    found: dict[str, dict[str, Any]] = {}
    for each in json.loads(done.stdout or "[]"):
        found |= {by[key]: each for key in [each["Id"], *each["RepoTags"]] if key in by}
    return found


def services(installation: Installation) -> Iterator[Finding]:
    """Find services that are not up, not healthy, or of another image than there is by now."""
    ids = docker("ps", "--all", "--quiet", of_project(installation.name)).split()
    if not ids:
        raise UnseenError("none was started: docker compose up --wait")
    found = {}
    for each in json.loads(docker("inspect", *ids)):
        labels = each["Config"]["Labels"]
        if labels.get("com.docker.compose.oneoff") != "True":
            found[labels[SERVICE]] = each
    there = inspected({each["Config"]["Image"] for each in found.values()})
    up = "docker compose up --wait"
    for service in docker("compose", "config", "--services", root=installation.root).split():
        if service not in found:
            yield Finding(f"the service {service} is not there", up)
            continue
        state = found[service]["State"]
        health = state.get("Health", {}).get("Status")
        ended = state["Status"] == "exited" and not state["ExitCode"] and not health
        if state["Status"] != "running" and not ended:
            what = f"the service {service} is {state['Status']} (exit code {state['ExitCode']})"
            yield Finding(what, f"docker compose logs {service}, then: {up}")
        elif health == "unhealthy":
            mend = f"docker compose logs {service}, or docker compose restart {service}"
            yield Finding(f"the service {service} is unhealthy", mend)
        image = found[service]["Config"]["Image"]
        if image in there and found[service]["Image"] != there[image]["Id"]:
            old, new = short(found[service]["Image"]), short(there[image]["Id"])
            yield Finding(f"the service {service} has {image} as it was, {old}, now {new}", up)


def containers(installation: Installation) -> Iterator[Finding]:
    """Find stages' containers that are past their deadline, of this installation or of none."""
    form = f'{{{{.ID}}}} {{{{.Label "{DEADLINE}"}}}} {{{{.Label "{INSTALL}"}}}} {{{{.Names}}}}'
    lines = docker("ps", "--all", f"--filter=label={DEADLINE}", f"--format={form}").splitlines()
    for container, deadline, install, called in (line.split(" ", 3) for line in lines):
        if not deadline.isdecimal() or int(deadline) > time.time():
            continue
        if install == installation.name:
            whose = "is past its deadline, and no task waits for it"
        elif docker("volume", "ls", "--quiet", of_project(install)):
            continue  # its own doctor's
        else:
            whose = f"is of the installation {install}, of which nothing else is left"
        yield Finding(f"the container {called} {whose}", f"docker rm --force {container}")
