"""Chromium: where it is, and with which switches it is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.command import UNAVAILABLE

from microstage.errors import StageError

PACKAGES = {"debian": "chromium", "ubuntu": "chromium-browser"}
FLAGS = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    "--no-proxy-server",  # straight to this machine, whatever proxy the environment names
    "--force-color-profile=srgb",
]


def chromium() -> str:
    """Return the path of Chromium, installed when it is missing. Raises StageError (69)."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    release = Path("/etc/os-release")
    text = release.read_text() if release.exists() else ""
    package = next((p for i, p in PACKAGES.items() if f"\nID={i}\n" in f"\n{text}"), None)
    if package and os.geteuid() == 0:
        print(f"Installing Chromium: apt-get install {package}", file=sys.stderr, flush=True)
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
        install = [*apt, "install", "--no-install-recommends", package, "fonts-liberation"]
        for command in ([*apt, "update"], install):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(command, check=False, stdout=sys.stderr, env=environment)
        if found := next(filter(None, map(shutil.which, names)), None):
            return found
    raise StageError(
        UNAVAILABLE, "There is no Chromium; install it, on Debian with: apt-get install chromium"
    )
