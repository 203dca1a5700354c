"""Hosts of the tests' own: network namespaces of this machine, each with a Docker Engine in it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack import clone_to, docker, wait_until

NET = f"ms{os.getpid() % 100000}"
CONTROL = "10.213.7.1"  # this machine, for them


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def make_switch() -> None:
    """Make what connects the hosts, with this machine on it."""
    ip("link", "add", NET, "type", "bridge")
    ip("address", "add", f"{CONTROL}/24", "dev", NET)
    ip("link", "set", NET, "up")


@dataclass(frozen=True)
class Host:
    """A host: its engine, and the clone of the project that a worker is started from.

    containerd: whether its engine keeps images there.
    """

    number: int
    root: Path
    containerd: bool

    @property
    def name(self) -> str:
        return f"{NET}-{self.number}"

    @property
    def socket(self) -> Path:
        return self.root / "docker.sock"

    @property
    def clone(self) -> Path:
        return self.root / "microstage"

    def start(self) -> None:
        """Connect it, and start its engine, on one core."""
        link = f"{NET}.{self.number}"
        ip("netns", "add", self.name)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", link, "master", NET, "up")
        ip("-n", self.name, "address", "add", f"10.213.7.1{self.number}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "route", "add", "default", "via", CONTROL)
        # Not ip netns exec, which mounts a /sys without control groups.
        enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        core = str(self.number % (os.cpu_count() or 1))
        command = ["taskset", "--cpu-list", core, "dockerd", f"--data-root={self.root}/engine"]
        command += [f"--exec-root={self.root}/exec", f"--pidfile={self.root}/pid", "--group=0"]
        command += ["--insecure-registry=10.213.7.0/24", f"--host=unix://{self.socket}"]
        settings = self.root / "daemon.json"
        settings.write_text(json.dumps({"features": {"containerd-snapshotter": self.containerd}}))
        command.append(f"--config-file={settings}")
        with (self.root / "log").open("w") as log:
            subprocess.Popen([*enter, *command, "--log-level=warn"], stdout=log, stderr=log)
        wait_until(lambda: self.run("docker", "version", check=False).returncode == 0, 60)
        self.clone.mkdir()
        clone_to(self.clone, history=False)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, as its user would: in the clone, with its engine."""
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}
        where = self.clone if self.clone.is_dir() else self.root
        enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        done = subprocess.run(
            [*enter, *command],
            cwd=where,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done

    def cut(self) -> None:
        """Take its cable out."""
        ip("link", "set", f"{NET}.{self.number}", "down")

    def mend(self) -> None:
        """Put it in again."""
        ip("link", "set", f"{NET}.{self.number}", "up")

    def stages(self) -> dict[str, str]:
        """Return what runs there: container -> the task and the day that it is of."""
        return stages(f"unix://{self.socket}")

    def stop(self) -> None:
        """Remove all of it."""
        for container in self.run("docker", "ps", "-aq", check=False).stdout.split():
            self.run("docker", "rm", "--force", container, check=False)
        if (pid := self.root / "pid").exists():
            subprocess.run(["kill", pid.read_text()], check=False)
            wait_until(lambda: not pid.exists(), 60)
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)
        shutil.rmtree(self.root, ignore_errors=True)


def stages(engine: str = "") -> dict[str, str]:
    """Return what runs on an engine: container -> the task and the day that it is of."""
    form = '{{.ID}} {{.Label "microstage.key"}}/{{.Label "microstage.day"}}'
    where = [f"--host={engine}"] if engine else []
    listed = docker(*where, "ps", "--filter=label=microstage.key", f"--format={form}")
    return dict(line.split(" ", 1) for line in listed.splitlines())
