"""NFS, server and client, in a kernel of the tests' own: a container's host may have none.

User-mode Linux is a kernel that is a program: https://docs.kernel.org/virt/uml/user_mode_linux_howto_v2.html.
It has the files of this machine, and a share in memory.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stack import ROOT

HERE = Path(__file__).parent
NEEDED = {"linux.uml": "user-mode-linux", "rpc.nfsd": "nfs-kernel-server", "modprobe": "kmod"}


def missing() -> list[str]:
    """Return the packages of Debian that are not here."""
    return [package for program, package in NEEDED.items() if not shutil.which(program)]


def need_packages() -> None:
    """Install what is not here; skip where that is not possible."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "-qq", "install", "--no-install-recommends", *missing()]
        subprocess.run(install, capture_output=True, check=False)
    if missing():
        pytest.skip(f"for NFS: apt-get install {' '.join(missing())}")


def inside(program: str, *arguments: str, version: str, options: str, owner: int = 0) -> str:
    """Run a program of Python's in a share of `owner`; return what it prints, if it ends well."""
    paths = ":".join(str(ROOT / folder) for folder in ("dags", "scripts"))
    run = f"env PYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1 {sys.executable}"
    run = " ".join([run, str(HERE / program), *arguments])
    command = ["linux.uml", "mem=512M", "rootfstype=hostfs", "rw", "root=/dev/root", "quiet"]
    command += ["con=null", "con0=null,fd:1", f"init={HERE / 'nfs_init.sh'}"]
    command += [
        f"NFS_VERSION={version}",
        f"NFS_OPTIONS={options}",
        f"NFS_USER={owner}",
        f'NFS_RUN="{run}"',
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )
    said = done.stdout.replace("\r", "")
    assert "ended well" in said, said + done.stderr
    return re.sub(r"(?s)\nended well.*", "", said)
