"""The files of an image, and where its links lead."""

from __future__ import annotations

import posixpath
import re
import subprocess
import tarfile
from typing import NamedTuple


class Files(NamedTuple):
    """The files of an image."""

    size: dict[str, int]  # path -> bytes, each file once
    link: dict[str, str]  # path -> what the symbolic or hard link leads to
    loader: dict[str, str]  # program -> the dynamic loader that the kernel opens for it


def files_of(image: str) -> Files:
    """Read the list of an image's files."""
    made = subprocess.run(["docker", "create", image], check=True, capture_output=True, text=True)
    container = made.stdout.strip()
    files = Files({}, {}, {})
    try:
        with (
            subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export,
            tarfile.open(fileobj=export.stdout, mode="r|") as archive,
        ):
            for member in archive:
                path = f"/{member.name}"
                if member.issym():
                    files.link[path] = posixpath.join(posixpath.dirname(path), member.linkname)
                elif member.islnk():
                    files.link[path] = f"/{member.linkname}"
                elif member.isfile():
                    files.size[path] = member.size
                    content = archive.extractfile(member) if member.mode & 0o111 else None
                    if content and (
                        found := re.search(rb"/lib\S{0,60}/ld-[\w.-]+", content.read(4096))
                    ):
                        files.loader[path] = found[0].decode()
    finally:
        subprocess.run(["docker", "rm", container], check=True, stdout=subprocess.DEVNULL)
    return files


def resolved(files: Files, path: str) -> str:
    """Follow the links of the image, in every part of the path."""
    real = "/"
    for part in path.split("/"):
        real = posixpath.normpath(posixpath.join(real, part))
        while real in files.link:
            real = resolved(files, files.link[real])
    return real
