"""Who stops the engine that scripts/install_engine started: nobody but who did, nothing running."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guarded import wait_for, why_not

ROOT = Path(__file__).resolve().parents[2]
BASE = "microstage/base:1.0.0"
# As if nothing of Docker had ever run on this machine. What the engine keeps is on the disk, as it
# needs a file system that layers can be made on.
BARE = """
set -e
ip link set lo up
mount -t tmpfs none /run
mkdir -p "$0/docker" "$0/containerd" /var/lib/docker /var/lib/containerd
mount --bind "$0/docker" /var/lib/docker
mount --bind "$0/containerd" /var/lib/containerd
touch "$0/ready"
exec sleep infinity
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a command on a bare machine, in namespaces: run("first/scripts/install_engine")."""
    if reason := why_not():
        pytest.skip(f"{reason}: nothing is started or stopped here")
    root = Path(tempfile.mkdtemp(prefix="e-", dir="/tmp"))
    root.chmod(0o755)
    for checkout in ("first", "second"):
        (root / checkout / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/install_engine", root / checkout / "scripts")
    namespaces = ["unshare", "--net", "--mount", "--propagation", "private"]
    machine = subprocess.Popen([*namespaces, "bash", "-c", BARE, str(root)], text=True)
    wait_for((root / "ready").exists)
    environment = {name: text for name, text in os.environ.items() if name != "DOCKER_HOST"}

    def inside(*command: str, user: int = 0) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={machine.pid}", "--net", "--mount", f"--wdns={root}"]
        enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return subprocess.run(
            [*enter, *command], env=environment, capture_output=True, text=True, check=False
        )

    try:
        yield inside
    finally:
        pid = inside("cat", "/run/docker.pid").stdout.strip()
        if pid:
            inside("bash", "-c", "docker ps --quiet | xargs -r docker kill")
            inside("kill", pid)
            wait_for(lambda: not Path(f"/proc/{pid}/cmdline").exists() or is_zombie(pid))
        machine.kill()
        machine.wait()
        shutil.rmtree(root, ignore_errors=True)


def is_zombie(pid: str) -> bool:
    return not Path(f"/proc/{pid}/cmdline").read_bytes()


def started(run: Run) -> None:
    done = run("first/scripts/install_engine")

    assert 0 == done.returncode, done.stderr
    assert answers(run)


def answers(run: Run) -> bool:
    return run("docker", "version").returncode == 0


def test_who_started_it_stops_it(run: Run) -> None:
    started(run)
    done = run("first/scripts/install_engine", "--stop")

    assert (0, "Docker Engine is stopped\n", "") == (done.returncode, done.stdout, done.stderr)
    assert not answers(run)
    # There is none to stop any more.
    assert (0, "") == (run("first/scripts/install_engine", "--stop").returncode, "")


def test_nobody_else_does(run: Run) -> None:
    started(run)
    assert 0 == run("second/scripts/install_engine").returncode
    other = run("second/scripts/install_engine", "--stop")
    stranger = run("first/scripts/install_engine", "--stop", user=1234)

    assert (0, "") == (other.returncode, other.stderr)
    assert "Docker Engine runs on: " in other.stdout
    assert "/first started it" in other.stdout
    assert (0, "") == (stranger.returncode, stranger.stderr)
    assert "Docker Engine runs on: user 1234 may not ask it" in stranger.stdout
    assert answers(run)


def test_it_runs_on_for_what_runs_on_it(run: Run) -> None:
    started(run)
    image = subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE)
    enter = run("true").args[: run("true").args.index("setpriv")]
    subprocess.run([*enter, "docker", "load", "--quiet"], stdin=image.stdout, check=True)
    wait = ["--network=none", "--entrypoint=python3", BASE, "-c", "import time; time.sleep(9999)"]
    for project in (["--label=com.docker.compose.project=theirs"], ["--name=alone"]):
        made = run("docker", "run", "--detach", *project, *wait)
        assert 0 == made.returncode, made.stderr
    done = run("first/scripts/install_engine", "--stop")

    assert 0 == done.returncode
    assert "Docker Engine runs on, for what is not of here: alone theirs" in done.stdout
    assert answers(run)
