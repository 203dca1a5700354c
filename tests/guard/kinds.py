"""The kinds of engine that the guard is tested on, and how each is started for the tests alone.

A kind is the command that serves below a folder, at engine.sock in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534  # who is on every machine, and may have no engine there
CONTRIB = "/usr/share/docker.io/contrib"  # where Debian has dockerd-rootless.sh


# As if no engine had ever run here: what one keeps by fixed names is put aside.
MACHINE = """
ip link set lo up
mount -t tmpfs none /run
mount -t tmpfs none /dev/shm
mount -t tmpfs none /var/lib
"""
# Ids for nobody; and this device as udev makes it, which elsewhere may be root's alone.
ROOTLESS = """
for ids in subuid subgid; do
  echo nobody:100000:65536 >/run/$ids
  mount --bind /run/$ids /etc/$ids
done
mount -t tmpfs none /dev/net
mknod -m 666 /dev/net/tun c 10 200
"""


def docker(root: Path) -> list[str]:
    """Docker Engine, as root."""
    command = ["dockerd", f"--data-root={root}/engine", f"--exec-root={root}/exec"]
    command += ["--group=0", f"--pidfile={root}/engine.pid", "--log-level=warn"]
    return [*command, f"--host=unix://{root}/engine.sock"]


def docker_containerd(root: Path) -> list[str]:
    """The same, with its images in containerd: https://docs.docker.com/engine/storage/containerd."""
    settings = root / "daemon.json"
    settings.write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
    return [*docker(root), f"--config-file={settings}"]


def docker_rootless(root: Path) -> list[str]:
    """Docker Engine of a user without root: https://docs.docker.com/engine/security/rootless."""
    return [*_nobody(root), "dockerd-rootless.sh", *docker(root)[1:]]


def podman(root: Path) -> list[str]:
    """Podman, as root: it has no engine but this service, which speaks the API of one."""
    folders = [f"--root={root}/engine", f"--runroot={root}/exec"]
    folders += [f"--network-config-dir={root}/networks"]  # otherwise the machine's
    return ["podman", *folders, "system", "service", "--time=0", f"unix://{root}/engine.sock"]


def podman_rootless(root: Path) -> list[str]:
    """Podman of a user without root."""
    return [*_nobody(root), *podman(root)]


def _nobody(root: Path) -> list[str]:
    """Return what runs a command as nobody, with a home and ids of the tests' own."""
    home = root / "home"
    home.mkdir(exist_ok=True)
    for path in (root, home):
        os.chown(path, NOBODY, NOBODY)
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    paths = f"PATH={os.environ['PATH']}:{CONTRIB}"
    return [*become, "env", f"HOME={home}", f"XDG_RUNTIME_DIR={home}", paths]


KINDS: dict[str, Callable[[Path], list[str]]] = {
    kind.__name__.replace("_", "-"): kind
    for kind in (docker, docker_containerd, docker_rootless, podman, podman_rootless)
}


def machine() -> str:
    """Return the script that makes namespaces the machine of an engine, and stays."""
    more = ROOTLESS if kind().endswith("-rootless") else ""
    return f"set -e\n{MACHINE}{more}\necho\nexec sleep infinity"


def kind() -> str:
    """Return the kind that MICROSTAGE_TEST_ENGINE names. Raises ValueError if it is none."""
    name = os.environ.get("MICROSTAGE_TEST_ENGINE") or "docker"
    if name not in KINDS:
        raise ValueError(f"MICROSTAGE_TEST_ENGINE is {name!r}, and none of {', '.join(KINDS)}.")
    return name


def programs() -> list[str]:
    """Return the programs that the kind takes."""
    needed = {
        "docker-rootless": ["dockerd", "rootlesskit", "setpriv", "newuidmap"],
        "podman": ["podman"],
        "podman-rootless": ["podman", "setpriv", "newuidmap"],
    }
    return [*needed.get(kind(), ["dockerd"]), "unshare", "nsenter"]
