"""A registry of images, an emulator of another processor, and cosign: Debian's, in an image."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

from stack import docker

TOOLS_TAG = "microstage-test/tools:2"
TOOLS = r"""
FROM debian
RUN --mount=type=secret,id=ca_bundle \
    apt="apt-get -qq -o Acquire::https::CAInfo=/run/secrets/ca_bundle -o APT::Sandbox::User=root" \
 && cd /var/tmp && $apt update && $apt download docker-registry qemu-user cosign \
 && for deb in *.deb; do dpkg-deb --extract "$deb" /; done
COPY <<EOF /registry.yml
version: 0.1
storage: {filesystem: {rootdirectory: /tmp}}
http: {addr: ":5000"}
EOF
CMD ["docker-registry", "serve", "/registry.yml"]
"""


def build_tools(tag: str, prefix: str = "microstage") -> str:
    """Build the image, from the Debian of a prefix; return its tag."""
    bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    proxies = [f"--build-arg={name}" for name in os.environ if name.lower().endswith("_proxy")]
    subprocess.run(
        [
            *("docker", "buildx", "build", "--quiet", f"--tag={tag}", *proxies),
            f"--build-context=debian=docker-image://{prefix}/debian:trixie",
            *(f"--secret=id=ca_bundle,src={bundle}", "-"),
        ],
        input=TOOLS.encode(),
        capture_output=True,
        check=True,
    )
    return tag


@contextmanager
def serving(tools: str, port: int | None = None, *more: str) -> Iterator[str]:
    """Serve a registry at a port of this machine (one that is free), and of more addresses."""
    ports = [f"--publish={address}:{port or ''}:5000" for address in ("127.0.0.1", *more)]
    container = docker("run", "--detach", "--rm", *ports, tools)
    try:
        address = docker("port", container, "5000").splitlines()[0]
        for _ in range(50):
            try:
                urlopen(f"http://{address}/v2/")
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        docker("rm", "--force", container)
