"""A clone of the project whose services are up, as its user would handle it."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shipped import write_pipelines

from support.airflow_api import Airflow

from microstage.data_folder import MANIFEST

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """A clone of the project whose services are up and whose demo has run."""

    root: Path
    demo: str = ""
    before: str = ""
    """What git said of the clone's files before the demo."""

    @property
    def project(self) -> str:
        """What compose, and so the engine, calls it."""
        return self.setting("COMPOSE_PROJECT_NAME")

    @property
    def data(self) -> Path:
        return Path(self.setting("MICROSTAGE_DATA"))

    @property
    def flights(self) -> Path:
        """The data of the pipeline that the demo runs."""
        return self.data / "flights"

    @property
    def table(self) -> Path:
        return self.root / "dags/stages.toml"

    @property
    def flights_file(self) -> Path:
        return self.root / "dags/pipelines/flights.toml"

    def setting(self, name: str) -> str:
        """A setting of this installation."""
        value: str = re.findall(rf"(?m)^{name}=(.*)$", (self.root / ".env").read_text())[0]
        return value

    def change(self, **settings: object) -> None:
        """Change settings of this installation."""
        env = self.root / ".env"
        text = env.read_text()
        for name, value in settings.items():
            text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        env.write_text(text)

    def settle(self, kind: str) -> None:
        """Write its .env, with a name of this run's and ports that nobody has."""
        remove_the_dead()
        name = f"microstage-{kind}-{os.getpid()}"
        self.run("scripts/make_env")
        ports = re.findall(r"(?m)^(\w+_PORT)=", (self.root / ".env").read_text())
        self.change(COMPOSE_PROJECT_NAME=name, **{port: free_port() for port in ports})

    def take_down(self) -> None:
        """Remove its services, and all that was theirs but the data folder."""
        take_down(self.project)

    def mails(self, subject: str) -> list[dict[str, str]]:
        """The mails that were caught with this in their subject, newest first."""
        url = f"http://localhost:{self.setting('MAIL_PORT')}/messages.json"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [mail for mail in json.load(answer) if subject in mail["subject"]]

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone, as its user would."""
        done = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, check=False, timeout=1200
        )
        if check and done.returncode:
            pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def airflow(self, pipeline: str) -> Airflow:
        """The client of the stack's REST API that scripts/run_dates has."""
        return Airflow(pipeline, self.root)

    def user(self, name: str, role: str, pipeline: str = "flights") -> Airflow:
        """The same for a user with a role, who is made, as docs/operations.md says it."""
        named = ["--username", name, "--firstname", name.title(), "--lastname", "Example"]
        done = self.airflow_users(
            "create",
            *named,
            "--email",
            f"{name}@example.org",
            "--role",
            role,
            password=password_of(name),
        )
        assert re.search("created with role|already exists", done.stdout), done
        return Airflow(pipeline, self.root, name, password_of(name))

    def airflow_users(self, *arguments: str, password: str) -> subprocess.CompletedProcess[str]:
        """Run "airflow users", which asks for a password twice."""
        command = ["docker", "compose", "exec", "-T", "api-server", "airflow", "users"]
        return subprocess.run(
            [*command, *arguments],
            cwd=self.root,
            input=f"{password}\n{password}\n",
            capture_output=True,
            text=True,
            check=False,
        )

    def manifest(self, directory: str) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.flights / directory / MANIFEST).read_text())
        return manifest

    def manifests(self, pipeline: str = "flights") -> dict[str, str]:
        """Every manifest's text, by its directory below the pipeline's data."""
        folder = self.data / pipeline
        found = sorted(folder.glob(f"[a-z]*/**/{MANIFEST}"))
        return {str(path.parent.relative_to(folder)): path.read_text() for path in found}

    def changes(self) -> str:
        """What git says of the clone's files."""
        return self.run("git", "status", "--porcelain").stdout

    def containers(self, *filters: str) -> list[str]:
        arguments = [f"--filter={text}" for text in filters]
        return self.run("docker", "ps", "--all", "--quiet", *arguments).stdout.split()


def take_down(project: str) -> None:
    """Remove the containers, networks and volumes of a compose project, whose files may be gone."""
    down = ["docker", "compose", "--project-name", project, "down", "--volumes", "--remove-orphans"]
    # By their labels, from where compose finds no file.
    subprocess.run(down, cwd="/", capture_output=True, check=False)
    # Those that the guard has made, one for each data folder; no data is in them.
    mine = docker("volume", "ls", "--quiet", f"--filter=name=^{project}_data_").split()
    subprocess.run(["docker", "volume", "rm", *mine], capture_output=True, check=False)


def remove_the_dead() -> None:
    """Remove what test runs that were killed have left: an engine has room for thirty networks."""
    names = docker("network", "ls", "--format={{.Name}}")
    for project, process in set(re.findall(r"(?m)^(microstage-[a-z]+-(\d+)[\w-]*?)_", names)):
        if not Path("/proc", process).exists():
            take_down(project)


def docker(*arguments: str | Path) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"docker {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout.strip()


def password_of(name: str) -> str:
    return f"the password of {name}"


def wait_until(holds: Callable[[], object], seconds: float = 300, what: str = "") -> None:
    """Wait as long as a machine may take that does much else; print how long what took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, "waited in vain"
        time.sleep(0.5)
    if what:
        print(f"{time.monotonic() - began:.0f} s until {what}")


@contextmanager
def meanwhile(look: Callable[[], object], every: float) -> Iterator[None]:
    """Look again and again, in a thread; `every`: seconds in between."""
    over = threading.Event()

    def looking() -> None:
        while not over.wait(every):
            look()

    thread = threading.Thread(target=looking)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def clone_to(folder: Path, *, history: bool = True) -> None:
    """Copy what git would give to somebody who clones the project, uncommitted changes included."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    out = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in out.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # As shipped, whatever has been swapped since.
    shutil.rmtree(folder / "dags/pipelines")
    write_pipelines(folder / "dags")
    # With the history, so that images get the labels, and so the ids, that they have here.
    if history and (ROOT / ".git").is_dir():
        shutil.copytree(ROOT / ".git", folder / ".git")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
