"""A clone of the project whose services are up, as its user would handle it."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """A clone of the project whose services are up and whose demo has run."""

    root: Path
    demo: str

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def table(self) -> Path:
        return self.root / "dags/stages.toml"

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

    def airflow(self) -> Any:
        """The client of the stack's REST API that scripts/run_dates has."""
        loader = SourceFileLoader("run_dates", str(self.root / "scripts/run_dates"))
        spec = spec_from_loader(loader.name, loader)
        assert spec
        module = module_from_spec(spec)
        loader.exec_module(module)
        return module.Airflow()

    def manifest(self, directory: str) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.data / directory / "manifest.json").read_text())
        return manifest

    def manifests(self) -> dict[str, str]:
        """Every manifest's text, by its directory below the data folder."""
        found = sorted(self.data.glob("[a-z]*/**/manifest.json"))
        return {str(path.parent.relative_to(self.data)): path.read_text() for path in found}

    def containers(self, *filters: str) -> list[str]:
        arguments = [f"--filter={text}" for text in filters]
        return self.run("docker", "ps", "--all", "--quiet", *arguments).stdout.split()


def wait_until(holds: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)


def clone_to(folder: Path) -> None:
    """Copy what git would give to somebody who clones the project, uncommitted changes included."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    out = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in out.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # With the history, so that images get the labels, and so the ids, that they have here.
    if (ROOT / ".git").is_dir():
        shutil.copytree(ROOT / ".git", folder / ".git")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
